"""An array module without memory: it counts the bytes that its arrays would take.

Objects that allocate arrays can be built on it instantly, however large they are::

    meter = Meter()
    held = meter.empty((10**9, 10**9), "float32")
    assert meter.bytes == 4 * 10**18

Arrays have a shape and a dtype but no elements. Views count as nothing; any other array counts
until it is deleted. All sizes are exact integers. It implements only those NumPy functions that
allocate or compute element by element.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

Shape = tuple[int, ...]


class UnknownError(AttributeError):
    """A function of NumPy, or a method of its arrays, that the meter does not implement."""


class Hollow:
    """An array without elements.

    Attributes
    ----------
    shape, dtype
        As of any array.
    owner
        The array that this one is a view of, or None.
    """

    __array_ufunc__ = None  # NumPy's own functions refuse it

    def __init__(self, meter: Meter, shape: Shape, dtype: Any, owner: Hollow | None = None) -> None:
        self._meter, self.owner = meter, owner
        self.shape, self.dtype = shape, np.dtype(dtype)
        if owner is None:
            meter.bytes += self.nbytes

    def __del__(self) -> None:
        if self.owner is None:
            self._meter.bytes -= self.nbytes

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The size in bytes."""
        each: int = self.dtype.itemsize
        return self.size * each

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def T(self) -> Hollow:
        """The view with its axes in reverse."""
        return self._view(self.shape[::-1])

    def reshape(self, *shape: Any) -> Hollow:
        """Return a view of another shape, in which one length may be -1."""
        new = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
        known = prod(length for length in new if length != -1)
        return self._view(tuple(self.size // known if n == -1 else n for n in new))

    def transpose(self, *axes: int) -> Hollow:
        """Return a view with its axes in the order ``axes``."""
        return self._view(tuple(self.shape[axis] for axis in axes))

    def copy(self) -> Hollow:
        """Return an array that is not a view."""
        return Hollow(self._meter, self.shape, self.dtype)

    def __getitem__(self, key: Any) -> Hollow:
        """Return a view; ``key`` consists of integers, slices, None and Ellipsis."""
        keys = list(key) if isinstance(key, tuple) else [key]
        if Ellipsis not in keys:
            keys.append(Ellipsis)
        at = keys.index(Ellipsis)
        given = sum(k is not None for k in keys) - 1
        keys[at : at + 1] = [slice(None)] * (self.ndim - given)
        shape, lengths = [], iter(self.shape)
        for k in keys:
            if k is None:
                shape.append(1)
                continue
            length = next(lengths)
            if isinstance(k, slice):
                shape.append(_length(k, length))
            elif not -length <= k < length:
                raise IndexError(f"index {k} is out of range for {length} elements")
        return self._view(tuple(shape))

    def __setitem__(self, key: Any, value: Any) -> None:
        target = self[key].shape
        given = getattr(value, "shape", ())
        if _broadcast(target, given) != target:
            raise ValueError(f"an array of shape {given} does not fit into {target}")

    def __add__(self, other: Any) -> Hollow:
        return self._meter.elementwise(self, other)

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __add__

    def __iadd__(self, other: Any) -> Hollow:
        return self._meter.elementwise(self, other, out=self)

    __isub__ = __imul__ = __itruediv__ = __iadd__

    def __getattr__(self, name: str) -> Any:
        raise UnknownError(f"the meter's arrays have no {name}")

    def __len__(self) -> int:
        return self.shape[0]

    def _view(self, shape: Shape) -> Hollow:
        return Hollow(self._meter, shape, self.dtype, self if self.owner is None else self.owner)


class Meter:
    """The array module of :class:`Hollow` arrays.

    Attributes
    ----------
    bytes
        The size of all arrays that exist.
    """

    def __init__(self) -> None:
        self.bytes = 0

    def empty(self, shape: int | Sequence[int], dtype: Any = np.float64) -> Hollow:
        """Return a new array."""
        return Hollow(self, (shape,) if isinstance(shape, int) else tuple(shape), dtype)

    zeros = ones = empty

    def full(self, shape: int | Sequence[int], value: Any, dtype: Any = np.float64) -> Hollow:
        """Return a new array."""
        return self.empty(shape, dtype)

    def empty_like(self, array: Hollow) -> Hollow:
        """Return a new array of the same shape and dtype."""
        return array.copy()

    zeros_like = ones_like = empty_like

    def asarray(self, value: Any, dtype: Any = None) -> Hollow:
        """Return an array for a number, or ``value`` itself if it is an array of that dtype."""
        if isinstance(value, Hollow) and dtype in (None, value.dtype):
            return value
        return self.empty(getattr(value, "shape", ()), dtype or np.asarray(value).dtype)

    def concatenate(self, arrays: Sequence[Hollow], axis: int = 0) -> Hollow:
        """Return the arrays joined along an axis."""
        shape = list(arrays[0].shape)
        shape[axis] = sum(array.shape[axis] for array in arrays)
        return self.empty(shape, arrays[0].dtype)

    def matmul(self, a: Hollow, b: Hollow, out: Hollow | None = None) -> Hollow:
        """Return the product of matrices (…, M, K) and (…, K, N)."""
        if a.shape[-1] != b.shape[-2]:
            raise ValueError(f"a product of shapes {a.shape} and {b.shape}")
        batch = _broadcast(a.shape[:-2], b.shape[:-2])
        return self._result((*batch, a.shape[-2], b.shape[-1]), a.dtype, out)

    def elementwise(self, *operands: Any, out: Hollow | None = None) -> Hollow:
        """Return the result of any function that computes element by element."""
        arrays = [operand for operand in operands if isinstance(operand, Hollow)]
        shape = _broadcast(*(array.shape for array in arrays))
        return self._result(shape, np.result_type(*(array.dtype for array in arrays)), out)

    def _result(self, shape: Shape, dtype: Any, out: Hollow | None) -> Hollow:
        if out is None:
            return self.empty(shape, dtype)
        if out.shape != shape:
            raise ValueError(f"a result of shape {shape} does not fit into {out.shape}")
        return out

    def __getattr__(self, name: str) -> Callable[..., Hollow]:
        if isinstance(getattr(np, name, None), np.ufunc):
            return self.elementwise
        raise UnknownError(f"the meter does not know numpy.{name}")


def _length(part: slice, length: int) -> int:
    """Return how many of ``length`` elements a slice takes; any integers, unlike ``range``."""
    start, stop, step = part.indices(length)
    return max(0, (stop - start + step - (1 if step > 0 else -1)) // step)


def _broadcast(*shapes: Shape) -> Shape:
    """Return the common shape; any integers, unlike :func:`numpy.broadcast_shapes`."""
    width = max(map(len, shapes), default=0)
    padded = [(1,) * (width - len(shape)) + shape for shape in shapes]
    lengths = [{n for n in along if n != 1} for along in zip(*padded, strict=True)]
    if any(len(different) > 1 for different in lengths):
        raise ValueError(f"shapes that do not fit: {shapes}")
    return tuple(different.pop() if different else 1 for different in lengths)
