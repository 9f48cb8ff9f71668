"""A rank's part of a training text, and the windows of its own streams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from charrnn.backend.team import share_of
from charrnn.display import count
from charrnn.errors import CorpusError, setting
from charrnn.text.units.pieces import Ids, Numbers, Pieces, TextIds
from charrnn.text.windows import Streams


class Part(Pieces):
    """The part of the training text that this rank has, in the ids of the vocabulary of all.

    Parameters
    ----------
    text
        In the ids of this part's own vocabulary; it may be memory-mapped.
    table
        The id that each of them has in the vocabulary of all.
    lengths
        Symbols of each rank's part.
    rank
        Whose part this is.
    """

    def __init__(self, text: TextIds, table: Ids, lengths: Sequence[int], rank: int) -> None:
        if isinstance(text, Pieces):
            super().__init__(text.ids, *text.bounds())
        else:
            ends: Numbers = np.array([0, len(text)])
            super().__init__(text, ends[:1], ends[1:])
        self._table, self.lengths, self.rank = table, tuple(lengths), rank

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        """The type of the ids."""
        return self._table.dtype

    def __getitem__(self, part: slice) -> Ids:
        found: Ids = self._table[super().__getitem__(part)]
        return found

    def windows(self, batch: int, seq_len: int) -> int:
        """Return the windows of an epoch: those of the rank whose streams are the shortest.

        Raises
        ------
        CorpusError
            If a rank has less than a window.
        """
        size, found = len(self.lengths), list[int]()
        for rank, length in enumerate(self.lengths):
            streams = share_of(batch, rank, size)
            streams = streams.stop - streams.start
            least = streams * seq_len + 1
            if length < least:
                raise CorpusError(
                    f"the files of rank {rank} have {count(length, 'symbol')} to train on, one "
                    f"window of its {count(streams, 'stream')} needs {least:,}",
                    f"lower {setting('batch')} or {setting('seq_len')}, or order the files so that "
                    "each rank has more",
                )
            found.append((length - 1) // max(1, streams) // seq_len)
        return min(found)


class PartStreams(Streams):
    """The windows of a part: a rank's own streams, cut from its own files.

    Parameters are those of :class:`Streams`; ``batch`` is the number of streams of all ranks.
    """

    def __init__(self, part: Part, batch: int, seq_len: int, **how: Any) -> None:
        mine = share_of(batch, part.rank, len(part.lengths))
        super().__init__(part, mine.stop - mine.start, seq_len, **how)
        self.windows_per_epoch = part.windows(batch, seq_len)
        self.among(batch, mine)
