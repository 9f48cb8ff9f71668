"""A strict double of the CuPy module: computes with NumPy, but refuses to mix with the host.

What would be a hidden transfer, or an error, on a GPU is a ``TypeError`` here: a host array as an
operand, argument, index or value; a device array in a NumPy function, in ``numpy.asarray``, in a
loop, or as a number. The only ways across are ``asarray`` (host to device) and ``asnumpy`` or
``get`` (device to host), and they are counted. Functions exist as far as CuPy has them, with the
keywords that CuPy takes; one that is missing here has to be added to the tables below.
"""

import operator
import types

import numpy as np

_KEYWORDS = {
    "arange": {"dtype"},
    "argmax": {"axis", "dtype", "out", "keepdims"},
    "ascontiguousarray": {"dtype"},
    "clip": {"out"},
    "concatenate": {"axis", "out", "dtype", "casting"},
    "count_nonzero": {"axis"},
    "dot": {"out"},
    "empty": {"dtype", "order"},
    "empty_like": {"dtype", "order", "shape"},
    "full": {"dtype", "order"},
    "ones": {"dtype", "order"},
    "ones_like": {"dtype", "order", "shape"},
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

    def __init__(self, data, owner):
        self._data = data
        self._owner = owner

    shape = property(lambda self: self._data.shape)
    dtype = property(lambda self: self._data.dtype)
    ndim = property(lambda self: self._data.ndim)
    size = property(lambda self: self._data.size)
    nbytes = property(lambda self: self._data.nbytes)
    itemsize = property(lambda self: self._data.itemsize)
    strides = property(lambda self: self._data.strides)
    flags = property(lambda self: self._data.flags)
    T = property(lambda self: Array(self._data.T, self._owner))

    def get(self):
        return self._owner.asnumpy(self)

    def __len__(self):
        return len(self._data)

    def __getitem__(self, key):
        return self._owner.wrap(self._data[_inside(key)])

    def __setitem__(self, key, value):
        self._data[_inside(key)] = _inside(value)

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
        result = getattr(self._data, name)(*_inside(args), **_inside_all(kwargs))
        return None if result is None else self._owner.wrap(result)

    return method


def _operator(function, swapped=False):
    def operate(self, other):
        mine, others = self._data, _inside(other)
        pair = (others, mine) if swapped else (mine, others)
        return self._owner.wrap(function(*pair))

    return operate


def _unary(function):
    def operate(self):
        return self._owner.wrap(function(self._data))

    return operate


def _in_place(function):
    def operate(self, other):
        self._data = function(self._data, _inside(other))
        return self

    return operate


for _kind in ("bool", "int", "float", "complex", "index"):
    setattr(Array, f"__{_kind}__", _no_number(_kind))
for _name in ("reshape", "transpose", "astype", "sum", "max", "min", "mean", "copy", "ravel"):
    setattr(Array, _name, _method(_name))
for _name in ("fill", "all", "any", "argmax", "cumsum", "squeeze"):
    setattr(Array, _name, _method(_name))
for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or"):
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


def _inside_all(kwargs):
    return {name: _inside(value) for name, value in kwargs.items()}


class Module(types.ModuleType):
    """The double of the module, with its counts.

    Attributes
    ----------
    uploads, downloads
        (shape, type) of every transfer to and from the device, in order.
    """

    __version__ = "14.2.0"
    ndarray = Array

    def __init__(self):
        super().__init__("cupy")
        self.uploads, self.downloads = [], []
        self.devices = 1
        runtime = types.SimpleNamespace(getDeviceCount=lambda: self.devices)
        self.cuda = types.SimpleNamespace(runtime=runtime)

    def is_available(self):
        return self.devices > 0

    def asarray(self, a, dtype=None):
        if isinstance(a, Array):
            return a if dtype in (None, a.dtype) else a.astype(dtype)
        data = np.array(a, dtype=dtype)
        self.uploads.append((data.shape, data.dtype.name))
        return Array(data, self)

    array = asarray

    def asnumpy(self, a):
        if not isinstance(a, Array):
            return np.asarray(a)
        self.downloads.append((a.shape, a.dtype.name))
        return a._data.copy()

    def clear(self):
        """Forget the transfers so far."""
        self.uploads.clear()
        self.downloads.clear()

    def wrap(self, result):
        if isinstance(result, tuple):
            return tuple(self.wrap(item) for item in result)
        return Array(np.asarray(result), self)

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
            result = function(*_inside(args), **_inside_all(kwargs))
            return self.wrap(result) if out is None else out

        return call


def create():
    """Return a fresh double."""
    return Module()


Array.__module__ = "cupy"
