"""The trials of a sweep, in a journal that Optuna keeps and that several processes share.

Every change is a line that is appended to one file, under a lock that also works on shared folders
(Optuna: JournalStorage). The values of a trial are a function of the seed, its number and, with
``tpe``, the trials that had ended by then.

Trials are stopped early by the median rule (Golovin et al. 2017, Google Vizier: "median stopping").
Runs of different lengths are compared at the same share of their training: at its tenths.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.errors import CharRNNError
from charrnn.own import JOURNAL
from charrnn.sweep.records import COMPLETE, FAILED, PRUNED, RUNNING, Trial
from charrnn.sweep.settings import GRID, TPE
from charrnn.sweep.space import Axis, Space, Value

if TYPE_CHECKING:
    import optuna

MARKS = 10
"""Points of a trial at which it is compared with others: this many, evenly spaced."""
_WARM_UP_MARKS = 2
"""No trial is stopped before this mark: learning curves cross at their beginning."""
_WARM_UP_TRIALS = 4
"""No trial is stopped before so many have been completed."""
_NAME = "sweep"
_OPTIONS, _PROGRESS, _REASON = "options", "progress", "reason"


def need_optuna() -> None:
    """Raise :class:`CharRNNError` if Optuna is not installed."""
    if find_spec("optuna") is None:
        raise CharRNNError("a sweep needs Optuna", "pip install 'charrnn[sweep]'")


class Study:
    """The trials in the journal of a folder.

    Parameters
    ----------
    folder
        The folder of the sweep.
    place
        Returns the run folder of a trial by its number.

    Raises
    ------
    CharRNNError
        If Optuna is not installed, or the journal cannot be read.
    """

    def __init__(self, folder: Path, place: Callable[[int], Path]) -> None:
        need_optuna()
        import optuna
        from optuna.storages import JournalStorage
        from optuna.storages import journal as files

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._place = place
        self._path = path = str(folder / JOURNAL)
        links = os.name != "nt"
        lock = files.JournalFileSymlinkLock(path) if links else files.JournalFileOpenLock(path)
        try:
            _mend(Path(path), lock)
            self._storage = JournalStorage(files.JournalFileBackend(path, lock_obj=lock))
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=_NAME,
                load_if_exists=True,
                sampler=optuna.samplers.RandomSampler(),
                pruner=optuna.pruners.MedianPruner(_WARM_UP_TRIALS, _WARM_UP_MARKS),
            )
        except OSError as problem:
            why = problem.strerror or str(problem)
            raise CharRNNError(f"cannot open {path!r}: {why}", "check the folder") from None
        except (ValueError, KeyError, TypeError, AssertionError):
            raise CharRNNError(f"{path!r} is damaged", "choose another folder") from None

    def trials(self) -> list[Trial]:
        """Return all trials that have begun, by number."""
        found = self._study.get_trials(deepcopy=False)
        return [self._trial(each) for each in found if _OPTIONS in each.user_attrs]

    @property
    def begun(self) -> int:
        """The number of trials that have begun."""
        from optuna.trial import TrialState

        every = self._study.get_trials(deepcopy=False)
        return sum(trial.state != TrialState.WAITING for trial in every)

    def unfinished(self) -> list[int]:
        """Return the numbers of the trials that have begun and not ended."""
        from optuna.trial import TrialState

        open_ones = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return [trial.number + 1 for trial in open_ones]

    def begin(self, space: Space, search: str, seed: int) -> int:
        """Make a new trial; return its number. The caller holds the sweep's lock.

        With ``grid`` there must be a combination left.
        """
        from optuna.trial import TrialState

        waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        if search == GRID and not waiting:  # one waits if a process was killed just here
            self._study.enqueue_trial(space.points(seed)[self.begun])
        self._study.sampler = _sampler(search, seed, self.begun)
        number: int = self._study.ask().number + 1
        self.values(space, number)
        return number

    def values(self, space: Space, number: int) -> dict[str, Value]:
        """Return the values that a trial tries; draw those that were not before a kill."""
        trial = self._open(number)
        if _OPTIONS not in trial.user_attrs:
            drawn = {axis.name: axis.rounded(_suggest(trial, axis)) for axis in space.axes}
            trial.set_user_attr(_OPTIONS, drawn)
        return dict(trial.user_attrs[_OPTIONS])

    def get(self, number: int) -> Trial:
        """Return a trial by its number."""
        return self._trial(self._study.get_trials(deepcopy=False)[number - 1])

    def note(self, number: int, loss: float | None, step: int, seconds: float) -> None:
        """Keep how far a trial has come."""
        self._open(number).set_user_attr(_PROGRESS, (loss, step, round(seconds, 3)))

    def is_poor(self, number: int, marks: range, loss: float) -> bool:
        """Report a trial's validation loss at marks; return whether the median rule stops it."""
        trial = self._open(number)
        known = self._study.get_trials(deepcopy=False)[number - 1].intermediate_values
        for mark in marks:
            if mark not in known:
                trial.report(loss, mark)
        poor: bool = trial.should_prune()
        return poor

    def end(self, number: int, state: str, loss: float | None = None, reason: str = "") -> None:
        """End a trial as complete, pruned or failed, unless another process has done so."""
        from optuna.trial import TrialState

        if self.get(number).state != RUNNING:
            return
        if reason:
            self._open(number).set_user_attr(_REASON, reason)
        ended = {COMPLETE: TrialState.COMPLETE, PRUNED: TrialState.PRUNED, FAILED: TrialState.FAIL}
        value = loss if state == COMPLETE else None
        self._study.tell(number - 1, value, ended[state], skip_if_finished=True)

    def text(self) -> str | None:
        """Return the digest of the text that the trials are trained on, None before the first."""
        digest: str | None = self._study.user_attrs.get("text")
        return digest

    def set_text(self, digest: str) -> None:
        """Keep the digest of the text."""
        self._study.set_user_attr("text", digest)

    def _open(self, number: int) -> optuna.Trial:
        import optuna

        study = self._storage.get_study_id_from_name(_NAME)
        trial = self._storage.get_trial_id_from_study_id_trial_number(study, number - 1)
        return optuna.Trial(self._study, trial)

    def _trial(self, frozen: Any) -> Trial:
        from optuna.trial import TrialState

        states = {
            TrialState.COMPLETE: COMPLETE,
            TrialState.PRUNED: PRUNED,
            TrialState.FAIL: FAILED,
        }
        noted = frozen.user_attrs
        try:
            loss, step, seconds = noted.get(_PROGRESS, (None, 0, 0.0))
            return Trial(
                number=frozen.number + 1,
                state=states.get(frozen.state, RUNNING),
                options=dict(noted[_OPTIONS]),
                run=str(self._place(frozen.number + 1)),
                loss=None if loss is None or not isfinite(loss) else float(loss),
                step=int(step),
                seconds=float(seconds),
                reason=str(noted.get(_REASON, "")),
            )
        except (KeyError, TypeError, ValueError, OverflowError):
            raise CharRNNError(
                f"trial {frozen.number + 1} is damaged in {self._path!r}", "choose another folder"
            ) from None


def _mend(journal: Path, lock: Any) -> None:
    """Cut off a last line that is not complete: its process was killed, or the disk was full."""
    if not journal.exists():
        return
    lock.acquire()
    try:
        with journal.open("r+b") as file:
            lines = file.read()
            whole = lines.rfind(b"\n") + 1
            if whole < len(lines):
                file.truncate(whole)
    finally:
        lock.release()


def _sampler(search: str, seed: int, number: int) -> Any:
    """Return what draws the values of one trial, from random numbers of its own."""
    from optuna.samplers import RandomSampler, TPESampler

    own = (seed * 1_000_003 + number) % 2**32
    return TPESampler(seed=own) if search == TPE else RandomSampler(seed=own)


def _suggest(trial: Any, axis: Axis) -> Value:
    """Draw the value of one setting, or return the one drawn before."""
    drawn: Value
    if axis.values:
        drawn = trial.suggest_categorical(axis.name, axis.values)
    elif isinstance(axis.low, int):
        drawn = trial.suggest_int(axis.name, axis.low, int(axis.high), log=axis.log)
    else:
        drawn = trial.suggest_float(axis.name, axis.low, axis.high, log=axis.log)
    return drawn
