"""A team: members that train one model together, each on separate streams.

A member may be a process, a thread or a GPU. Each holds the same weights, computes the gradient of
its own streams, and adds it to those of the others; then all apply the same update. Every method
but :meth:`Team.share` and :meth:`Team.shares` is collective: all members call it, in the same
order, and wait for each other. All get the same result, bit for bit, so they always make the same
decisions.

:class:`Alone`, the team of one member, is the default everywhere.
"""

from __future__ import annotations

import json
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from charrnn.backend.array import Array
from charrnn.backend.threads import cores
from charrnn.errors import CharRNNError

R = TypeVar("R")


def share_of(streams: int, rank: int, size: int) -> slice:
    """Return a member's share of the streams; all shares are about equal."""
    first, last = (streams * (rank + k) // size for k in (0, 1))
    return slice(first, last)


class Team(ABC):
    """The collective operations of a team.

    Attributes
    ----------
    size
        Number of members, at least 1.
    rank
        The number of this member, from 0 to ``size`` - 1.
    place
        The number of this member among those on its machine.
    beside
        How many members are on this machine, this one included.
    """

    size: int
    rank: int
    place: int = 0
    beside: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the first member on its machine."""
        return self.place == 0

    def share(self, streams: int) -> slice:
        """Return this member's share of the streams; all shares are about equal."""
        return share_of(streams, self.rank, self.size)

    def shares(self, states: Mapping[str, np.ndarray], N: int) -> dict[str, np.ndarray]:
        """Return this member's share of the streams of states (H, N); others are left whole."""
        mine = self.share(N)
        return {k: x[:, mine] if x.shape[1] == N else x for k, x in states.items()}

    @abstractmethod
    def sum(self, flat: Array) -> None:
        """Replace ``flat`` by the sum over all members.

        Parameters
        ----------
        flat
            A contiguous array (P,), of the same size and dtype on every member; overwritten. The
            additions are made in an order that is the same at every run.
        """

    def cores(self) -> int:
        """Return how many cores of the processor this member may use, at least 1."""
        return cores()

    @abstractmethod
    def gather(self, data: bytes) -> list[bytes]:
        """Return what every member gave, by rank."""

    def joined(self, mine: np.ndarray) -> np.ndarray:
        """Return the streams (H, N) of all members, of which these are a member's own."""
        if self.size == 1:
            return mine
        found = self.gather(mine.T.tobytes())
        return np.frombuffer(b"".join(found), mine.dtype).reshape(-1, len(mine)).T.copy()

    def numbers(self, number: float) -> list[float]:
        """Return the number that every member gave, by rank."""
        return [struct.unpack("<d", each)[0] for each in self.gather(struct.pack("<d", number))]

    def any(self, flag: bool) -> bool:
        """Return whether ``flag`` is true on at least one member."""
        return any(self.numbers(flag))

    def same(self, number: float) -> float:
        """Return the number that member 0 gave.

        For values that each member would measure differently, such as the elapsed time.
        """
        return self.numbers(number)[0]

    def total(self, number: float) -> float:
        """Return the sum of the members' numbers, added in the order of their ranks."""
        return sum(self.numbers(number))

    def of_first(self, produce: Callable[[], bytes]) -> bytes:
        """Return what member 0 produces; the others do not call ``produce``.

        Raises
        ------
        CharRNNError
            On all members, with the same message, if ``produce`` raises one.
        """
        if self.size == 1:
            return produce()
        failed = found = b""
        if self.rank == 0:
            try:
                found = produce()
            except CharRNNError as problem:
                failed = _packed(problem, self.rank)
        self._agree(failed)
        return self.gather(found)[0]

    def together(self, act: Callable[[], R]) -> R:
        """Return what ``act`` returns on this member; if it fails on one, fail on all.

        ``act`` must not call a method of the team.

        Raises
        ------
        CharRNNError
            On all members, with the message of the first one on which ``act`` raises one.
        """
        if self.size == 1:
            return act()
        result: Any = None
        failed = b""
        try:
            result = act()
        except CharRNNError as problem:
            failed = _packed(problem, self.rank)
        self._agree(failed)
        return result  # type: ignore[no-any-return]

    def in_turn(self, act: Callable[[], R]) -> R:
        """Do as :meth:`together`, but let the first member of each machine finish first.

        For what it may leave there for the others, such as a text in the cache.
        """
        first = self.together(act) if self.leads else self.together(lambda: None)
        second = self.together(lambda: None) if self.leads else self.together(act)
        result: Any = first if self.leads else second
        return result  # type: ignore[no-any-return]

    def require_same(self, facts: Mapping[str, str]) -> None:
        """Raise :class:`CharRNNError` on all members unless all give the same facts.

        The message names the first fact that differs, by its key, and whose it is.
        """
        found = [json.loads(each) for each in self.gather(json.dumps(dict(facts)).encode())]
        for name in facts:
            for rank, theirs in enumerate(found):
                if theirs.get(name) != found[0].get(name):
                    problem = CharRNNError(
                        f"rank {rank} has another {name} than rank 0",
                        "start all ranks with the same command, texts and version of charrnn",
                    )
                    problem.everywhere = True
                    raise problem

    def _agree(self, failure: bytes) -> None:
        """Raise the first failure that a member gives, packed; empty is none."""
        first = next((each for each in self.gather(failure) if each), b"")
        if first:
            raise _unpacked(first)


def _packed(problem: CharRNNError, rank: int) -> bytes:
    facts = [rank, problem.message, problem.remedy, problem.exit_code]
    return json.dumps(facts).encode("utf-8", "surrogatepass")


def _unpacked(data: bytes) -> CharRNNError:
    rank, message, remedy, code = json.loads(data)
    problem = CharRNNError(f"rank {rank}: {message}" if rank else message, remedy)
    problem.exit_code, problem.everywhere = code, True
    return problem


class Alone(Team):
    """A team of one member, which never waits."""

    size = 1
    rank = 0

    def sum(self, flat: Array) -> None:
        """Leave ``flat`` as it is."""

    def gather(self, data: bytes) -> list[bytes]:
        """Return ``data`` alone."""
        return [data]

    def numbers(self, number: float) -> list[float]:
        """Return ``number`` alone."""
        return [number]

    def any(self, flag: bool) -> bool:
        """Return ``flag``."""
        return flag

    def same(self, number: float) -> float:
        """Return ``number``."""
        return number
