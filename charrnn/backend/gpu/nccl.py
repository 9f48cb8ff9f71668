"""A team whose members have a GPU each: NCCL adds the gradients, from device to device.

All else goes through the team of processes, on the host. NCCL (NVIDIA Collective Communications
Library) takes the sum in an order of its own, which is the same for the same GPUs and connections;
see ``ncclAllReduce`` in its documentation.
"""

from __future__ import annotations

import struct
from typing import Any

from charrnn.backend.array import Array
from charrnn.backend.gpu.open import reason
from charrnn.backend.team import Team
from charrnn.errors import BackendError, setting


class GpuTeam(Team):
    """Members that add arrays on their GPUs, enqueued in the current stream.

    Parameters
    ----------
    team
        The same members, on the host.
    cupy
        The array module; its current device is this member's.

    Raises
    ------
    BackendError
        If NCCL is missing, or cannot connect the GPUs.
    """

    def __init__(self, team: Team, cupy: Any) -> None:
        self._team, self._cuda = team, cupy.cuda
        self.size, self.rank = team.size, team.rank
        self.place, self.beside = team.place, team.beside
        nccl: Any = getattr(cupy.cuda, "nccl", None)
        self._nccl = nccl
        team.together(self._require)
        made = team.of_first(self._identifier)
        identifier = struct.unpack(f"{len(made)}b", made)
        self._comm = team.together(lambda: self._connect(identifier))
        types = nccl.NCCL_FLOAT32, nccl.NCCL_FLOAT64
        self._types = dict(zip(("float32", "float64"), types, strict=True))

    def cores(self) -> int:
        """Return how many cores of the processor this member may use."""
        return self._team.cores()

    def sum(self, flat: Array) -> None:
        """Replace ``flat``, on the device, by the sum over all members; the host does not wait."""
        at, stream = flat.data.ptr, self._cuda.get_current_stream().ptr
        kind, add = self._types[flat.dtype.name], self._nccl.NCCL_SUM
        self._comm.allReduce(at, at, flat.size, kind, add, stream)

    def gather(self, data: bytes) -> list[bytes]:
        """Return what every member gave, by rank."""
        return self._team.gather(data)

    def numbers(self, number: float) -> list[float]:
        """Return the number that every member gave, by rank."""
        return self._team.numbers(number)

    def _require(self) -> None:
        if self._nccl is None or not getattr(self._nccl, "available", True):
            raise BackendError(
                "CuPy finds no NCCL, which connects the GPUs of several ranks",
                f"install NCCL for its CUDA, or give {setting('backend')} numpy",
            )

    def _identifier(self) -> bytes:
        try:
            numbers = self._nccl.get_unique_id()
        except Exception as problem:  # NCCL's own classes
            raise _failed(problem) from None
        return struct.pack(f"{len(numbers)}b", *numbers)

    def _connect(self, identifier: tuple[int, ...]) -> Any:
        try:
            return self._nccl.NcclCommunicator(self.size, identifier, self.rank)
        except Exception as problem:
            raise _failed(problem) from None


def _failed(problem: Exception) -> BackendError:
    message = f"NCCL cannot connect the GPUs: {reason(problem)}"
    return BackendError(message, f"see NCCL_DEBUG=INFO, or give {setting('backend')} numpy")
