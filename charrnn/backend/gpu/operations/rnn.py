"""The pointwise equation of a vanilla cell's step."""

from __future__ import annotations

from typing import Any

from charrnn.backend.array import Array
from charrnn.backend.gpu.kernels import THREADS, CudaSource, Gpu, blocks, launches

CUDA = CudaSource("rnn.cu")


@launches("cells.rnn.pointwise_forward", CUDA)
def pointwise_forward(gpu: Gpu, s: Any, activation: str) -> None:
    """One thread computes an element of h."""
    arguments = (s.a, s.h, activation == "relu", s.h.size)
    gpu.launch(s.h.dtype, "rnn_forward", blocks(s.h.size), THREADS, *arguments)


@launches("cells.rnn.pointwise_backward", CUDA)
def pointwise_backward(
    gpu: Gpu, s: Any, dh: Array, dh_next: Array, scratch: Any, activation: str
) -> None:
    """One thread goes back through an element of h."""
    arguments = (s.h, dh, dh_next, s.a, activation == "relu", dh.size)
    gpu.launch(dh.dtype, "rnn_backward", blocks(dh.size), THREADS, *arguments)
