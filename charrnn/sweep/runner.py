"""Running the trials of a sweep: each is a training run, in this process, one after another.

A trial is what ``charrnn train`` does with the same options, bit for bit, and so is one that was
interrupted and continued. Several processes may run the same sweep: they share its folder, and
none of them takes a trial that another one trains.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from time import monotonic

from charrnn.backend import Backend
from charrnn.backend.memory import explain
from charrnn.config import TrainConfig
from charrnn.errors import CorpusError, OutOfMemoryError, UsageError, in_words, option, setting
from charrnn.storage import runs
from charrnn.storage.lock import LockedError
from charrnn.sweep import records as events
from charrnn.sweep.folder import Folder, best_of
from charrnn.sweep.records import COMPLETE, FAILED, PRUNED, Record, Trial
from charrnn.sweep.settings import GRID, SweepConfig
from charrnn.sweep.space import Space, Value
from charrnn.sweep.study import MARKS, Study
from charrnn.train.divergence import DivergedError
from charrnn.train.opening.request import Request
from charrnn.train.opening.sessions import open_session
from charrnn.train.records import End, Eval, Start
from charrnn.train.session import Session

INTERRUPTED, OUT_OF_TIME = "interrupted", "total-minutes"


@dataclass
class _Opened:
    """A trial that this process has taken: its session, or why it could not be opened."""

    number: int
    session: Session | None
    reason: str = ""


class Runner:
    """Runs the trials of a sweep.

    Parameters
    ----------
    space, config
        What is tried, and how.
    folder
        The sweep's folder, which is settled.
    backend
        Where to compute.
    stopped
        Polled after every training step; once it is true, the trial is saved and the sweep ends.
    commit
        Called before training begins, as by :func:`~charrnn.train.opening.sessions.open_session`.
    """

    def __init__(
        self,
        space: Space,
        config: SweepConfig,
        folder: Folder,
        backend: Backend,
        stopped: Callable[[], bool] = lambda: False,
        commit: Callable[[], object] = lambda: None,
    ) -> None:
        self._space, self._config, self._folder = space, config, folder
        self._backend, self._asked, self._commit = backend, stopped, commit
        self._search = space.search(config)
        self._seed = int(space.shared.train.get("seed", TrainConfig.seed))
        self._began = monotonic()
        with folder.locked():
            self._study = Study(folder.path, folder.run)
        self._poor = False

    def records(self) -> Generator[Record]:
        """Run trials until none is left, time is up, or a signal came; yield what happens.

        Raises
        ------
        CharRNNError
            If something fails that is not the fault of one trial's options: the text cannot be
            read, a file cannot be written. Trials that have begun can be continued.
        """
        total = self._total()
        tries = [str(axis) for axis in self._space.axes]
        folder = str(self._folder.path)
        yield events.SweepStart(folder, self._search, tries, self._study.begun, total)
        while not self._stopped():
            opened = self._take(total)
            if opened is None:
                break
            yield from self._train(opened)
            del opened  # its model, before there is another one
            self._clear_up()
        best = self._clear_up()
        reason = COMPLETE if not self._stopped() else INTERRUPTED if self._asked() else OUT_OF_TIME
        trials, seconds = self._study.trials(), monotonic() - self._began
        yield events.SweepEnd(reason, best or best_of(trials), trials, seconds)

    def _stopped(self) -> bool:
        minutes = self._config.total_minutes
        late = minutes is not None and monotonic() - self._began >= 60 * minutes
        return late or self._asked()

    def _total(self) -> int | None:
        """Return how many trials the sweep will have; None if only time ends it."""
        limit = self._config.trials
        if self._search != GRID:
            return limit
        size = len(self._space.points(self._seed))
        return size if limit is None else min(size, limit)

    def _take(self, total: int | None) -> _Opened | None:
        """Take a trial that was interrupted, or else a new one; return None if none is left."""
        with self._folder.locked(self._stopped) as mine:
            if not mine:
                return None
            for number in self._study.unfinished():
                opened = self._open(number) if self._folder.is_free(number) else None
                if opened is not None:
                    return opened
            if total is not None and self._study.begun >= total:
                return None
            return self._open(self._study.begin(self._space, self._search, self._seed))

    def _open(self, number: int) -> _Opened | None:
        """Open a trial's session; return None if another process holds its folder."""
        folder = self._folder.run(number)
        values = self._study.values(self._space, number)
        shared = self._space.shared
        request = self._space.request(values, str(folder))
        if runs.has_checkpoint(folder):
            request = Request(sources=shared.sources, resume=str(folder))
        self._poor = False
        try:
            session = open_session(
                request, self._backend, lambda: self._poor or self._stopped(), self._commit
            )
        except LockedError:
            return None
        except Exception as problem:
            return _Opened(number, None, self._reason(problem))
        try:
            self._check(session, values)
        except BaseException:
            session.close()
            raise
        return _Opened(number, session)

    def _check(self, session: Session, values: dict[str, Value]) -> None:
        """Raise an error if the losses of the trials could not be compared."""
        if not session.loop.task.has_validation:
            raise UsageError("a sweep needs validation text", f"give {setting('val_frac')}")
        text, known = session.corpus.sha256, self._study.text()
        if known is None:
            self._study.set_text(text)
        elif text != known and "seed" not in values:  # which may draw what is held out
            raise CorpusError(
                "the text is not the one that the sweep began with",
                f"give the same text, or another {setting('name')}",
            )

    def _train(self, opened: _Opened) -> Generator[Record]:
        """Train a trial to its end, or as long as it is worth it; yield what happens."""
        number, session = opened.number, opened.session
        if session is None:
            self._study.end(number, FAILED, reason=opened.reason)
            yield events.TrialEnd(self._study.get(number))
            return
        yield events.TrialStart(self._study.get(number), tuple(session.notes))
        if session.finished:  # its process was killed before it could say so
            progress = session.loop.progress
            self._complete(number, progress.kept_val_loss, progress.step, progress.seconds)
            yield events.TrialEnd(self._study.get(number))
            return
        try:
            with closing(self._followed(number, session)) as followed:
                yield from followed
        except Exception as problem:
            self._study.end(number, FAILED, reason=self._reason(problem, session))
        yield events.TrialEnd(self._study.get(number))

    def _followed(self, number: int, session: Session) -> Generator[Record]:
        """Train; note in the study what comes of it; yield the evaluations."""
        start: Start | None = None
        marked = 0
        progress = session.loop.progress
        with closing(session.records()) as trained:
            for record in trained:
                if isinstance(record, Start):
                    start = record
                elif isinstance(record, Eval):
                    share = _share(start, record)
                    mark = int(MARKS * share) if share is not None else 0
                    if mark > marked:
                        marks, marked = range(marked + 1, mark + 1), mark
                        self._study.note(
                            number, progress.kept_val_loss, record.step, record.seconds
                        )
                        self._judge(number, marks, record.val_loss)
                    yield events.TrialEval(self._now(number, session), record.val_loss, share)
                elif isinstance(record, End) and not self._poor:
                    loss = progress.kept_val_loss
                    if record.reason == INTERRUPTED:
                        self._study.note(number, loss, record.step, record.seconds)
                    else:  # while the folder is locked, so that no other process takes the trial
                        self._complete(number, loss, record.step, record.seconds)

    def _complete(self, number: int, loss: float | None, step: int, seconds: float) -> None:
        """End a trial whose training has ended; one that was never evaluated has failed."""
        self._study.note(number, loss, step, seconds)
        if loss is None:
            self._study.end(number, FAILED, reason="it ended before it was evaluated")
        else:
            self._study.end(number, COMPLETE, loss)

    def _judge(self, number: int, marks: range, loss: float) -> None:
        """Compare a trial with others at marks that it has passed, and stop it if it is poor."""
        poor = self._study.is_poor(number, marks, loss)
        if poor and self._config.prune and marks[-1] < MARKS:
            self._poor = True
            self._study.end(number, PRUNED)

    def _now(self, number: int, session: Session) -> Trial:
        """Return a trial with the progress that its session has made since it was last noted."""
        trial, progress = self._study.get(number), session.loop.progress
        return Trial(
            number,
            trial.state,
            trial.options,
            trial.run,
            progress.kept_val_loss,
            progress.step,
            round(progress.seconds, 3),
        )

    def _reason(self, problem: Exception, session: Session | None = None) -> str:
        """Return why a trial failed; raise the error again if its options are not to blame."""
        known = explain(problem, session.needed.total if session else None) or problem
        of_options: tuple[type[Exception], ...] = (DivergedError, OutOfMemoryError)
        if session is None and self._study.text() is not None:
            of_options += (UsageError,)  # others have been opened with what is shared
        if not isinstance(known, of_options):
            raise problem
        assert isinstance(known, DivergedError | OutOfMemoryError | UsageError)
        return in_words(known.message, option)

    def _clear_up(self) -> Trial | None:
        with self._folder.locked() as mine:
            assert mine
            return self._folder.clear_up(self._study.trials(), self._config.keep_runs == "all")


def _share(start: Start | None, record: Eval) -> float | None:
    """Return how much of a run is done at an evaluation; None if its end is not known."""
    if start is None:
        return None
    shares = []
    if start.total_steps:
        shares.append(record.step / start.total_steps)
    if start.minutes:
        shares.append(record.seconds / (60 * start.minutes))
    return min(1.0, max(shares)) if shares else None
