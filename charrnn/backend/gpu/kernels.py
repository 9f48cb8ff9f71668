"""Fused operations: a plain definition on the array module, and CUDA text that must equal it.

An operation is one callable. On NumPy, and on any array module that cannot compile CUDA, it runs
its plain definition; on CuPy it launches its CUDA functions::

    @fused(CUDA, _on_gpu)
    def scaled(xp, x, factor):
        return x * factor

    def _on_gpu(gpu, x, factor):
        out = gpu.xp.empty_like(x)
        gpu.launch(x.dtype, "scaled", blocks(x.size), THREADS, x, factor, out, x.size)
        return out

CUDA text is written once for both precisions, with ``real`` as the type of the elements, and needs
no header. Arguments are converted to the types of the function's parameters, as its text declares
them, so that a launch cannot disagree with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Concatenate, Generic, NamedTuple, ParamSpec, TypeVar

from charrnn.backend.array import Array

P = ParamSpec("P")
R = TypeVar("R")

THREADS = 256
"""Threads of a block, where nothing speaks for another number."""
MOST_BLOCKS = 4096
"""Blocks of a grid whose threads take several elements each."""

PRELUDE = r"""
typedef unsigned int u32;
typedef unsigned long long u64;

// The first element of a thread, and the distance to its next one.
__device__ __forceinline__ long long first() {
    return (long long)blockIdx.x * blockDim.x + threadIdx.x;
}
__device__ __forceinline__ long long stride() {
    return (long long)gridDim.x * blockDim.x;
}

// Symbol i of an array whose elements have `width` bytes.
__device__ __forceinline__ long long symbol(const void* ids, int width, long long i) {
    switch (width) {
        case 1: return ((const unsigned char*)ids)[i];
        case 2: return ((const unsigned short*)ids)[i];
        case 4: return ((const unsigned int*)ids)[i];
        default: return ((const long long*)ids)[i];
    }
}

// The sum over the threads of a block (a power of two of them), in an order that never changes.
__device__ inline double block_sum(double value, double* room, int thread, int threads) {
    room[thread] = value;
    for (int half = threads / 2; half > 0; half /= 2) {
        __syncthreads();
        if (thread < half) room[thread] += room[thread + half];
    }
    __syncthreads();
    double sum = room[0];
    __syncthreads();
    return sum;
}
"""

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


class Source:
    """CUDA text of one subject, compiled once for each precision that is asked for.

    Attributes
    ----------
    functions
        Its ``__global__`` functions, each declared ``extern "C"``, with their parameters.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.functions = functions(text)
        self._compiled: dict[tuple[Any, str], Any] = {}

    def code(self, dtype: str) -> str:
        """Return all that the compiler reads; ``dtype`` is ``"float32"`` or ``"float64"``."""
        real = {"float32": "float", "float64": "double"}[dtype]
        return f"typedef {real} real;\n{PRELUDE}\n{self.text}"

    def function(self, xp: Any, name: str, dtype: str) -> Any:
        """Return the compiled function ``name``."""
        module = self._compiled.get((xp, dtype))
        if module is None:
            module = self._compiled[xp, dtype] = xp.RawModule(code=self.code(dtype))
        return module.get_function(name)


class Gpu:
    """Launches the functions of one source.

    Attributes
    ----------
    xp
        The array module.
    """

    def __init__(self, xp: Any, source: Source) -> None:
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
        parameters = self._source.functions[name]
        if len(parameters) != len(arguments):
            raise TypeError(f"{name} takes {len(parameters)} arguments, not {len(arguments)}")
        given = zip(parameters, arguments, strict=True)
        values = tuple(_argument(parameter, value, real) for parameter, value in given)
        grid, block = (n if isinstance(n, tuple) else (n,) for n in (grid, block))
        self._source.function(self.xp, name, real)(grid, block, values)


class Strided(NamedTuple):
    """An array that a function addresses by strides that it is given."""

    array: Array


def _argument(parameter: Parameter, value: Any, real: str) -> Any:
    """Return the value as the function's parameter takes it."""
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
    """Return how many blocks take ``elements`` elements, ``each`` at a time; at least one."""
    return max(1, min(MOST_BLOCKS, -(-elements // each)))


class Kernel(Generic[P, R]):
    """One fused operation.

    Attributes
    ----------
    name
        Module and function, without the package's name.
    plain
        The definition, ``plain(xp, ...)``.
    source
        The CUDA text.
    """

    def __init__(
        self,
        plain: Callable[Concatenate[Any, P], R],
        source: Source,
        on_gpu: Callable[Concatenate[Gpu, P], R],
    ) -> None:
        self.name = f"{plain.__module__}.{plain.__qualname__}".removeprefix("charrnn.")
        self.plain, self.source = plain, source
        self._on_gpu = on_gpu
        self.__doc__ = plain.__doc__

    def __call__(self, xp: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the operation on the array module ``xp``."""
        if xp.__name__ == "numpy" or not hasattr(xp, "RawModule"):
            return self.plain(xp, *args, **kwargs)
        return self._on_gpu(Gpu(xp, self.source), *args, **kwargs)

    def __repr__(self) -> str:
        return f"<kernel {self.name}>"


_REGISTRY: dict[str, Kernel[..., Any]] = {}


def fused(
    source: Source, on_gpu: Callable[Concatenate[Gpu, P], R]
) -> Callable[[Callable[Concatenate[Any, P], R]], Kernel[P, R]]:
    """Make a plain definition an operation that runs ``on_gpu`` where CUDA can be compiled."""

    def make(plain: Callable[Concatenate[Any, P], R]) -> Kernel[P, R]:
        kernel = Kernel(plain, source, on_gpu)
        _REGISTRY[kernel.name] = kernel
        return kernel

    return make


def registry() -> Mapping[str, Kernel[..., Any]]:
    """Return every operation that was defined so far, by name."""
    return MappingProxyType(_REGISTRY)
