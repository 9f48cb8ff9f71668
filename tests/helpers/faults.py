"""The system calls by which files reach the disk: watched, cut short, made to fail."""

import errno
import os
from pathlib import Path

CALLS = ("open", "write", "fsync", "replace", "ftruncate")


def names(folder):
    """Return the sorted names in a folder."""
    return sorted(path.name for path in folder.iterdir())


class Disk:
    """Stands between the program and the files of one folder.

    Parameters
    ----------
    folder
        Calls on other files pass unseen.
    fail_at, error, lasting
        The call that fails (0 for the first), with which error, and whether all do from then on. A
        write that fails takes half of its bytes before.
    most
        Bytes that one write takes.
    """

    def __init__(self, monkeypatch, folder, fail_at=None, error=errno.ENOSPC, **options):
        self.folder, self.fail_at, self.error = str(folder), fail_at, error
        self.lasting, self.most = options.get("lasting", False), options.get("most")
        self.calls, self._paths = [], {}
        for name in CALLS:
            monkeypatch.setattr(os, name, self._around(name, getattr(os, name)))

    def _around(self, name, call):
        def wrapped(target, *rest, **options):
            path = self._paths.get(target) if isinstance(target, int) else str(target)
            if path is None or not path.startswith(self.folder):
                if name == "open":
                    handle = call(target, *rest, **options)
                    self._paths.pop(handle, None)
                    return handle
                return call(target, *rest, **options)
            number = len(self.calls)
            self.calls.append((name, Path(path).name))
            reached = self.fail_at is not None and number >= self.fail_at
            if number == self.fail_at or (reached and self.lasting):
                if name == "write":
                    call(target, rest[0][: len(rest[0]) // 2])
                raise OSError(self.error, os.strerror(self.error))
            if name == "write" and self.most:
                rest = (rest[0][: self.most],)
            result = call(target, *rest, **options)
            if name == "open":
                self._paths[result] = path
            return result

        return wrapped

    @property
    def failed(self):
        """Whether the call that was to fail was reached."""
        return self.fail_at is not None and len(self.calls) > self.fail_at
