"""From logits to symbols: a block of threads for each stream."""

from __future__ import annotations

from charrnn.backend.array import Array
from charrnn.backend.gpu.kernels import CudaSource, Gpu, launches

CUDA = CudaSource("on_device.cu")

_THREADS = 128


@launches("sampling.on_device.temper", CUDA)
def temper(gpu: Gpu, logits: Array, temperature: float, unknown: int | None, least: float) -> Array:
    """One block of threads per column of the logits."""
    V, N = logits.shape
    weights = gpu.xp.empty((N, V), gpu.xp.float64)
    never = -1 if unknown is None else unknown
    arguments = (logits, V, N, temperature, least, never, weights)
    gpu.launch(logits.dtype, "temper", N, _THREADS, *arguments)
    return weights


@launches("sampling.on_device.choose", CUDA)
def choose(gpu: Gpu, weights: Array, uniforms: Array) -> Array:
    """One block of threads per row of the weights."""
    N, V = weights.shape
    ids = gpu.xp.empty(N, gpu.xp.int64)
    gpu.launch("float64", "choose", N, _THREADS, weights, uniforms, V, ids)
    return ids


@launches("sampling.on_device.log_probabilities", CUDA)
def log_probabilities(gpu: Gpu, logits: Array, ids: Array) -> Array:
    """One block of threads per column of the logits."""
    V, N = logits.shape
    out = gpu.xp.empty(N, gpu.xp.float64)
    gpu.launch(logits.dtype, "log_p", N, _THREADS, logits, ids, V, N, out)
    return out
