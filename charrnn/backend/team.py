"""A team: members that train one model together, each on separate streams.

A member may be a process, a thread or a GPU. Each holds the same weights, computes the gradient of
its own streams, and adds it to those of the others; then all apply the same update. Every method
below is collective: all members call it, in the same order, and wait for each other. All get the
same result, bit for bit, so they always make the same decisions.

:class:`Alone`, the team of one member, is the default everywhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from charrnn.backend.array import Array


class Team(ABC):
    """The collective operations of a team.

    Attributes
    ----------
    size
        Number of members, at least 1.
    rank
        The number of this member, from 0 to ``size`` - 1.
    """

    size: int
    rank: int

    def share(self, streams: int) -> slice:
        """Return this member's share of the streams; all shares are about equal."""
        first, last = (streams * (self.rank + k) // self.size for k in (0, 1))
        return slice(first, last)

    @abstractmethod
    def sum(self, flat: Array) -> None:
        """Replace ``flat`` by the sum over all members.

        Parameters
        ----------
        flat
            A contiguous array (P,), of the same size and dtype on every member; overwritten. The
            additions are made in an order that is the same at every run.
        """

    @abstractmethod
    def any(self, flag: bool) -> bool:
        """Return whether ``flag`` is true on at least one member."""

    @abstractmethod
    def same(self, number: float) -> float:
        """Return the number that member 0 gave.

        For values that each member would measure differently, such as the elapsed time.
        """


class Alone(Team):
    """A team of one member, which never waits."""

    size = 1
    rank = 0

    def sum(self, flat: Array) -> None:
        """Leave ``flat`` as it is."""

    def any(self, flag: bool) -> bool:
        """Return ``flag``."""
        return flag

    def same(self, number: float) -> float:
        """Return ``number``."""
        return number
