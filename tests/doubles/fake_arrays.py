"""Arrays of the double of CuPy (see :mod:`fake_cupy`), which refuse to mix with the host.

What would be a hidden transfer, or an error, on a GPU is a ``TypeError`` here: a host array as an
operand, argument, index or value; a device array in a NumPy function, in ``numpy.asarray``, in a
loop, or as a number.
"""

import operator
import types

import numpy as np
from doubles.fake_streams import span

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
        data, at = self._data, inside(key)
        return self._owner.run("[]", lambda: data[at], (self, key))

    def __setitem__(self, key, value):
        at, given = inside(key), inside(value)
        data = self._data
        written = data[at] if np.may_share_memory(data[at], data) else data

        def assign():
            data[at] = given

        self._owner.perform("[] =", assign, spans((key, value)), [span(np.asarray(written))])

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
        function, given, options = getattr(self._data, name), inside(args), inside_all(kwargs)

        def compute():
            return function(*given, **options)

        if name == "fill":
            self._owner.perform(name, compute, spans(args), [span(self._data)])
            return None
        return self._owner.run(name, compute, (self, *args), kwargs.get("out"))

    return method


def _operator(function, swapped=False):
    def operate(self, other):
        mine, others = self._data, inside(other)
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
        data, others = self._data, inside(other)
        self._owner.perform(
            function.__name__,
            lambda: function(data, others),
            spans((self, other)),
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


def inside(value):
    """Return what stands for ``value`` inside the double; refuse whatever belongs to the host."""
    if isinstance(value, Array):
        return value._data
    if isinstance(value, tuple | list):
        return type(value)(inside(item) for item in value)
    if isinstance(value, slice) or value is Ellipsis or isinstance(value, _PLAIN):
        return value
    raise TypeError(f"a device array meets a host object of type {type(value).__name__}")


def arrays(values):
    """Yield all arrays on the device among the values, or in tuples and lists of them."""
    for value in values:
        if isinstance(value, Array):
            yield value
        elif isinstance(value, tuple | list):
            yield from arrays(value)


def spans(values):
    """Return the spans of memory of all arrays on the device among the values."""
    return [span(array._data) for array in arrays(values)]


def inside_all(kwargs):
    """Return the keywords with what stands for their values inside the double."""
    return {name: inside(value) for name, value in kwargs.items()}


Array.__module__ = "cupy"
