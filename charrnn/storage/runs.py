"""Run folders: where they are, how names resolve to checkpoints, and how a new one is created."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from charrnn import files, own
from charrnn.display import near, shell
from charrnn.errors import CharRNNError, UsageError, either, setting
from charrnn.own import BEST_RUN, HELD_OUT, METRICS, METRICS_BEGINNING, SUFFIX, SWEEP
from charrnn.storage.lock import NAME as LOCK
from charrnn.storage.lock import Lock, LockedError

HOME = Path("checkpoints")
BEST, LAST = "best" + SUFFIX, "last" + SUFFIX
_MAKE = "charrnn.fit makes a model, and charrnn.load takes what it saves"
_LISTED = either("charrnn runs lists them; charrnn train creates one", _MAKE)
_LONGEST_NUMBER = 9
"""Digits of the number of a trial."""


def resolve(run: str | None = None, which: str = "best") -> Path:
    """Return the checkpoint file that the name of a run stands for.

    Parameters
    ----------
    run
        A run folder, a checkpoint file, or a run's name under ``checkpoints/``, in this order. None
        or ``last``: the newest run there. A folder or file without a checkpoint is not a run.
    which
        ``"best"`` or ``"last"`` of a run. If there is only the other one, that is returned.

    Raises
    ------
    CharRNNError
        If there is no such run, or it has no checkpoint yet.
    """
    if run is None:
        return _of_folder(newest(), which)
    if not run.strip():
        raise UsageError(f"the name of a run is blank: {run!r}", _LISTED)
    named, under_home = Path(run), HOME / run
    places = [named] if run == "last" else [named, under_home]
    try:
        candidates = [named] if named.is_file() else []
        candidates += [path for place in places for path in islice(checkpoints(place, which), 1)]
        is_folder = named.is_dir()
        started = [f for f in (under_home, named) if f.is_dir() and (f == under_home or _begun(f))]
    except OSError as problem:  # a name that is too long, a folder without permission
        raise CharRNNError(f"cannot read {run[:200]!r}: {problem.strerror or problem}") from None
    # Loading reports a damaged one.
    for path in (*filter(own.is_checkpoint, candidates), *candidates):
        return path
    if run == "last":
        return _of_folder(newest(), which)
    for folder in started:
        return _of_folder(folder, which)
    remedy = _LISTED
    if is_folder:
        raise CharRNNError(f"folder {run!r} holds no run, and there is no run of that name", remedy)
    with suppress(OSError):
        if run == named.name and (meant := near(run, (folder.name for folder in folders()))):
            remedy = f"did you mean {shell(meant)}?"
    raise CharRNNError(f"there is no run {run!r}", remedy)


def recorded(run: str | None = None) -> list[Path]:
    """Return the folders with the metrics of a run, or those of all trials of a sweep.

    Parameters
    ----------
    run
        As for :func:`resolve`, but a run needs no checkpoint: it may have just begun, and a trial
        of a sweep may have lost its own. For a checkpoint file, the folder that it is in.

    Raises
    ------
    CharRNNError
        If there is no such run, or it has no metrics.
    """
    places = [newest()] if run is None else [Path(run), HOME / run]
    try:
        for place in places:
            if own.is_sweep(place / SWEEP):
                trials = sorted(place.glob(f"[0-9]*/{METRICS}"))
                if trials:
                    return [path.parent for path in trials if own.is_metrics(path)]
            if own.is_metrics(place / METRICS):
                return [place]
    except OSError:  # a name that is too long; resolve says so
        pass
    folder = resolve(run).parent
    if not own.is_metrics(folder / METRICS):
        raise CharRNNError(
            f"there are no metrics in {str(folder)!r}", "name the folder of a run that was trained"
        )
    return [folder]


def _of_folder(folder: Path, which: str) -> Path:
    for path in checkpoints(folder, which):
        return path
    raise CharRNNError(
        f"run {str(folder)!r} has no checkpoint yet",
        "train it until it has saved once",
    )


def _begun(folder: Path) -> bool:
    """Whether training has started in a folder."""
    return any((folder / name).is_file() for name in (LOCK, METRICS, SWEEP))


def has_checkpoint(folder: Path) -> bool:
    """Whether a folder holds a checkpoint of a run, or is that of a sweep with one."""
    return any(checkpoints(folder))


def best_of_sweep(folder: Path) -> Path | None:
    """Return the run folder of a sweep's best trial, None if ``folder`` is not one of a sweep."""
    if not (folder / SWEEP).is_file():
        return None
    try:
        with os.fdopen(files.open_regular(folder / BEST_RUN, follow=True), "rb") as file:
            name = file.read(_LONGEST_NUMBER + 2).decode("ascii").strip()
    except (OSError, ValueError):
        return None
    return folder / name if re.fullmatch(f"[0-9]{{4,{_LONGEST_NUMBER}}}", name) else None


def checkpoints(folder: Path, which: str = "last") -> Iterator[Path]:
    """Yield the checkpoints of a run: the ``which`` one first, the numbered ones last.

    The folder of a sweep stands for its best run.
    """
    folder = best_of_sweep(folder) or folder
    named = [folder / name for name in ((BEST, LAST) if which == "best" else (LAST, BEST))]
    latest_first = reversed(numbered(folder).values())
    yield from (path for path in (*named, *latest_first) if path.is_file())


def number(step: int) -> str:
    """Return the name of the numbered checkpoint of a step."""
    return f"step-{step:08d}{SUFFIX}"


def numbered(folder: Path) -> dict[int, Path]:
    """Return the numbered checkpoints of a run by their steps, the first one first."""
    paths = folder.glob(f"step-*{SUFFIX}")
    found = {int(n): path for path in paths if (n := path.stem.partition("-")[2]).isdecimal()}
    return dict(sorted(found.items()))


def newest() -> Path:
    """Return the run folder under ``checkpoints/`` with the newest checkpoint.

    Raises
    ------
    CharRNNError
        If there is none.
    """
    runs = folders()
    if not runs:
        raise CharRNNError(
            f"there is no run under {HOME}/",
            either("train one first: charrnn train python-docs", _MAKE),
        )
    return runs[-1]


def folders() -> list[Path]:
    """Return the run folders under ``checkpoints/`` that have a checkpoint, oldest first."""
    runs = []
    for folder in HOME.glob("*/"):
        for path in islice(checkpoints(folder), 1):
            runs.append((path.stat().st_mtime_ns, folder))
    return [folder for _, folder in sorted(runs)]


def create(name: str | None, out: str | None, source: str) -> Lock:
    """Create and lock the folder of a new run.

    The folder of a run that was stopped before its first checkpoint is used again.

    Parameters
    ----------
    name
        The setting ``name``: a run under ``checkpoints/`` that does not exist yet.
    out
        The setting ``out``: a folder that does not hold a run yet.
    source
        The name of the text, after which the run is named if ``name`` and ``out`` are None.

    Raises
    ------
    UsageError
        If the name or folder is blank or invalid, or there is a run of that name.
    CharRNNError
        If the folder cannot be made, or another process is training there.
    """
    folder = asked_for(name, out)
    if folder is not None:
        lock = Lock(folder, made=make(folder))
        if _is_free(folder):
            return lock
        lock.release()
        raise _taken(folder)
    stem = stem_of(source)
    for number in range(2 if stem == "last" else 1, 1_000_000):  # last means the newest run
        folder = HOME / (stem if number == 1 else f"{stem}-{number}")
        made = make(folder)
        if not made and not _is_abandoned(folder):
            continue
        try:
            lock = Lock(folder, made)
        except LockedError:
            continue
        if _is_abandoned(folder) and _is_free(folder):
            return lock
        lock.release()
    raise CharRNNError(f"there are too many runs named {stem!r}", f"choose {setting('name')}")


def stem_of(source: str) -> str:
    """Return what a run is called after the name of its text."""
    stem = "stdin" if source == "-" else Path(source).stem
    return re.sub(r"[^\w.-]+", "-", stem).strip(".-") or "run"


def check_free(name: str | None, out: str | None) -> None:
    """Raise :class:`UsageError` if :func:`create` would refuse its settings; change nothing."""
    folder = asked_for(name, out)
    if folder is not None and has_checkpoint(folder):
        raise _taken(folder)


def asked_for(name: str | None, out: str | None) -> Path | None:
    """Return the folder that the settings name, if they do."""
    if name is not None and out is not None:
        raise UsageError(f"{setting('name')} and {setting('out')} exclude each other", "give one")
    if name is not None and (name.strip() in ("", ".", "..", "last") or Path(name).name != name):
        message = f"{setting('name')} {name!r} is invalid"
        raise UsageError(message, "choose a word that can name a folder")
    if out is not None and not out.strip():
        raise UsageError(f"{setting('out')} {out!r} is invalid", "name a folder")
    if out is not None:
        return Path(out)
    return None if name is None else HOME / name


def _taken(folder: Path) -> UsageError:
    return UsageError(
        f"{str(folder)!r} already contains a run",
        f"continue it with {setting('resume')} {shell(folder)}, or choose another name",
    )


def make(folder: Path) -> bool:
    """Make the folder; return False if it exists."""
    try:
        files.make_folder(folder)
    except FileExistsError:
        if not folder.is_dir():
            raise CharRNNError(f"{str(folder)!r} is not a folder", "choose another") from None
        return False
    except OSError as problem:
        raise CharRNNError(
            f"cannot make folder {str(folder)!r}: {problem.strerror}",
            f"choose another with {setting('out')}",
        ) from None
    return True


def _is_abandoned(folder: Path) -> bool:
    """Whether a folder holds only the leftovers of a run stopped before its first save."""
    try:
        names = {path.name for path in folder.iterdir() if not files.is_temporary(path.name)}
    except OSError:
        return False
    return bool(names & {METRICS, LOCK}) and names <= {METRICS, LOCK, *HELD_OUT}


def _is_free(folder: Path) -> bool:
    """Whether a new run may begin in a locked folder; remove the leftovers of an unsaved run."""
    if has_checkpoint(folder):
        return False
    try:
        handle = files.open_regular(folder / METRICS, follow=True)
        with os.fdopen(handle, "rb") as file:
            beginning = file.read(len(METRICS_BEGINNING))
    except FileNotFoundError:
        return True
    except files.NotRegularError:
        return False
    except OSError as problem:
        raise CharRNNError(
            f"cannot read {str(folder / METRICS)!r}: {problem.strerror}",
            f"choose another folder with {setting('out')}",
        ) from None
    if not METRICS_BEGINNING.startswith(beginning):
        return False  # not the metrics of a run
    for name in (*HELD_OUT, METRICS):
        (folder / name).unlink(missing_ok=True)
    return True
