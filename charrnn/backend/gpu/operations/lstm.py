"""The pointwise equations of an LSTM's step."""

from __future__ import annotations

from typing import Any

from charrnn.backend.array import Array
from charrnn.backend.gpu.kernels import THREADS, CudaSource, Gpu, blocks, launches

CUDA = CudaSource("lstm.cu")


@launches("cells.lstm.pointwise_forward", CUDA)
def pointwise_forward(gpu: Gpu, s: Any, scratch: Any) -> None:
    """One thread computes an element of all gates and states."""
    size = s.h.size
    arguments = (s.gates, scratch.all, s.c_before, s.c, s.tanh_c, s.h, size)
    gpu.launch(s.h.dtype, "lstm_forward", blocks(size), THREADS, *arguments)


@launches("cells.lstm.pointwise_backward", CUDA)
def pointwise_backward(
    gpu: Gpu, s: Any, dh: Array, dh_next: Array, dc: Array, scratch: Any
) -> None:
    """One thread goes back through an element of all gates and states."""
    size = dh.size
    arguments = (s.gates, s.c_before, s.tanh_c, dh, dh_next, dc, size)
    gpu.launch(dh.dtype, "lstm_backward", blocks(size), THREADS, *arguments)


@launches("cells.lstm.add_output_path", CUDA)
def add_output_path(gpu: Gpu, s: Any, dh: Array, dc: Array, scratch: Any) -> None:
    """One thread computes an element of dc."""
    arguments = (s.o, s.tanh_c, dh, dc, dh.size)
    gpu.launch(dh.dtype, "lstm_output_path", blocks(dh.size), THREADS, *arguments)
