"""A strict double of the CuPy module: computes with NumPy, but refuses to mix with the host.

Its arrays are those of :mod:`fake_arrays`. The only ways across are ``asarray`` (host to device)
and ``asnumpy`` or ``get`` (device to host), and they are counted. Functions exist as far as CuPy
has them, with the keywords that CuPy takes; one that is missing here has to be added to the tables
below.

What runs while a stream is recorded, and in which order, is checked too: see :mod:`fake_streams`.

With ``kernels``, it also compiles CUDA text, for the host (see :mod:`cuda_on_host`): operations
then launch their kernels, as they do on a GPU.
"""

import types

import numpy as np
from doubles import cuda_on_host
from doubles.fake_arrays import Array, arrays, inside, inside_all, spans
from doubles.fake_streams import Streams, span, spoil

_KEYWORDS = {
    "arange": {"dtype"},
    "argsort": {"axis", "kind"},
    "argmax": {"axis", "dtype", "out", "keepdims"},
    "ascontiguousarray": {"dtype"},
    "asfortranarray": {"dtype"},
    "clip": {"out"},
    "concatenate": {"axis", "out", "dtype", "casting"},
    "count_nonzero": {"axis"},
    "cumsum": {"axis", "dtype", "out"},
    "dot": {"out"},
    "empty": {"dtype", "order"},
    "empty_like": {"dtype", "order", "shape"},
    "flatnonzero": set(),
    "full": {"dtype", "order"},
    "ones": {"dtype", "order"},
    "ones_like": {"dtype", "order", "shape"},
    "searchsorted": {"side", "sorter"},
    "stack": {"axis", "out", "dtype", "casting"},
    "sum": {"axis", "dtype", "out", "keepdims"},
    "max": {"axis", "out", "keepdims"},
    "mean": {"axis", "dtype", "out", "keepdims"},
    "take": {"axis", "out"},
    "unique": {"return_index", "return_inverse", "return_counts", "axis"},
    "where": set(),
    "zeros": {"dtype", "order"},
    "zeros_like": {"dtype", "order", "shape"},
}
_UFUNC_KEYWORDS = {"out", "dtype", "casting"}
_CASTS = {"asarray", "asnumpy", "array"}
_TYPES = ("float32", "float64", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool_")


class RawModule:
    """CUDA text, compiled for the host."""

    def __init__(self, owner, code):
        self._owner, self._code = owner, code

    def get_function(self, name):
        def run(grid, block, args):
            assert isinstance(grid, tuple) and isinstance(block, tuple) and isinstance(args, tuple)
            assert np.prod(block) <= 1024 and min(grid + block) > 0
            values, owner = inside(args), self._owner
            parameters = cuda_on_host.functions(self._code)[name]

            def execute():
                owner.launches.append(name)
                cuda_on_host.launch(
                    self._code, name, grid, block, values, backwards=owner.backwards
                )

            given = [(p, a) for p, a in zip(parameters, args, strict=True) if isinstance(a, Array)]
            reads = [span(a._data) for _, a in given]
            writes = [
                span(a._data) for p, a in given if not cuda_on_host.reads(self._code, name, p)
            ]
            owner.perform(name, execute, reads, writes)

        return run


class _Device:
    """One GPU, as a context manager too."""

    compute_capability = "90"

    def __init__(self, owner, at):
        assert 0 <= at < owner.devices
        self._owner, self._at = owner, at
        self.mem_info = owner.memory

    def use(self):
        self._owner.device = self._at

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


def _properties(at):
    return {"name": b"Double GPU", "major": 9, "minor": 0, "multiProcessorCount": 132}


class OutOfMemoryError(MemoryError):
    """CuPy's error if its pool gets no memory."""

    __module__ = "cupy.cuda.memory"


class CUDARuntimeError(RuntimeError):
    """CuPy's error for an error of the CUDA runtime."""

    __module__ = "cupy_backends.cuda.api.runtime"


class Module(Streams, types.ModuleType):
    """The double of the module, with its counts.

    Attributes
    ----------
    uploads, downloads
        (shape, type) of every transfer to and from the device, in order.
    launches
        The names of the CUDA functions that ran, in order.
    backwards
        Whether blocks and threads take their turns in reverse.
    """

    __version__ = "14.2.0"
    ndarray = Array
    inf = np.inf

    def __init__(self, kernels=False):
        types.ModuleType.__init__(self, "cupy")
        self.begin_streams()
        self.uploads, self.downloads, self.launches = [], [], []
        self.backwards = False
        if kernels:
            self.RawModule = lambda code: RawModule(self, code)
        self.devices, self.device = 1, 0
        self.memory = (60 << 30, 80 << 30)
        self.products = []
        self.cuda = types.SimpleNamespace(
            Device=lambda at=0: _Device(self, at),
            runtime=types.SimpleNamespace(
                getDeviceCount=lambda: self.devices,
                runtimeGetVersion=lambda: 13020,
                driverGetVersion=lambda: 13000,
                getDeviceProperties=_properties,
            ),
            **self.streams_of_cuda(),
        )
        routines = types.SimpleNamespace(COMPUTE_TYPE_FP32="fp32", COMPUTE_TYPE_TF32="tf32")
        self._core = types.SimpleNamespace(
            _routines_linalg=routines,
            set_compute_type=lambda dtype, kind: self.products.append((np.dtype(dtype).name, kind)),
        )

    def get_default_memory_pool(self):
        return types.SimpleNamespace(free_bytes=lambda: 1 << 30)

    def is_available(self):
        return self.devices > 0

    def asarray(self, a, dtype=None):
        if isinstance(a, Array):
            return a if dtype in (None, a.dtype) else a.astype(dtype)
        self.refuse_in_capture("a host array goes to the device")
        data = np.array(a, dtype=dtype)
        self.uploads.append((data.shape, data.dtype.name))
        return Array(data, self)

    array = asarray

    def asnumpy(self, a):
        if not isinstance(a, Array):
            return np.asarray(a)
        self.refuse_in_capture("a device array comes to the host")
        self.downloads.append((a.shape, a.dtype.name))
        return a._data.copy()

    def clear(self):
        """Forget the transfers so far."""
        self.uploads.clear()
        self.downloads.clear()
        self.launches.clear()

    def refuse_product(self):
        if self.capture is not None:
            raise NotImplementedError("calling cuBLAS API during stream capture is unsupported")

    def run(self, name, compute, inputs, out=None):
        """Return the result of a computation on arrays, new or written to ``out``."""
        if out is not None:
            self.perform(name, compute, spans(inputs), [span(out._data)])
            return out
        result = compute()
        if isinstance(result, tuple):
            self.refuse_in_capture(f"{name} waits for the device")
            return tuple(Array(np.asarray(item), self) for item in result)
        made = np.asarray(result)
        for array in arrays(inputs):
            if np.may_share_memory(made, array._data):
                return Array(made, self, array._memory)
        found = Array(made, self)
        if self.capture is not None:

            def again():
                made[...] = compute()

            spoil(made)
            self.perform(name, again, spans(inputs), [span(made)])
        return found

    def __getattr__(self, name):
        if name in _TYPES:
            return getattr(np, name)
        function = getattr(np, name, None)
        if isinstance(function, np.ufunc):
            known = _UFUNC_KEYWORDS
        elif name in _KEYWORDS:
            known = _KEYWORDS[name]
        else:
            raise AttributeError(f"the double has no cupy.{name}")

        def call(*args, **kwargs):
            if not set(kwargs) <= known:
                raise TypeError(f"cupy.{name} has no keyword {sorted(set(kwargs) - known)}")
            out = kwargs.get("out")
            if out is not None and not isinstance(out, Array):
                raise TypeError(f"cupy.{name} writes to a device array only")
            if name in ("matmul", "dot"):
                self.refuse_product()
            elif name in ("concatenate", "stack") and len(args[0]) > 8:
                self.refuse_in_capture(f"{name} takes so many addresses along")
            elif name in ("unique", "argsort"):
                self.refuse_in_capture(f"{name} waits for the device")

            given, options = inside(args), inside_all(kwargs)

            def compute():
                return function(*given, **options)

            return self.run(name, compute, (*args, *kwargs.values()), out)

        return call


def create(kernels=False):
    """Return a fresh double, that compiles CUDA text or does not."""
    return Module(kernels)
