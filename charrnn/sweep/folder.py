"""The folder of a sweep: its settings, a run folder for each trial, and which is the best.

``sweep.json`` holds what all processes of the sweep must agree on, ``journal.jsonl`` the trials,
``best-run`` the name of the best trial's folder; the trials' run folders are ``0001``, ``0002``, ….
A process holds the folder's lock while it takes a trial or clears up, and the lock of a run folder
while it trains there. A trial that nobody holds, and that has not ended, is free to be continued.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from charrnn import files
from charrnn.display import brief
from charrnn.errors import CharRNNError, UsageError, setting
from charrnn.own import BEST_RUN, HELD_OUT, JOURNAL, SWEEP, SWEEP_BEGINNING, is_sweep
from charrnn.storage import runs
from charrnn.storage.lock import Lock, LockedError
from charrnn.sweep.records import RUNNING, Trial, by_loss

_FORMAT = 1
_MOST_BYTES = 1 << 20
_WAIT = 0.05  # seconds between two tries to take the lock
_OWN_NAMES = (SWEEP, JOURNAL, f"{JOURNAL}.lock", ".lock")


class Folder:
    """The folder of a sweep.

    Parameters
    ----------
    path
        Where it is, or will be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, number: int) -> Path:
        """Return the run folder of a trial."""
        return self.path / f"{number:04d}"

    @contextlib.contextmanager
    def locked(self, stopped: Callable[[], bool] = lambda: False) -> Iterator[bool]:
        """Hold the folder's lock; yield False instead if ``stopped`` comes true while waiting."""
        lock: Lock | None = None
        while lock is None and not stopped():
            try:
                lock = Lock(self.path)
            except LockedError:
                time.sleep(_WAIT)
        try:
            yield lock is not None
        finally:
            if lock is not None:
                lock.release()

    def settle(self, settings: Mapping[str, str]) -> None:
        """Begin a sweep with these settings, or go on with one that has the same.

        Parameters
        ----------
        settings
            All that the processes of the sweep must agree on: options and their values as they are
            typed.

        Raises
        ------
        UsageError
            If the folder holds a sweep with other settings, or something else.
        CharRNNError
            If the folder cannot be made, read or written.
        """
        runs.make(self.path)
        with self.locked():
            there = self._settings()
            if there is None and self._is_taken():
                raise UsageError(
                    f"{str(self.path)!r} exists, and is not the folder of a sweep",
                    f"choose another with {setting('name')} or {setting('out')}",
                )
            if there == settings:
                return
            if there is not None and any(self._run_folders()):
                raise UsageError(
                    f"{str(self.path)!r} holds a sweep with {_difference(there, settings)}",
                    f"give the same options to go on, or another {setting('name')}",
                )
            (self.path / JOURNAL).unlink(missing_ok=True)  # of a sweep without a single run
            document = json.dumps({"charrnn_sweep": _FORMAT, "settings": dict(settings)})
            assert document.encode().startswith(SWEEP_BEGINNING)
            files.write(self.path / SWEEP, [document.encode() + b"\n"])

    def forget(self) -> None:
        """Remove what :meth:`settle` made, if no trial has begun since."""
        with self.locked():
            if any(self._run_folders()):
                return
            for name in (SWEEP, JOURNAL):
                (self.path / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty
            self.path.rmdir()

    def is_free(self, number: int) -> bool:
        """Whether no process trains a trial."""
        folder = self.run(number)
        if not folder.is_dir():
            return True
        try:
            Lock(folder).release()
        except LockedError:
            return False
        return True

    def clear_up(self, trials: Iterable[Trial], keep_all: bool) -> Trial | None:
        """Name the best trial, remove what is not kept of others; return the best.

        The caller holds the lock. Trials that can be continued keep their checkpoints.
        """
        found = list(trials)
        best = best_of(trial for trial in found if runs.has_checkpoint(Path(trial.run)))
        if best is not None:
            name = Path(best.run).name
            if runs.best_of_sweep(self.path) != self.path / name:
                files.write(self.path / BEST_RUN, [f"{name}\n".encode()])
        for trial in found if not keep_all else ():
            if trial is not best and trial.state != RUNNING:
                _remove_weights(self.run(trial.number))
        return best

    def _settings(self) -> dict[str, str] | None:
        """Return the settings of the sweep in the folder, None if there is none."""
        path = self.path / SWEEP
        try:
            with os.fdopen(files.open_regular(path, follow=True), "rb") as file:
                document = json.loads(file.read(_MOST_BYTES))
            found = document["settings"]
            if document["charrnn_sweep"] != _FORMAT or not isinstance(found, dict):
                raise ValueError
            return {str(name): str(value) for name, value in found.items()}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as problem:
            why = getattr(problem, "strerror", None) or "it is damaged, or of a newer charrnn"
            raise CharRNNError(
                f"cannot read {str(path)!r}: {why}", "choose another folder"
            ) from None

    def _is_taken(self) -> bool:
        """Whether the folder holds anything but the beginning of a sweep."""
        names = (path.name for path in self.path.iterdir())
        return any(name not in _OWN_NAMES and not files.is_temporary(name) for name in names)

    def _run_folders(self) -> Iterator[Path]:
        return (path for path in self.path.glob("[0-9]*") if path.name.isdecimal())


def find(name: str) -> Folder:
    """Return the folder of a sweep by its path, or its name under ``checkpoints/``.

    Raises
    ------
    CharRNNError
        If there is no such sweep.
    """
    for path in (Path(name), runs.HOME / name):
        if is_sweep(path / SWEEP):
            return Folder(path)
    raise CharRNNError(f"there is no sweep {brief(name)}", "charrnn runs lists what there is")


def best_of(trials: Iterable[Trial]) -> Trial | None:
    """Return the trial with the lowest validation loss; of equals the first one."""
    return next((trial for trial in by_loss(trials) if trial.loss is not None), None)


def _difference(there: Mapping[str, str], given: Mapping[str, str]) -> str:
    """Return the first setting that differs, in words."""
    name = next(n for n in {**there, **given} if there.get(n) != given.get(n))
    if name not in there:
        return f"no {name}"
    value = f"{name} {there[name]}".strip()
    return f"{value}, not {given[name]}" if name in given else value


def _remove_weights(folder: Path) -> None:
    """Remove the checkpoints and held-out texts of a run; its metrics stay."""
    if folder.is_symlink():
        return
    names = {
        runs.BEST,
        runs.LAST,
        *HELD_OUT,
        *(path.name for path in runs.numbered(folder).values()),
    }
    for name in names:
        (folder / name).unlink(missing_ok=True)
