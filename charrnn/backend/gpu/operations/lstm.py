"""The pointwise equations of an LSTM's step."""

from __future__ import annotations

from typing import Any

from charrnn.backend.array import Array
from charrnn.backend.gpu.kernels import THREADS, Gpu, Source, blocks, launches

CUDA = Source("lstm.cu")


@launches("cells.lstm.pointwise_forward", CUDA)
def pointwise_forward(gpu: Gpu, s: Any, scratch: Any) -> None:
    """One thread computes an element of all gates and states."""
    size = s.h.size
    arguments = (s.gates, scratch.all, s.c_before, s.c, s.tanh_c, s.h, size)
    gpu.launch(s.h.dtype, "lstm_forward", blocks(size), THREADS, *arguments)


@launches("cells.lstm.pointwise_backward", CUDA)
def pointwise_backward(
    gpu: Gpu, s: Any, dh: Array, from_after: Array, dc: Array, scratch: Any
) -> None:
    """One thread goes back through an element of all gates and states."""
    size = dh.size
    arguments = (s.gates, s.c_before, s.tanh_c, dh, from_after, dc, size)
    gpu.launch(dh.dtype, "lstm_backward", blocks(size), THREADS, *arguments)


@launches("cells.lstm.complete", CUDA)
def complete(gpu: Gpu, s: Any, dh: Array, dc: Array, scratch: Any) -> None:
    """One thread has an element."""
    arguments = (s.o, s.tanh_c, dh, dc, dh.size)
    gpu.launch(dh.dtype, "lstm_complete", blocks(dh.size), THREADS, *arguments)
