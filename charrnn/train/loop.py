"""The training loop: truncated backpropagation through time, as a generator of records.

A :class:`~charrnn.tasks.base.Task` gives batches of N streams, T steps at a time, and says in which
of them a stream starts from a zero state; otherwise the hidden state is carried from batch to
batch, while its gradient is cut between them. A step is: gradients, clipping, update (see
:mod:`charrnn.train.update`), at the rate that :mod:`charrnn.train.learning_rate` gives. The loop
neither prints nor saves: it reports what happened, and the caller decides what to do about it.

In a team each member runs its own loop over some of the streams. Whatever ends training, or changes
the learning rate, is decided once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import inf
from time import perf_counter
from typing import Any

import numpy as np

from charrnn.backend import Array
from charrnn.backend.team import Alone, Team
from charrnn.config import TrainConfig
from charrnn.errors import UsageError, setting
from charrnn.evaluate.course import SMOOTHING
from charrnn.storage.progress import Progress, State, restore
from charrnn.tasks.base import Task
from charrnn.text.windows import Batch
from charrnn.train.divergence import Guard, all_finite
from charrnn.train.learning_rate import LearningRate
from charrnn.train.local.outer import OUTER
from charrnn.train.records import End, Eval, Record, Sample, SaveDue, Step
from charrnn.train.stopping import StopConditions
from charrnn.train.update import Update
from charrnn.train.watch import Watcher


class Loop:
    """A task, and how far its training has come.

    Parameters
    ----------
    task
        Its weights are trained in place.
    config
        Stop conditions, learning rate, optimizer, clipping, and how often to report.
    progress, moments, states
        From a checkpoint, to continue exactly from it.
    sampler
        Returns a short sample at a step, for ``config.sample_every``.
    interrupted
        Polled after every step and during evaluations; once it is true the loop ends, with the step
        complete. An interrupted evaluation is abandoned, and repeated on resume.
    team
        The members that train the same weights on other streams, each with its own loop.

    Raises
    ------
    UsageError
        If ``config`` needs an evaluation, and the task has no validation data.
    CheckpointError
        If ``moments`` or ``states`` are not those of this task.
    """

    def __init__(
        self,
        task: Task,
        config: TrainConfig,
        *,
        progress: Progress | None = None,
        moments: Mapping[str, np.ndarray] | None = None,
        states: Mapping[str, np.ndarray] | None = None,
        sampler: Callable[[int], str] | None = None,
        interrupted: Callable[[], bool] = lambda: False,
        team: Team | None = None,
    ) -> None:
        self.task, self.config, self.backend = task, config, task.backend
        self.progress = progress or Progress()
        self._team = team or Alone()
        self.update = Update(self.backend, task.weights, config, self._partners)
        self._stopping = StopConditions(config, task.windows_per_epoch)
        self._learning_rate = LearningRate(config, self._stopping.total_steps)
        if not task.has_validation and (config.patience or self._learning_rate.needs_validation):
            name = "patience" if config.patience else "schedule"
            needs = f"{setting(name)} {getattr(config, name)} needs validation data"
            raise UsageError(needs, f"give {setting('val_frac')}")
        guards = (Guard(task, self.update, team) for team in (self._team, self._partners))
        self._guard, self._step_guard = guards
        self._sampler, self._interrupted = sampler, interrupted
        self._started, self._seconds_before = perf_counter(), self.progress.seconds
        self._begin(moments or {}, states or {})

    @property
    def _partners(self) -> Team:
        """The members that make each update together."""
        return self._team

    def _begin(self, moments: Mapping[str, np.ndarray], states: Mapping[str, np.ndarray]) -> None:
        """Start at the step that ``progress`` names."""
        self._restore(moments, self._team.shares(states, self.config.batch))
        self._loss: Any = None
        self._norm: Any = None
        self._lr = 0.0
        self._train_seconds, self._train_steps = 0.0, 0
        self.pending: list[Record] = []  # of the last step, not yielded yet
        weights, smoothed = self.task.weights, self.progress.smoothed
        self._smoothed = None if smoothed is None else weights.flat.dtype.type(smoothed)
        watch = self.config.watch
        self._watcher = Watcher(self.backend, weights.trained, watch) if watch else None
        if self._watcher:
            self._watcher.resume(self.progress.watched, self.progress.clipped)

    def _restore(self, moments: Mapping[str, np.ndarray], states: Mapping[str, np.ndarray]) -> None:
        """Restore the arrays of a checkpoint; a run that has begun needs all of them."""
        arrays = self._moments()
        arrays |= {name: sequence[0] for name, sequence in self.task.window.states()}
        begun = self.progress.step or moments or states
        restore(arrays, {**self._kept(moments), **states} if begun else None, self.backend.put)

    def _moments(self) -> dict[str, Array]:
        """Return the arrays of the size of the weights that a checkpoint keeps, by name."""
        return dict(self.update.optimizer.moments)

    def _kept(self, moments: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the moments of a checkpoint that count here: not those of an outer update."""
        return {name: array for name, array in moments.items() if name != OUTER}

    def go_back(self, good: State) -> None:
        """Restore a good state; only the elapsed time is kept."""
        self.progress = good.progress
        self.task.weights.flat[...] = self.backend.put(good.weights)
        self._begin(good.moments, good.states)

    def records(self) -> Iterator[Record]:
        """Train until a stop condition holds; yield what happens as it happens.

        Raises
        ------
        DivergedError
            If a value is not finite, or the loss is far too large. Call :meth:`go_back` before
            continuing.
        """
        config, progress = self.config, self.progress
        while not self._stopped():
            step = progress.step
            if self.stop_reason():
                self._check_end()  # before anything of this step is saved
            if self._due(config.eval_every, progress.evaluated) and self.task.has_validation:
                record = self._evaluate(scheduled=True)
                if record is None:
                    continue
                yield record
            if self._due(config.sample_every, progress.sampled) and self._sampler:
                progress.sampled = step
                self._guard.everything(step)
                yield Sample(step, self._sampler(step))
            if self._due(config.save_every, progress.saved):
                yield SaveDue(step)
            reason = self.stop_reason()
            if reason:
                if self.task.has_validation and progress.measured != step:
                    record = self._evaluate(scheduled=False)
                    if record is None:
                        continue
                    yield record
                yield self._end(reason)
                return
            self.step()
            if self._watcher and progress.step % config.watch == 0:
                self.pending.append(self._watcher.record(progress.step))
            if self._reached(config.log_every):
                self.pending.append(self._report())
            while self.pending:
                yield self.pending.pop(0)
        yield self._end("interrupted")

    @np.errstate(all="ignore")  # the guard finds non-finite values
    def step(self) -> None:
        """Make one update.

        Raises
        ------
        DivergedError
            On NumPy: if a value is not finite, or the loss is far too large.
        """
        with self.task.training():
            self._step()

    def _step(self) -> None:
        begun = perf_counter()
        progress, task, update = self.progress, self.task, self.update
        guard, count = self._step_guard if self._guard.every_step else None, progress.step + 1
        if guard:
            guard.states(count)
        batch = task.batch(progress.step)
        task.window.start(batch.reset, self.backend)
        self._loss = self._gradient(batch)
        self._norm = update.norm()
        if guard:
            guard.gradient(count, self._loss, self._norm)
        task.window.carry()
        if self._watcher:
            self._watcher.begin(count, task.weights.trained.flat, update.grads.flat)
        _, scale = update.clip(self._norm)
        lr = self._learning_rate.at(progress, self.seconds)
        self._lr = self._partners.same(lr)  # computed from the clock and by the system's cosine
        progress.step, progress.epoch = count, batch.epoch
        update.apply(self._lr, scale, count)
        if guard:
            guard.update(count)
        if self._watcher:
            self._watcher.end(task.weights.trained.flat, scale)
        before = self._loss if self._smoothed is None else self._smoothed
        self._smoothed = before + (1 - SMOOTHING) * (self._loss - before)
        self._train_seconds += perf_counter() - begun
        self._train_steps += 1

    def _gradient(self, batch: Batch) -> Array:
        """Compute the gradient of the loss on a batch; return the loss."""
        return self.update.gradient(partial(self.task.loss_and_gradient, batch, self.progress.step))

    @property
    def total_steps(self) -> int | None:
        """Steps at which training ends at the latest; None if only a time limit is given."""
        return self._stopping.total_steps

    def stop_reason(self) -> str | None:
        """Return which stop condition holds, if any, for the whole team."""
        return self._stopping.reason(self.progress, self._common_seconds())

    def saved_reason(self) -> str | None:
        """Return which stop condition held when the progress was saved; the team is not asked."""
        return self._stopping.reason(self.progress, self._seconds_before)

    def stop_remedy(self) -> str:
        """Return which settings let training continue after a stop condition has held."""
        return self._stopping.remedy(self.progress, self._common_seconds())

    @property
    def seconds(self) -> float:
        """Wall-clock time of the run so far, over all its sessions."""
        return self._seconds_before + perf_counter() - self._started

    def _common_seconds(self) -> float:
        """Return the first member's time, if it decides anything."""
        return self.seconds if self.config.minutes is None else self._team.same(self.seconds)

    def _stopped(self) -> bool:
        """Return whether a member of the team was interrupted."""
        return self._team.any(self._interrupted())

    def _due(self, every: int, last: int) -> bool:
        step = self.progress.step
        return bool(every) and step > 0 and last != step and self._reached(every, last)

    def _reached(self, every: int, last: int = 0) -> bool:
        """Return whether something happens now that does so every so many steps."""
        return self.progress.step % every == 0

    def _report(self) -> Step:
        begun = perf_counter()
        loss, norm, self.progress.smoothed = self._checked_numbers()
        elapsed = self._train_seconds + perf_counter() - begun  # includes waiting for a GPU
        chars = self._train_steps * self.task.symbols_per_batch
        self._train_seconds, self._train_steps = 0.0, 0
        return Step(
            step=self.progress.step,
            epoch=self.progress.epoch,
            loss=loss,
            smoothed=self.progress.smoothed,
            grad_norm=norm,
            lr=self._lr,
            chars_per_second=chars / elapsed if elapsed else 0.0,
            seconds=self.seconds,
        )

    def _checked_numbers(self) -> tuple[float, float, float]:
        """Return loss, gradient norm and smoothed loss on the host, in one transfer."""
        numbers: tuple[Any, ...] = (self._loss, self._norm, self._smoothed)
        if self._guard.every_step:  # in the step already
            return float(numbers[0]), float(numbers[1]), float(numbers[2])
        step, both = self.progress.step, self.backend.xp.stack([*numbers, self._guard.total()])
        loss, norm, smoothed, total = self.backend.get(both).tolist()
        self._guard.everything(step, total)
        self._guard.gradient(step, loss, norm)
        return loss, norm, smoothed

    def _check_end(self) -> None:
        """Check the last losses: a run must not end far worse than a guess."""
        if self._loss is not None:
            loss, _, smoothed = self._checked_numbers()
            self._guard.end(self.progress.step, loss, smoothed)
        elif self.progress.smoothed is not None:
            self._guard.end(self.progress.step, inf, self.progress.smoothed)

    @np.errstate(all="ignore")
    def _evaluate(self, scheduled: bool) -> Eval | None:
        """Measure the task's metric; return None, and change nothing, if interrupted.

        Only a scheduled evaluation moves best, patience and plateau.
        """
        progress, metric, begun = self.progress, self.task.metric, perf_counter()
        name, checked = f"validation {metric.name}", self.stop_reason() is not None
        value = self.task.evaluate(self._stopped)
        if value is None:
            return None
        value = self._team.same(value)
        if self.config.minutes is not None:
            progress.evaluation_seconds = self._team.same(perf_counter() - begun)
        self._guard.loss(progress.step, name, value)
        best = progress.measure(value, metric.better)
        if scheduled:
            self._learning_rate.evaluated(progress, progress.schedule(value, metric.better))
        if self.stop_reason():  # maybe only now: out of patience, or of time
            self._guard.last(progress.step, name, value)
            if not checked:
                self._check_end()
        return Eval(progress.step, value, best, self.seconds, self.task.measures())

    def _end(self, reason: str) -> End:
        at = self.progress
        at.seconds = self.seconds
        return End(at.step, reason, at.epoch, at.val_loss, at.kept_val_loss, at.seconds)

    def state(self) -> State:
        """Return a resumable state of training, on the host, as a checkpoint keeps it.

        It is the whole team's: one of any size can continue from it. NumPy's arrays are not copied.

        Raises
        ------
        DivergedError
            If any of it is not finite: such a model must not replace a good one.
        """
        get, step = self.backend.get, self.progress.step
        weights = get(self.task.weights.flat)
        moments = {name: get(array) for name, array in self._moments().items()}
        states = {name: get(at[0]) for name, at in self.task.window.states()}
        if self._team.any(not all_finite((weights, *moments.values(), *states.values()))):
            self._guard.everything(step)
        if self._smoothed is not None:
            self.progress.smoothed = float(get(self._smoothed))
            self._guard.loss(step, "smoothed loss", self.progress.smoothed)
        if self._watcher:
            self.progress.watched, self.progress.clipped = self._watcher.counts()
        self.progress.seconds = self.seconds
        whole = {name: self._team.joined(array) for name, array in states.items()}
        return State(self.progress, weights, moments, whole)
