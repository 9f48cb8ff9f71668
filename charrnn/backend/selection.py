"""Choosing a backend by name."""

from __future__ import annotations

import os

from charrnn.backend.array import Backend, numpy_backend
from charrnn.backend.order import LayerByLayer
from charrnn.backend.threads import default_threads
from charrnn.errors import BackendError, UsageError, setting

NAMES: tuple[str, ...] = ("auto", "numpy", "cupy")
MATMULS: tuple[str, ...] = ("fp32", "tf32", "bf16")
CORES: tuple[str, ...] = ("auto", "native", "numpy")
CORE_VARIABLE = "CHARRNN_CORE"
"""The environment variable that says what ``auto`` means for the core."""


def select(
    name: str = "auto",
    matmul: str = "fp32",
    core: str = "auto",
    threads: int | None = None,
    place: tuple[int, int] = (0, 1),
) -> Backend:
    """Return the backend called ``name``; ``auto`` chooses a working GPU, else the CPU.

    Parameters
    ----------
    name
        One of :data:`NAMES`; ``numpy`` means the CPU, with or without the compiled core.
    matmul
        How it multiplies float32 matrices: ``fp32``, ``tf32`` (only on a GPU) or ``bf16`` (only the
        compiled core: factors are rounded to bfloat16, sums stay in float32).
    core
        Whether the compiled core computes on the processor: ``native``, ``numpy`` (it does not), or
        ``auto``, which is ``native`` if it can be.
    threads
        Threads of the compiled core; by default one per core of the processor.
    place
        The number of this process among those that share the machine's GPUs, and how many they are.

    Raises
    ------
    UsageError
        If a name is unknown, or if what computes cannot multiply as requested.
    BackendError
        If CuPy or the compiled core was requested and cannot run; the message says why.
    """
    core = _default_core() if core == "auto" else core
    for value, known, called in (
        (name, NAMES, "backend"),
        (matmul, MATMULS, setting("matmul")),
        (core, CORES, setting("core")),
    ):
        if value not in known:
            raise UsageError(f"unknown {called} {value!r}", f"choose one of {', '.join(known)}")
    if matmul == "bf16" and (name == "cupy" or core == "numpy"):
        raise UsageError(
            f"{setting('matmul')} bf16 needs the compiled core",
            f"leave it out, or give {setting('backend')} numpy and {setting('core')} native",
        )
    on_gpu = "fp32" if matmul == "bf16" else matmul
    chosen = numpy_backend() if name == "numpy" else _gpu_or_numpy(name, on_gpu, place)
    if chosen.matmul != on_gpu:
        why = f" ({chosen.note})" if chosen.note else ""
        raise UsageError(
            f"{setting('matmul')} {matmul} needs a GPU, but the CPU is used{why}",
            "leave it out",
        )
    if chosen.name != "numpy":
        if core == "native" or matmul == "bf16":
            asked = ("core", "native") if core == "native" else ("matmul", "bf16")
            raise UsageError(
                f"{setting(asked[0])} {asked[1]} computes on the processor, not on a GPU",
                f"leave it out, or add {setting('backend')} numpy",
            )
        return chosen
    return chosen if core == "numpy" else _with_core(chosen, core, matmul, threads)


def _default_core() -> str:
    core = os.environ.get(CORE_VARIABLE) or "auto"
    if core not in CORES:
        raise UsageError(f"{CORE_VARIABLE} is {core!r}", f"set it to one of {', '.join(CORES)}")
    return core


def _with_core(backend: Backend, core: str, matmul: str, threads: int | None) -> Backend:
    from charrnn.backend.native.library import open_core

    try:
        opened = open_core(threads or default_threads(), matmul=matmul)
    except BackendError:
        if core == "native" or matmul == "bf16":
            raise
        return backend
    return numpy_backend(backend.note, backend.expected, opened, matmul)


def reopen(name: str, matmul: str) -> Backend:
    """Return a backend as it was elsewhere, or NumPy if it cannot run here."""
    try:
        return select(name, matmul)
    except BackendError as problem:
        return numpy_backend(problem.message)


def _gpu_or_numpy(name: str, matmul: str, place: tuple[int, int]) -> Backend:
    from charrnn.backend.gpu.open import NotInstalledError, open_cupy

    try:
        cupy = open_cupy(matmul, place)
    except BackendError as problem:
        if name == "cupy":
            raise
        return numpy_backend(problem.message, expected=isinstance(problem, NotInstalledError))
    from charrnn.backend.gpu.cublas import with_own_products
    from charrnn.backend.gpu.graphs import Graphs
    from charrnn.backend.gpu.wavefront import Wavefront

    xp, why = with_own_products(cupy, matmul)
    graphs = Graphs(xp, why)
    return Backend(
        "cupy",
        xp,
        block=1 << 62,
        matmul=matmul,
        batched=not why,
        order=LayerByLayer() if why else Wavefront(graphs),
        graphs=graphs,
    )
