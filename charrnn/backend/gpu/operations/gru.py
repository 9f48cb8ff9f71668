"""The pointwise equations of a GRU's step, in both forms."""

from __future__ import annotations

from typing import Any

from charrnn.backend.array import Array
from charrnn.backend.gpu.kernels import THREADS, CudaSource, Gpu, blocks, launches

CUDA = CudaSource("gru.cu")


@launches("cells.gru.after_forward", CUDA)
def after_forward(gpu: Gpu, s: Any, bias: Array, scratch: Any) -> None:
    """One thread computes an element of all gates and of h."""
    arguments = (s.all, scratch.recurrent, bias, s.h_before, s.h)
    _launch(gpu, "gru_after_forward", arguments, s.h.size, s.h.shape[1])


@launches("cells.gru.after_backward", CUDA)
def after_backward(gpu: Gpu, s: Any, dh: Array, gradient: Array, scratch: Any) -> None:
    """One thread goes back through an element of all gates and of h."""
    _launch(gpu, "gru_after_backward", (s.all, s.h_before, dh, gradient), dh.size)


@launches("cells.gru.before_gates_forward", CUDA)
def before_gates_forward(gpu: Gpu, s: Any, scratch: Any) -> None:
    """One thread computes an element of r, z and r ⊙ h'."""
    arguments = (s.rz, scratch.recurrent, s.h_before, s.u)
    _launch(gpu, "gru_before_gates", arguments, s.h.size)


@launches("cells.gru.candidate_forward", CUDA)
def candidate_forward(gpu: Gpu, s: Any, scratch: Any) -> None:
    """One thread computes an element of n and h."""
    arguments = (s.all, scratch.one, s.h_before, s.h)
    _launch(gpu, "gru_before_candidate", arguments, s.h.size)


@launches("cells.gru.candidate_backward", CUDA)
def candidate_backward(gpu: Gpu, s: Any, dh: Array, gradient: Array, scratch: Any) -> None:
    """One thread goes back through an element of n and h."""
    arguments = (s.all, s.h_before, dh, gradient, scratch.d_z)
    _launch(gpu, "gru_before_backward", arguments, dh.size)


@launches("cells.gru.before_gates_backward", CUDA)
def before_gates_backward(gpu: Gpu, s: Any, gradient: Array, scratch: Any) -> None:
    """One thread goes back through an element of r and z."""
    arguments = (s.rz, s.h_before, scratch.one, scratch.d_z, gradient)
    _launch(gpu, "gru_before_backward_gates", arguments, gradient.size)


def _launch(gpu: Gpu, name: str, arguments: tuple[Any, ...], size: int, *rest: int) -> None:
    dtype = arguments[0].dtype
    gpu.launch(dtype, name, blocks(size), THREADS, *arguments, size, *rest)
