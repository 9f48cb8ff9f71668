"""A training session: a loop, its run folder, and the files written there during training."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.backend.team import Alone, Team
from charrnn.config import DataConfig, TrainConfig
from charrnn.errors import CharRNNError, setting
from charrnn.evaluate.course import Course
from charrnn.files import UnflushedError, failure
from charrnn.model import memory
from charrnn.model.network import Network
from charrnn.plugins import named
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs, shared
from charrnn.storage.checkpoint import Checkpoint
from charrnn.storage.lock import Lock
from charrnn.storage.metrics import Metrics, read_metrics
from charrnn.storage.progress import Progress, State
from charrnn.tasks.shards.names import files_of_ranks
from charrnn.train.divergence import DivergedError
from charrnn.train.opening.beginning import Beginning
from charrnn.train.opening.commands import new_run
from charrnn.train.opening.request import absolute_sources
from charrnn.train.plan import Plan, of_progress
from charrnn.train.recipes.base import Recipe
from charrnn.train.records import (
    NAMES,
    End,
    Eval,
    Record,
    Rollback,
    Save,
    SaveDue,
    Start,
    compared,
    concluded,
    overfitting,
    start,
)
from charrnn.train.rollback import FACTOR, with_rollbacks
from charrnn.train.stopping import unreached


class Session:
    """A training run that writes metrics and checkpoints into its folder.

    Parameters
    ----------
    recipe
        That of the run's task.
    corpus
        The data that the recipe has read.
    plan
        That of a new run, if it was planned.
    again
        As of :class:`~charrnn.train.opening.request.Request`.

    In a team each member has a session, and the first one writes. The others have no folder.

    Attributes
    ----------
    folder
        The run's folder. A new run has none before :meth:`use_folder`, when nothing else can fail.
    notes
        Notes for the user before training starts, one line each.
    data
        How the text is read.
    needed
        The memory that training needs.
    finished
        Why a resumed run has nothing left to do; None otherwise.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: Network,
        corpus: Any,
        data: DataConfig,
        train: TrainConfig,
        notes: list[str],
        *,
        needed: memory.Estimate,
        lock: Lock | None = None,
        resumed: Checkpoint | None = None,
        beginning: Beginning | None = None,
        plan: Plan | None = None,
        interrupted: Callable[[], bool] = lambda: False,
        team: Team | None = None,
        again: tuple[str, ...] = (),
    ) -> None:
        self._team = team or Alone()
        self._writes = self._team.rank == 0
        self.recipe, self.model, self.corpus = recipe, model, corpus
        self.notes, self.needed = notes, needed
        self._metrics: Metrics | None = None
        self._lock: Lock | None = None
        self.folder, self._course = Path(), Course()
        if lock is not None:
            self.use_folder(lock)
        self.data = absolute_sources(recipe.settled(data, corpus), corpus.sources)
        self._train, self._resumed, self._again = train, resumed is not None, again
        self._good, self._beginning, self._plan = resumed.path if resumed else None, beginning, plan
        first = plan.progress() if plan else Progress()
        first.started_from = beginning.origin if beginning else None
        self._first, self._floor = replace(first), 0  # bytes of metrics before the first step here
        sampler = recipe.sampler(model, corpus, self.data, train.seed)
        self.loop, lowered = recipe.loop(
            model,
            corpus,
            train,
            self._team,
            progress=resumed.progress if resumed else first,
            moments=resumed.moments if resumed else None,
            states=resumed.states if resumed else None,
            sampler=sampler if self._writes or sampler is None else lambda step: "",
            interrupted=interrupted,
        )
        notes.extend(corpus.notes)
        if lowered:
            notes.append(lowered)
        if not resumed:
            notes.extend(recipe.remarks(corpus, data))
        if not self.loop.task.has_validation:
            notes.append("no validation text: the last checkpoint counts as the best")
        self.loop.progress.total_steps = self.loop.total_steps
        notes.extend(unreached(train, self.loop.progress.step, self.loop.total_steps))
        at, end = self.loop.progress, self.loop.total_steps
        past = end is not None and at.step > end  # the run was killed, and an earlier end is given
        ended = at.ended == at.step or past
        self.finished = self.loop.saved_reason() if resumed and ended else None

    @property
    def needs_ranks(self) -> bool:
        """Whether a single process cannot continue the run."""
        return self.data.shard_files or self._train.sync_every > 1

    def use_folder(self, lock: Lock) -> None:
        """Write to the locked folder, and release it when training ends."""
        self._lock, self.folder = lock, lock.folder

    def records(self) -> Generator[Record]:
        """Train; write metrics and checkpoints; yield every record.

        If the iterator is closed early, the last complete step is saved, but not in a team: the
        states of the others are elsewhere.

        Raises
        ------
        CharRNNError
            If training diverges or a file cannot be used; the last checkpoint is intact.
        """
        try:
            if self._writes:
                self._metrics = Metrics(self.folder, self.loop.progress.metrics_bytes)
            if self._writes and self._resumed:
                with suppress(CharRNNError):  # a damaged line: then the course begins here
                    self._course = Course.of(read_metrics(self.folder))
            if self._writes and not self._resumed:
                self.recipe.write_heldout(self.folder, self.corpus)
            yield self._written(self._start())
            self._floor = self._metrics.size if self._metrics else 0
            yield from with_rollbacks(self.loop, self._keep, self._good_state, self._remedy)
        except GeneratorExit:
            if self._team.size > 1:
                raise
            with suppress(DivergedError):  # then the last checkpoint is better
                for record in self.loop.pending:
                    self._written(record)
                self._save(runs.LAST)
            raise
        except DivergedError:
            if self._good is None:  # so that there is something to inspect and continue from
                self.loop.go_back(self._good_state())
                self._save(runs.LAST)
            raise
        except OSError as problem:
            what = failure(problem, self.folder)
            raise CharRNNError(what, "the last checkpoint is intact") from None
        finally:
            self.close()

    def _remedy(self) -> str:
        """Return what to do after a divergence; the learning rate of a resumed run is fixed."""
        examine = f"look at it with charrnn diagnose {named(self.folder)}"
        if not self._resumed:
            return f"{examine}, or lower {setting('lr')}"
        train = replace(self._train, lr=self._train.lr * self.loop.progress.lr_factor * FACTOR)
        anew = new_run(self.folder, self.model.config, self.data, train, again=self._again)
        return f"{examine}, or run: {anew}"

    def close(self) -> None:
        """Close the metrics and release the folder; :meth:`records` does it at its end."""
        if self._metrics is not None:
            self._metrics.close()
        if self._lock is not None:
            self._lock.release()

    def _keep(self, record: Record) -> Iterator[Record]:
        """Write the files that a record asks for, before or after its own line."""
        if isinstance(record, SaveDue):
            if self._train.keep:
                yield self._save_numbered(record.step)
            self.loop.progress.saved = record.step  # repeated if killed before this is saved
            yield self._save(runs.LAST)
        elif isinstance(record, Rollback):
            self._cut()
            yield self._written(record)
            yield self._save(runs.LAST)  # the lower rate must survive, too
        elif isinstance(record, End):
            end = replace(record, run=str(self.folder))
            if end.reason != "interrupted":
                self.loop.progress.ended = end.step
                end = self._judged(end)
            yield self._save(runs.LAST, end)
            yield end
        else:
            line = self._written(record)
            # Saved before anything is yielded: a caller that stops there must not lose it.
            saved = [self._save(runs.BEST)] if isinstance(record, Eval) and record.best else []
            yield line
            yield from saved
            if isinstance(record, Eval) and self._course.overfits():
                yield self._written(overfitting(self._course))

    @np.errstate(all="ignore")
    def _judged(self, end: End) -> End:
        """Return the record of the end with what the losses say, for the whole team."""
        task, smoothed = self.loop.task, self.loop.progress.smoothed
        loss = end.best_val_loss if task.has_validation else smoothed
        name, guessed = self.recipe.no_better_than(self.corpus, loss)
        end = replace(end, no_better_than=name, guess_loss=guessed, smoothed=smoothed)
        if not task.has_validation:
            return end
        outcome = self._course.outcome(end.reason, task.training_loss())
        limit = self._train.eval_chars
        others = self.recipe.baselines(self.corpus, limit) if self._writes else None
        return compared(concluded(end, outcome), others)

    def _written(self, record: Record) -> Record:
        line = record.to_json()
        self._course.take(line)
        if self._metrics is not None:
            self._metrics.write(line)
        return record

    def _save(self, name: str, end: End | None = None, counted: bool = True) -> Record:
        """Save a checkpoint, after all lines of metrics before it have reached the disk.

        A resumed run keeps the metrics up to the length that the checkpoint names, and repeats what
        came after it. The line of this save is within that length if it is ``counted``; the line
        of the end never is.
        """
        path, state = self.folder / name, self.loop.state()
        state.progress.ranks = self._team.size
        record = Save(state.progress.step, str(path))
        if self._metrics is not None:
            self._write(self._metrics, record, state, end, counted)
        if name in (runs.LAST, runs.BEST):
            self._good, self._beginning = path, None
        return record

    def _write(
        self, metrics: Metrics, record: Save, state: State, end: End | None, counted: bool
    ) -> None:
        """Write a save's lines of metrics and its checkpoint."""
        before = metrics.size
        self._written(record)
        state.progress.metrics_bytes = metrics.size if counted else before
        if end is not None:
            self._written(end)
        metrics.flush()
        try:
            checkpoints.save(
                Path(record.path),
                Checkpoint(
                    config=self.model.config,
                    vocabulary=self.corpus.vocabulary,
                    weights=state.weights,
                    data=self.data,
                    train=self._train,
                    corpus_sha256=self.corpus.sha256,
                    heldout_sha256=self.corpus.heldout_sha256,
                    progress=state.progress,
                    moments=state.moments,
                    states=state.states,
                    labels=self.recipe.labels(self.corpus),
                ),
            )
        except UnflushedError:
            raise
        except CharRNNError:
            metrics.cut(before)
            raise

    def _good_state(self) -> State:
        """Return the last saved state, or the initial one before the first save."""
        good = self._good
        if good is not None:
            saved = shared.load(self._team, lambda: good)
            return State(saved.progress, saved.weights, saved.moments, saved.states)
        assert self._beginning is not None
        return State(replace(self._first), self._beginning.weights(), {}, {})

    def _cut(self) -> None:
        """Drop the metrics of the steps that a rollback undid."""
        if self._metrics is not None:
            self._metrics.cut(max(self._floor, self.loop.progress.metrics_bytes))

    def _save_numbered(self, step: int) -> Record:
        """Save this step's checkpoint under its number; of those up to it keep the last ``keep``.

        Later ones are of steps that were undone: the run went back to an earlier checkpoint.
        """
        record = self._save(runs.number(step), counted=False)
        found = runs.numbered(self.folder) if self._writes else {}
        for path in [path for at, path in found.items() if at <= step][: -self._train.keep]:
            path.unlink(missing_ok=True)
        return record

    def _start(self) -> Start:
        loop, sizes, plan = self.loop, self.recipe.sizes(self.corpus), self._plan
        return start(
            self.model,
            sizes,
            self.corpus.vocabulary,
            self.data,
            self._train,
            step=loop.progress.step,
            run=str(self.folder),
            resumed=self._resumed,
            batch=loop.config.batch,
            seq_len=loop.config.seq_len,
            steps_per_epoch=loop.task.windows_per_epoch,
            total_steps=loop.total_steps,
            ranks=self._team.size,
            files_of_ranks=files_of_ranks(self.data, self._team.size, NAMES),
            examples=sizes.examples and sizes.examples[0],
            labels=len(self.recipe.labels(self.corpus)) or None,
            plan=plan.to_json() if plan else of_progress(loop.progress, loop.total_steps),
            again=self._again,
        )
