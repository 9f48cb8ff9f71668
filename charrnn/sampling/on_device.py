"""From logits to symbols where the logits are: :mod:`charrnn.sampling.filters` for a device.

In float64, as on the host, with the same uniform numbers, so that the same symbols are drawn but
where rounding decides. Nothing is waited for: what is not a finite number gives the symbol -1.
"""

from __future__ import annotations

from typing import Any

from charrnn.backend import Array
from charrnn.backend.gpu.kernels import Gpu, Source, fused

_THREADS = 128
_COLDEST = 1e-100
"""A lower temperature gives the same choice; dividing by it could overflow."""

CUDA = Source(
    r"""
// A block of 128 threads has one stream, a column of the logits (V, N).

// The largest logit but that of the unknown symbol, and the first place where it is.
__device__ inline double largest(
    const real* column, int V, int N, int unknown, double* room, int* places, int* place
) {
    int thread = threadIdx.x, at = V;
    double top = 0;
    for (int v = thread; v < V; v += 128) {
        if (v == unknown) continue;
        double z = column[(long long)v * N];
        if (at == V || z > top || z != z) { top = z; at = v; }
        if (z != z) break;
    }
    room[thread] = top;
    places[thread] = at;
    for (int half = 64; half > 0; half /= 2) {
        __syncthreads();
        if (thread < half && places[thread + half] < V) {
            double mine = room[thread], other = room[thread + half];
            int here = places[thread], there = places[thread + half];
            bool take = here == V || other > mine || (other == mine && there < here);
            if (mine == mine && (take || other != other)) {
                room[thread] = other;
                places[thread] = there;
            }
        }
    }
    __syncthreads();
    top = room[0];
    *place = places[0];
    __syncthreads();
    return top;
}

extern "C" __global__ void temper(
    const real* logits, int V, int N, double temperature, double least, int unknown, double* weights
) {
    __shared__ double room[128];
    __shared__ int places[128];
    const real* column = logits + blockIdx.x;
    double* row = weights + (long long)blockIdx.x * V;
    int place;
    double top = largest(column, V, N, unknown, room, places, &place);
    for (int v = threadIdx.x; v < V; v += 128) {
        double z = column[(long long)v * N] - top, p;
        if (z != z && v != unknown) p = z;
        else if (v == unknown) p = top == top ? 0 : top;
        else if (temperature == 0) p = v == place ? 1 : 0;
        else p = exp(z / temperature);
        row[v] = p < least ? 0 : p;
    }
}

extern "C" __global__ void choose(
    const double* weights, const double* uniforms, int V, long long* ids
) {
    __shared__ double sums[129];
    __shared__ int found[128], last[128];
    const double* row = weights + (long long)blockIdx.x * V;
    int thread = threadIdx.x, each = (V + 127) / 128;
    int from = thread * each, to = from + each < V ? from + each : V;
    double sum = 0;
    for (int v = from; v < to; ++v) sum += row[v];
    sums[thread + 1] = sum;
    __syncthreads();
    if (thread == 0) {
        sums[0] = 0;
        for (int i = 0; i < 128; ++i) sums[i + 1] += sums[i];
    }
    __syncthreads();
    double whole = sums[128], goal = whole * uniforms[blockIdx.x], so_far = sums[thread];
    int mine = V, end = -1;
    for (int v = from; v < to; ++v) {
        so_far += row[v];
        if (row[v] > 0) end = v;
        if (row[v] > 0 && so_far > goal && mine == V) mine = v;
    }
    found[thread] = mine;
    last[thread] = end;
    __syncthreads();
    if (thread > 0) return;
    for (int i = 1; i < 128; ++i) {
        if (found[i] < mine) mine = found[i];
        if (last[i] > end) end = last[i];
    }
    if (!(whole <= 1.7e308)) mine = -1;  // NaN or infinite
    else if (mine == V) mine = end;  // rounding let the sum end below the goal
    ids[blockIdx.x] = mine;
}

extern "C" __global__ void log_p(
    const real* logits, const long long* ids, int V, int N, double* out
) {
    __shared__ double room[128];
    __shared__ int places[128];
    const real* column = logits + blockIdx.x;
    int place;
    double top = largest(column, V, N, -1, room, places, &place), sum = 0;
    for (int v = threadIdx.x; v < V; v += 128) sum += exp(column[(long long)v * N] - top);
    sum = block_sum(sum, room, threadIdx.x, 128);
    if (threadIdx.x == 0)
        out[blockIdx.x] = column[ids[blockIdx.x] * N] - top - log(sum);
}
"""
)


def _temper_on_gpu(
    gpu: Gpu, logits: Array, temperature: float, unknown: int | None, least: float
) -> Array:
    V, N = logits.shape
    weights = gpu.xp.empty((N, V), gpu.xp.float64)
    coldest = temperature and max(temperature, _COLDEST)
    never = -1 if unknown is None else unknown
    arguments = (logits, V, N, coldest, least, never, weights)
    gpu.launch(logits.dtype, "temper", N, _THREADS, *arguments)
    return weights


@fused(CUDA, _temper_on_gpu)
def temper(xp: Any, logits: Array, temperature: float, unknown: int | None, least: float) -> Array:
    """Return exp((logits - max) / temperature) as float64 (N, V) for logits (V, N).

    For temperature 0, 1 at the first maximum only. The symbol ``unknown`` gets 0, and so does what
    is below ``least`` (the share of min-p: the largest is 1). NaN where the logits are not finite.
    """
    scores = xp.ascontiguousarray(logits.T).astype(xp.float64)
    if unknown is not None:
        scores[:, unknown] = -xp.inf
    top = scores.max(axis=1, keepdims=True)
    scores = scores - top
    if temperature == 0:
        weights = xp.zeros_like(scores)
        rows = xp.arange(scores.shape[0], dtype=xp.int64)
        weights[rows, scores.argmax(axis=1)] = 1.0
        weights = xp.where(xp.isnan(scores), scores, weights)
    else:
        weights = xp.exp(scores / max(temperature, _COLDEST))
    return xp.where(weights < least, 0.0, weights)


def _choose_on_gpu(gpu: Gpu, weights: Array, uniforms: Array) -> Array:
    N, V = weights.shape
    ids = gpu.xp.empty(N, gpu.xp.int64)
    gpu.launch("float64", "choose", N, _THREADS, weights, uniforms, V, ids)
    return ids


@fused(CUDA, _choose_on_gpu)
def choose(xp: Any, weights: Array, uniforms: Array) -> Array:
    """Return for each row the first symbol whose cumulated weight exceeds u times the sum.

    ``weights`` is (N, V), ``uniforms`` (N,), both float64; the symbols are int64 (N,), -1 where the
    weights are not finite.
    """
    summed = weights.cumsum(axis=1)
    whole = summed[:, -1]
    below = (summed <= (whole * uniforms)[:, None]).sum(axis=1)
    return xp.where(xp.isfinite(whole), below, -1)


def _log_p_on_gpu(gpu: Gpu, logits: Array, ids: Array) -> Array:
    V, N = logits.shape
    out = gpu.xp.empty(N, gpu.xp.float64)
    gpu.launch(logits.dtype, "log_p", N, _THREADS, logits, ids, V, N, out)
    return out


@fused(CUDA, _log_p_on_gpu)
def log_probabilities(xp: Any, logits: Array, ids: Array) -> Array:
    """Return ln p of the symbols ``ids`` (N,), int64, for logits (V, N): float64 (N,), in nats."""
    scores = xp.ascontiguousarray(logits.T).astype(xp.float64)
    scores = scores - scores.max(axis=1, keepdims=True)
    chosen = scores[xp.arange(ids.size, dtype=xp.int64), ids]
    return chosen - xp.log(xp.exp(scores).sum(axis=1))
