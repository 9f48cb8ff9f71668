"""One flat vector for all parameters, with named views into it.

Clipping, the gradient's norm and the optimizer are then single passes over one array.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from charrnn.backend import Array
from charrnn.backend.operations import operation

Shapes = Mapping[str, tuple[int, ...]]
FIXED = "counts."
"""How the names of parameters begin that training leaves alone; they come last."""


class Parameters(Mapping[str, Array]):
    """Named arrays that are views into ``flat``, in the order of ``shapes``.

    Attributes
    ----------
    flat
        All elements, shape (P,).
    """

    def __init__(self, shapes: Shapes, flat: Array) -> None:
        self.shapes = dict(shapes)
        self.flat = flat
        self._views: dict[str, Array] = {}
        self._trained: Parameters | None = None
        self._parts: dict[str, Parameters] = {}
        start = 0
        for name, shape in self.shapes.items():
            stop = start + prod(shape)
            self._views[name] = flat[start:stop].reshape(shape)
            start = stop
        if start != flat.size:
            raise ValueError(f"{flat.size} elements for shapes that need {start}")

    @property
    def trained(self) -> Parameters:
        """Those that training changes, over the same elements."""
        if not next(reversed(self.shapes), "").startswith(FIXED):
            return self
        if self._trained is None:
            shapes = {n: shape for n, shape in self.shapes.items() if not n.startswith(FIXED)}
            size = sum(prod(shape) for shape in shapes.values())
            self._trained = Parameters(shapes, self.flat[:size])
        return self._trained

    def part(self, prefix: str) -> Parameters:
        """Return those whose names begin with ``prefix``, without it, over the same elements.

        They stand side by side.
        """
        if prefix not in self._parts:
            sizes = {name: prod(shape) for name, shape in self.shapes.items()}
            shapes = {n: shape for n, shape in self.shapes.items() if n.startswith(prefix)}
            before = list(self.shapes).index(next(iter(shapes)))
            start = sum(list(sizes.values())[:before])
            flat = self.flat[start : start + sum(sizes[name] for name in shapes)]
            own = {name.removeprefix(prefix): shape for name, shape in shapes.items()}
            self._parts[prefix] = Parameters(own, flat)
        return self._parts[prefix]

    @classmethod
    def zeros(cls, shapes: Shapes, xp: Any, dtype: Any) -> Parameters:
        """Allocate parameters of the given shapes, all zero."""
        return cls(shapes, xp.zeros(sum(prod(shape) for shape in shapes.values()), dtype))

    def like(self, flat: Array) -> Parameters:
        """Return the same names over another flat vector of the same length."""
        return Parameters(self.shapes, flat)

    def __reduce__(self) -> tuple[Any, ...]:
        return Parameters, (self.shapes, self.flat)  # the views are made anew

    def __getitem__(self, name: str) -> Array:
        return self._views[name]

    def __contains__(self, name: object) -> bool:
        return name in self._views

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)


@operation
def norm(xp: Any, flat: Array) -> Array:
    """Return the Euclidean norm of a flat vector, such as a gradient, a 0-d array."""
    return xp.sqrt(xp.dot(flat, flat))
