"""A backend: an array module and the properties of the device that it computes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from charrnn.backend.order import LayerByLayer, LayerOrder

if TYPE_CHECKING:
    import numpy as np

    from charrnn.backend.native.core import Core

Array = Any  # numpy.ndarray or cupy.ndarray; neither has a common typed base
Computation = Callable[..., Array]

CACHED = 1 << 15
"""Elements of a block that fits the caches of a CPU."""


class Recorder(Protocol):
    """Records a computation and replays it as a unit.

    Attributes
    ----------
    note
        Why nothing is recorded (any more); empty while recording works.
    """

    note: str

    def record(self, compute: Computation, held: Callable[[], Any]) -> Computation:
        """Return ``compute`` in a form that is recorded at its second call.

        ``compute`` takes arrays, always of the same shapes and dtypes, and returns one. ``held``
        returns the other arrays that it reads or writes; they must stay alive as long as the
        recording.
        """


@dataclass(frozen=True)
class Backend:
    """An array module and the properties of its device.

    Attributes
    ----------
    name
        ``"numpy"`` or ``"cupy"``.
    xp
        The array module.
    note
        Why ``auto`` fell back to this one; empty if it did not.
    expected
        Whether the fallback is normal (CuPy is not installed), so that no note is needed.
    block
        Elements of the flat parameter vector to process at a time: on a CPU as many as fit the
        caches, on a GPU all of them.
    matmul
        How products of float32 matrices are computed, ``"fp32"``, ``"tf32"`` or ``"bf16"``.
    batched
        Whether the products of one matrix with those of many steps are fastest as one batched
        product, without a copy.
    order
        The order in which the layers of a stack go through a window.
    graphs
        Records computations; None on NumPy.
    """

    name: str
    xp: Any
    note: str = ""
    block: int = CACHED
    matmul: str = "fp32"
    expected: bool = False
    batched: bool = False
    order: LayerOrder = field(default_factory=LayerByLayer)
    graphs: Recorder | None = None

    @property
    def core(self) -> Core | None:
        """The compiled core for float32 models; None without it."""
        found: Core | None = getattr(self.xp, "charrnn_core", None)
        return found

    def do(self, function: Callable[..., Any], *args: Any, **more: Any) -> None:
        """Call a function that changes arrays in place, so that recorded computations repeat it."""
        if self.core is None:
            function(*args, **more)
        else:
            self.core.do(partial(function, *args, **more))

    @property
    def synchronous(self) -> bool:
        """Whether reading a value needs no synchronisation."""
        return self.name == "numpy"

    def put(self, host: np.ndarray, dtype: Any = None) -> Array:
        """Copy a host array to the backend's device (NumPy copies only to change the dtype)."""
        return self.xp.asarray(host, dtype=dtype)

    def get(self, array: Array) -> np.ndarray:
        """Return the array on the host: itself on NumPy, a copy from a GPU (which waits for it)."""
        if self.name == "numpy":
            return self.xp.asarray(array)  # type: ignore[no-any-return]
        host: np.ndarray = self.xp.asnumpy(array)
        return host


def numpy_backend(
    note: str = "", expected: bool = False, core: Core | None = None, matmul: str = "fp32"
) -> Backend:
    """Return the NumPy backend, with or without a compiled core, which multiplies as ``matmul``."""
    import numpy as np

    xp = np if core is None else core.module()
    return Backend("numpy", xp, note, expected=expected, matmul=matmul)
