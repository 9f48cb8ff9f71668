"""Files without a name: ids of a text that is being read, in the cache's folder."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

from charrnn.text.cache import store


def temporary() -> BinaryIO:
    """Return a new file without a name, in the cache's folder or else where temporary files go.

    If what is written does not fit, :class:`charrnn.text.cache.store.UnwritableError` says where.
    """
    folder = store.cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(buffering=0, dir=folder)  # noqa: SIM115
    except OSError:
        folder = Path(tempfile.gettempdir())
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
    return io.BufferedRandom(_Unnamed(file, folder))


class _Unnamed(io.RawIOBase):
    """A file of which a failed write names the folder."""

    def __init__(self, file: Any, folder: Path) -> None:
        super().__init__()
        self._file, self._folder = file, folder

    def write(self, data: Any) -> int:
        """Write bytes; return how many."""
        try:
            return int(self._file.write(data))
        except OSError as error:
            raise store.unwritable(error, self._folder) from None

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer; return how many bytes."""
        return int(self._file.readinto(buffer))

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a position and return it."""
        return int(self._file.seek(offset, whence))

    def fileno(self) -> int:
        """Return the number of the file."""
        return int(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()

    def readable(self) -> bool:
        """Whether it can be read."""
        return True

    writable = seekable = readable
