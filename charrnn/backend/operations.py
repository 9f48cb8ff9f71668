"""Operations: a plain definition on the array module, and faster implementations of it.

An operation is a function whose first argument is the array module, so that it computes wherever
its arrays are. Its file says what is computed, and nothing else::

    @operation
    def scaled(xp, x, factor):
        return x * factor

Providers implement operations for the array modules that they know: the GPU's launches CUDA
functions (:mod:`charrnn.backend.gpu.operations`). Each call takes the first provider in
:data:`PROVIDERS` that implements the operation for its array module; the last one is the plain
definition itself, so an operation without another implementation still runs everywhere.
All implementations of an operation agree up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, update_wrapper
from types import MappingProxyType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

Implementation = Callable[..., Any]
"""Takes the arguments of an operation without the array module."""


class Operation(Generic[P, R]):
    """One operation; call it as its plain definition, ``operation(xp, ...)``.

    Attributes
    ----------
    name
        Module and function, such as ``cells.lstm.pointwise_forward``, relative to the package; for
        a module outside the package ``module:function``, so that it never has the name of another.
    plain
        The definition, ``plain(xp, ...)``.
    """

    def __init__(self, plain: Callable[Concatenate[Any, P], R]) -> None:
        self.name = _name(plain)
        self.plain = plain
        self._implementations: dict[Any, Implementation] = {}
        update_wrapper(self, plain)

    def __call__(self, xp: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the operation on arrays of the module ``xp``."""
        implementation = self._implementations.get(xp)
        if implementation is None:
            implementation = self._implementations[xp] = self.provided(xp)[1]
        result: R = implementation(*args, **kwargs)
        return result

    def provided(self, xp: Any) -> tuple[str, Implementation]:
        """Return which provider runs the operation on arrays of ``xp``, and its implementation."""
        found = ((name, provider(self, xp)) for name, provider in PROVIDERS.items())
        return next((name, made) for name, made in found if made is not None)

    def __repr__(self) -> str:
        return f"<operation {self.name}>"


Provider = Callable[[Operation[..., Any], Any], Implementation | None]
"""Takes an operation and an array module; returns None if it does not implement that."""


def _plain(operation: Operation[..., Any], xp: Any) -> Implementation:
    return partial(operation.plain, xp)


def _gpu(operation: Operation[..., Any], xp: Any) -> Implementation | None:
    if not hasattr(xp, "RawModule"):  # the function that compiles CUDA
        return None
    from charrnn.backend.gpu.operations import implementation

    return implementation(operation.name, xp)


def _native(operation: Operation[..., Any], xp: Any) -> Implementation | None:
    core = getattr(xp, "charrnn_core", None)
    if core is None:
        return None
    from charrnn.backend.native.operations import implementation

    compiled = implementation(operation.name, core)
    if compiled is None:
        return None

    def run(first: Any, *args: Any) -> Any:
        if first.dtype != "float32":
            return operation.plain(xp, first, *args)
        return compiled(first, *args)

    return run


PROVIDERS: dict[str, Provider] = {"gpu": _gpu, "native": _native, "plain": _plain}
"""All providers by name, in the order in which they are asked."""

_OPERATIONS: dict[str, Operation[..., Any]] = {}


def operation(plain: Callable[Concatenate[Any, P], R]) -> Operation[P, R]:
    """Make an operation of its plain definition."""
    made = Operation(plain)
    _OPERATIONS[made.name] = made
    return made


def operations() -> Mapping[str, Operation[..., Any]]:
    """Return every operation that has been defined so far, by name."""
    return MappingProxyType(_OPERATIONS)


def _name(plain: Callable[..., Any]) -> str:
    package = __name__.partition(".")[0] + "."
    if plain.__module__.startswith(package):
        return f"{plain.__module__.removeprefix(package)}.{plain.__qualname__}"
    return f"{plain.__module__}:{plain.__qualname__}"
