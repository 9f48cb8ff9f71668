"""A strict double of the CuPy module: computes with NumPy, but refuses to mix with the host.

What would be a hidden transfer, or an error, on a GPU is a ``TypeError`` here: a host array as an
operand, argument, index or value; a device array in a NumPy function, in ``numpy.asarray``, in a
loop, or as a number. The only ways across are ``asarray`` (host to device) and ``asnumpy`` or
``get`` (device to host), and they are counted. Functions exist as far as CuPy has them, with the
keywords that CuPy takes; one that is missing here has to be added to the tables below.

What runs while a stream is recorded, and in which order, is checked too: see :mod:`fake_streams`.

With ``kernels``, it also compiles CUDA text, for the host (see :mod:`cuda_on_host`): operations
then launch their kernels, as they do on a GPU.
"""

import operator
import types

import numpy as np
from doubles import cuda_on_host
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
_PLAIN = (type(None), bool, int, float, str, np.generic, np.dtype, type)


class Array:
    """An array on the device."""

    __array_ufunc__ = None  # NumPy's ufuncs refuse it, and its operators leave the operation to us
    __hash__ = None

    def __init__(self, data, owner, memory=None):
        self._data = data
        self._owner = owner
        self._memory = memory or owner.allocate(data)

    data = property(lambda self: types.SimpleNamespace(ptr=span(self._data)[0]))
    shape = property(lambda self: self._data.shape)
    dtype = property(lambda self: self._data.dtype)
    ndim = property(lambda self: self._data.ndim)
    size = property(lambda self: self._data.size)
    nbytes = property(lambda self: self._data.nbytes)
    itemsize = property(lambda self: self._data.itemsize)
    strides = property(lambda self: self._data.strides)
    flags = property(lambda self: self._data.flags)
    T = property(lambda self: Array(self._data.T, self._owner, self._memory))

    def get(self):
        return self._owner.asnumpy(self)

    def __len__(self):
        return len(self._data)

    def __getitem__(self, key):
        data, at = self._data, _inside(key)
        return self._owner.run("[]", lambda: data[at], (self, key))

    def __setitem__(self, key, value):
        at, given = _inside(key), _inside(value)
        data = self._data
        written = data[at] if np.may_share_memory(data[at], data) else data

        def assign():
            data[at] = given

        self._owner.perform("[] =", assign, _spans((key, value)), [span(np.asarray(written))])

    def __array__(self, *args, **kwargs):
        raise TypeError("implicit conversion of a device array to a host array")

    def __array_function__(self, function, *rest):
        raise TypeError(f"numpy.{function.__name__} was called with a device array")

    def __iter__(self):
        raise TypeError("iteration over a device array")

    def __repr__(self):
        return f"<device array {self.shape} {self.dtype}>"


def _no_number(kind):
    def convert(self):
        raise TypeError(f"implicit conversion of a device array by {kind}")

    return convert


def _method(name):
    def method(self, *args, **kwargs):
        function, given, options = getattr(self._data, name), _inside(args), _inside_all(kwargs)

        def compute():
            return function(*given, **options)

        if name == "fill":
            self._owner.perform(name, compute, _spans(args), [span(self._data)])
            return None
        return self._owner.run(name, compute, (self, *args), kwargs.get("out"))

    return method


def _operator(function, swapped=False):
    def operate(self, other):
        mine, others = self._data, _inside(other)
        pair = (others, mine) if swapped else (mine, others)
        if function is operator.matmul:
            self._owner.refuse_product()
        return self._owner.run(function.__name__, lambda: function(*pair), (self, other))

    return operate


def _unary(function):
    def operate(self):
        data = self._data
        return self._owner.run(function.__name__, lambda: function(data), (self,))

    return operate


def _in_place(function):
    def operate(self, other):
        data, others = self._data, _inside(other)
        self._owner.perform(
            function.__name__,
            lambda: function(data, others),
            _spans((self, other)),
            [span(self._data)],
        )
        return self

    return operate


for _kind in ("bool", "int", "float", "complex", "index"):
    setattr(Array, f"__{_kind}__", _no_number(_kind))
for _name in ("reshape", "transpose", "astype", "sum", "max", "min", "mean", "copy", "ravel"):
    setattr(Array, _name, _method(_name))
for _name in ("fill", "all", "any", "argmax", "cumsum", "squeeze"):
    setattr(Array, _name, _method(_name))
_BINARY = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor")
for _name in (*_BINARY, "lshift", "rshift"):
    _function = getattr(operator, f"__{_name}__")
    setattr(Array, f"__{_name}__", _operator(_function))
    setattr(Array, f"__r{_name}__", _operator(_function, swapped=True))
    setattr(Array, f"__i{_name}__", _in_place(getattr(operator, f"__i{_name}__")))
for _name in ("lt", "le", "eq", "ne", "gt", "ge"):
    setattr(Array, f"__{_name}__", _operator(getattr(operator, _name)))
for _name in ("neg", "invert", "abs"):
    setattr(Array, f"__{_name}__", _unary(getattr(operator, _name)))


def _inside(value):
    """Return what stands for ``value`` inside the double; refuse whatever belongs to the host."""
    if isinstance(value, Array):
        return value._data
    if isinstance(value, tuple | list):
        return type(value)(_inside(item) for item in value)
    if isinstance(value, slice) or value is Ellipsis or isinstance(value, _PLAIN):
        return value
    raise TypeError(f"a device array meets a host object of type {type(value).__name__}")


def _arrays(values):
    """Yield all arrays on the device among the values, or in tuples and lists of them."""
    for value in values:
        if isinstance(value, Array):
            yield value
        elif isinstance(value, tuple | list):
            yield from _arrays(value)


def _spans(values):
    return [span(array._data) for array in _arrays(values)]


def _inside_all(kwargs):
    return {name: _inside(value) for name, value in kwargs.items()}


class RawModule:
    """CUDA text, compiled for the host."""

    def __init__(self, owner, code):
        self._owner, self._code = owner, code

    def get_function(self, name):
        def run(grid, block, args):
            assert isinstance(grid, tuple) and isinstance(block, tuple) and isinstance(args, tuple)
            assert np.prod(block) <= 1024 and min(grid + block) > 0
            values, owner = _inside(args), self._owner
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
            self.perform(name, compute, _spans(inputs), [span(out._data)])
            return out
        result = compute()
        if isinstance(result, tuple):
            self.refuse_in_capture(f"{name} waits for the device")
            return tuple(Array(np.asarray(item), self) for item in result)
        made = np.asarray(result)
        for array in _arrays(inputs):
            if np.may_share_memory(made, array._data):
                return Array(made, self, array._memory)
        found = Array(made, self)
        if self.capture is not None:

            def again():
                made[...] = compute()

            spoil(made)
            self.perform(name, again, _spans(inputs), [span(made)])
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

            given, options = _inside(args), _inside_all(kwargs)

            def compute():
                return function(*given, **options)

            return self.run(name, compute, (*args, *kwargs.values()), out)

        return call


def create(kernels=False):
    """Return a fresh double, that compiles CUDA text or does not."""
    return Module(kernels)


Array.__module__ = "cupy"
