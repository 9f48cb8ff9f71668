"""CUDA source files, compiled on first use, and how their functions are launched.

A ``.cu`` file is written once for both precisions, with ``real`` as the type of the elements, and
includes only the ``.cuh`` files next to it. Arguments are converted to the types that the function
declares for its parameters, so that a launch always fits it. A launcher is paired with its
operation by name::

    CUDA = CudaSource("example.cu")

    @launches("model.example.scaled", CUDA)
    def scaled(gpu, x, factor):
        out = gpu.xp.empty_like(x)
        gpu.launch(x.dtype, "scaled", blocks(x.size), THREADS, x, factor, out, x.size)
        return out
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from charrnn.backend.array import Array

F = TypeVar("F", bound=Callable[..., Any])

THREADS = 256
"""Default number of threads per block."""
MAX_BLOCKS = 4096
"""Maximum number of blocks of a grid; with more elements, each thread processes several."""

_OWN = "charrnn.backend.gpu.operations"

_SCALARS = {
    "int": "int32",
    "long long": "int64",
    "unsigned int": "uint32",
    "u32": "uint32",
    "unsigned long long": "uint64",
    "u64": "uint64",
    "unsigned char": "uint8",
    "float": "float32",
    "double": "float64",
}
_INCLUDE = re.compile(r'^#include "(\w+\.cuh)"$', re.M)
_FUNCTION = re.compile(
    r"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\(([^)]*)\)", re.S
)


class Parameter(NamedTuple):
    """A parameter of a CUDA function: its name, its C type, and whether it is a pointer to that."""

    name: str
    kind: str
    pointer: bool


def functions(text: str) -> dict[str, tuple[Parameter, ...]]:
    """Return the ``__global__`` functions of a CUDA text with their parameters."""
    return {
        name: tuple(_parameter(p) for p in inside.split(",") if p.strip())
        for name, inside in _FUNCTION.findall(text)
    }


def _parameter(declared: str) -> Parameter:
    words = [w for w in declared.replace("*", " * ").split() if w not in ("const", "__restrict__")]
    kind = " ".join(word for word in words[:-1] if word != "*")
    if kind not in _SCALARS and kind not in ("real", "void"):
        raise ValueError(f"unknown type in {declared.strip()!r}")
    return Parameter(words[-1], kind, "*" in words)


class CudaSource:
    """One ``.cu`` file, compiled once for each precision that is needed.

    Parameters
    ----------
    name
        The name of the file.
    folder
        The folder that holds it; by default this package's own.
    """

    def __init__(self, name: str, folder: Traversable | None = None) -> None:
        self.name = name
        self._folder = folder or files(_OWN)
        self._compiled: dict[tuple[Any, str], Any] = {}

    @cached_property
    def text(self) -> str:
        """The text, with the included files in place of the ``#include`` lines."""
        return _read(self._folder, self.name)

    @cached_property
    def functions(self) -> dict[str, tuple[Parameter, ...]]:
        """Its ``__global__`` functions, each declared ``extern "C"``, with their parameters."""
        return functions(self.text)

    def code(self, dtype: str) -> str:
        """Return the complete text for the compiler; ``dtype`` is ``float32`` or ``float64``."""
        real = {"float32": "float", "float64": "double"}[dtype]
        return f"typedef {real} real;\n{_read(files(_OWN), 'prelude.cuh')}\n{self.text}"

    def function(self, xp: Any, name: str, dtype: str) -> Any:
        """Return the compiled function ``name``."""
        module = self._compiled.get((xp, dtype))
        if module is None:
            module = self._compiled[xp, dtype] = xp.RawModule(code=self.code(dtype))
        return module.get_function(name)


def _read(folder: Traversable, name: str) -> str:
    """Return a file's text; NVRTC finds no files, so includes are replaced by their text here."""
    text = folder.joinpath(name).read_text("utf-8")
    return _INCLUDE.sub(lambda line: _read(folder, line[1]), text)


class Gpu:
    """Launches the functions of one source.

    Attributes
    ----------
    xp
        The array module.
    """

    def __init__(self, xp: Any, source: CudaSource | None) -> None:
        self.xp = xp
        self._source = source

    def launch(
        self,
        dtype: Any,
        name: str,
        grid: int | tuple[int, ...],
        block: int | tuple[int, ...],
        *arguments: Any,
    ) -> None:
        """Run ``name``, compiled for ``dtype``, on ``grid`` blocks of ``block`` threads.

        Arrays must be contiguous, and of the type that the function declares, unless they are
        wrapped in :class:`Strided`; None is a null pointer. The host does not wait.
        """
        real = str(dtype)
        assert self._source is not None, "this launcher named no source"
        parameters = self._source.functions[name]
        if len(parameters) != len(arguments):
            raise TypeError(f"{name} takes {len(parameters)} arguments, not {len(arguments)}")
        given = zip(parameters, arguments, strict=True)
        values = tuple(_argument(parameter, value, real) for parameter, value in given)
        grid, block = (n if isinstance(n, tuple) else (n,) for n in (grid, block))
        self._source.function(self.xp, name, real)(grid, block, values)


class Strided(NamedTuple):
    """An array that need not be contiguous, because the function receives its strides."""

    array: Array


def _argument(parameter: Parameter, value: Any, real: str) -> Any:
    """Return the value in the type of the function's parameter."""
    import numpy as np

    wanted = real if parameter.kind == "real" else _SCALARS.get(parameter.kind)
    if not parameter.pointer:
        return np.dtype(wanted).type(value)
    if value is None:
        return np.uint64(0)
    if isinstance(value, Strided):
        value = value.array
    elif not value.flags.c_contiguous:
        raise ValueError(f"{parameter.name} must be contiguous")
    if wanted is not None and value.dtype != wanted:
        raise TypeError(f"{parameter.name} must be {wanted}, not {value.dtype}")
    return value


def blocks(elements: int, each: int = THREADS) -> int:
    """Return the number of blocks, at least one, for ``elements`` elements, ``each`` per block."""
    return max(1, min(MAX_BLOCKS, -(-elements // each)))


class Launcher(NamedTuple):
    """Runs an operation on a GPU: ``launch(gpu, ...)``, and the source that it launches."""

    launch: Callable[..., Any]
    source: CudaSource | None


_LAUNCHERS: dict[str, Launcher] = {}


def launches(operation: str, source: CudaSource | None = None) -> Callable[[F], F]:
    """Make a function the launcher of the operation of that name; it may launch ``source`` only."""

    def make(launch: F) -> F:
        _LAUNCHERS[operation] = Launcher(launch, source)
        return launch

    return make


def launchers() -> Mapping[str, Launcher]:
    """Return all launchers that have been defined so far, by the names of their operations."""
    return MappingProxyType(_LAUNCHERS)
