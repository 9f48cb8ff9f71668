"""The training loop: truncated backpropagation through time, as a generator of records.

The text's N streams are read window by window; with ``state = carry`` the hidden state goes on from
each window to the next while its gradient is cut between them. At the start of an epoch the text
jumps back, so the state is zeroed; so is, now and then, that of a single stream. A step is:
gradients, clipping, update. The loop neither prints nor saves: it reports what happened, and
whoever iterates over it decides what to do about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import inf
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from charrnn.config import TrainConfig
from charrnn.errors import CheckpointError, UsageError, setting
from charrnn.evaluate import Validation
from charrnn.model.language import LanguageModel
from charrnn.model.shards import Shards
from charrnn.randomness import Purpose, words
from charrnn.storage.progress import Progress
from charrnn.text.windows import Streams
from charrnn.train.divergence import Guard, all_finite
from charrnn.train.learning_rate import LearningRate
from charrnn.train.records import End, Eval, Record, Sample, SaveDue, Step
from charrnn.train.stopping import StopConditions
from charrnn.train.update import Update
from charrnn.train.watch import Watcher

SMOOTHING = 0.98


class State(NamedTuple):
    """What training can go on from: host arrays as a checkpoint keeps them.

    ``moments`` and ``states`` are empty where training has not begun.
    """

    progress: Progress
    weights: np.ndarray
    moments: dict[str, np.ndarray]
    states: dict[str, np.ndarray]


class Loop:
    """A model, its text, and how far its training has come.

    Parameters
    ----------
    model
        Trained in place.
    train, val
        Ids of the training and validation text; ``val`` may be empty.
    config
        ``batch`` and ``seq_len`` must fit the text.
    progress, moments, states
        From a checkpoint, to go on exactly where it was written.
    sampler
        Returns a short sample at a step, for ``config.sample_every``.
    interrupted
        Asked after every step, and within an evaluation, which is then given up to be made again;
        once it is true the loop ends, with the step complete.
    """

    def __init__(
        self,
        model: LanguageModel,
        train: np.ndarray,
        val: np.ndarray,
        config: TrainConfig,
        *,
        progress: Progress | None = None,
        moments: dict[str, np.ndarray] | None = None,
        states: dict[str, np.ndarray] | None = None,
        sampler: Callable[[int], str] | None = None,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        self.model, self.config = model, config
        self.backend = model.backend
        self.progress = progress or Progress()
        self.streams = Streams(train, config.batch, config.seq_len)
        self.window = Shards(model, config.seq_len, config.batch)
        self.update = Update(self.backend, model.weights, config)
        self._stopping = StopConditions(config, self.streams.windows_per_epoch)
        self._learning_rate = LearningRate(config, self._stopping.total_steps)
        self.validation = None
        if len(val) > 1:
            self.validation = Validation(model, val, limit=config.eval_chars)
        elif config.patience or self._learning_rate.needs_validation:
            needs = "patience" if config.patience else "schedule"
            value = config.patience or config.schedule
            raise UsageError(
                f"{setting(needs)} {value} needs a validation text",
                f"give {setting('val_frac')} or {setting('val')}",
            )
        self._guard = Guard(model, self.update.grads, self.update.optimizer.moments, self.window)
        self._sampler, self._interrupted = sampler, interrupted
        self._started, self._seconds_before = perf_counter(), self.progress.seconds
        self._begin(moments or {}, states or {})

    def _begin(self, moments: dict[str, np.ndarray], states: dict[str, np.ndarray]) -> None:
        """Go on from the step that the progress tells."""
        self._restore(moments, states)
        self._loss: Any = None
        self._norm: Any = None
        self._lr = 0.0
        self._train_seconds, self._train_steps = 0.0, 0
        self.owed: list[Record] = []  # of the step made last, still to be told
        smoothed, watch = self.progress.smoothed, self.config.watch
        self._smoothed = None if smoothed is None else self.update.grads.flat.dtype.type(smoothed)
        self._watcher = Watcher(self.backend, self.model.weights, watch) if watch else None
        if self._watcher:
            self._watcher.go_on(self.progress.watched, self.progress.clipped)

    def _restore(self, moments: dict[str, np.ndarray], states: dict[str, np.ndarray]) -> None:
        """Take over what a checkpoint holds; a run that has begun needs all of it."""
        if not (self.progress.step or moments or states):
            self.window.reset()
            for moment in self.update.optimizer.moments.values():
                moment[...] = 0.0
            return
        put, sequences = self.backend.put, dict(self.window.states())
        fit = all(
            name in states and states[name].shape == sequence[0].shape
            for name, sequence in sequences.items()
        )
        if (
            not fit
            or set(states) != set(sequences)
            or set(moments) != set(self.update.optimizer.moments)
        ):
            raise CheckpointError(
                "the checkpoint lacks the moments or states that its training goes on from",
                "start a new run from its weights with --init-from",
            )
        for name, array in moments.items():
            self.update.optimizer.moments[name][...] = put(array)
        for name, sequence in sequences.items():
            sequence[0] = put(states[name])

    def go_back(self, good: State) -> None:
        """Put everything as it was in a good state; only the time goes on."""
        self.progress = good.progress
        self.model.weights.flat[...] = self.backend.put(good.weights)
        self._begin(good.moments, good.states)

    def records(self) -> Iterator[Record]:
        """Train until a stop condition holds; yield what happens as it happens.

        Raises
        ------
        DivergedError
            If anything is not finite any more, or the loss far too large. To go on, go back first.
        """
        config, progress = self.config, self.progress
        while not self._interrupted():
            step = progress.step
            if self.stop_reason():
                self._check_end()  # before anything of this step is kept
            if self._due(config.eval_every, progress.evaluated) and self.validation:
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
                if self.validation and progress.measured != step:
                    record = self._evaluate(scheduled=False)
                    if record is None:
                        continue
                    yield record
                yield self._end(reason)
                return
            self.step()
            if self._watcher and progress.step % config.watch == 0:
                self.owed.append(self._watcher.record(progress.step))
            if progress.step % config.log_every == 0:
                self.owed.append(self._report())
            while self.owed:
                yield self.owed.pop(0)
        yield self._end("interrupted")

    @np.errstate(all="ignore")  # the guard finds what is not finite
    def step(self) -> None:
        """Make one update.

        Raises
        ------
        DivergedError
            On NumPy: if anything is not finite, or the loss far too large.
        """
        with self.window.lent():
            self._update()

    def _update(self) -> None:
        begun = perf_counter()
        config, progress, update = self.config, self.progress, self.update
        guard, count = self._guard if self._guard.every_step else None, progress.step + 1
        if guard:
            guard.states(count)
        window = self.streams.batch_at(progress.step)
        if window.start or config.state == "reset":
            self.window.reset()
        elif config.restart:
            self._restart_some()
        ids, targets = self.backend.put(window.inputs), self.backend.put(window.targets)
        key = (config.seed, progress.step) if self.model.config.dropout else None
        compute = partial(self.window.loss_and_gradient, ids, targets, dropout_key=key)
        self._loss = update.gradient(compute)
        self._norm = update.norm()
        if guard:
            guard.gradient(count, self._loss, self._norm)
        self.window.carry()
        if self._watcher:
            self._watcher.begin(count, self.model.weights.flat, update.grads.flat)
        _, scale = update.clip(self._norm)
        self._lr = self._learning_rate.at(progress, self.seconds)
        progress.step, progress.epoch = count, window.epoch
        update.apply(self._lr, scale, count)
        if guard:
            guard.update(count)
        if self._watcher:
            self._watcher.end(self.model.weights.flat, scale)
        if self._smoothed is None:
            self._smoothed = self._loss
        else:
            self._smoothed = self._smoothed + (1 - SMOOTHING) * (self._loss - self._smoothed)
        self._train_seconds += perf_counter() - begun
        self._train_steps += 1

    def _restart_some(self) -> None:
        """Zero the carried state of each stream with the configured probability."""
        config = self.config
        bits = words(config.seed, Purpose.RESTART, config.batch, step=self.progress.step)
        kept = bits >= np.uint32(round(config.restart * 2**32))
        if not kept.all():
            self.window.restart(self.backend.put(kept, self.update.grads.flat.dtype))

    @property
    def total_steps(self) -> int | None:
        """Steps at which training ends at the latest; None if only a time limit is given."""
        return self._stopping.total_steps

    def stop_reason(self) -> str | None:
        """Return which stop condition holds, if any."""
        return self._stopping.reason(self.progress, self.seconds)

    @property
    def seconds(self) -> float:
        """Wall-clock time of the run so far, over all its sessions."""
        return self._seconds_before + perf_counter() - self._started

    def _due(self, every: int, last: int) -> bool:
        step = self.progress.step
        return bool(every) and step > 0 and step % every == 0 and last != step

    def _report(self) -> Step:
        begun = perf_counter()
        loss, norm, smoothed = self._checked_numbers()
        self.progress.smoothed = smoothed
        elapsed = self._train_seconds + perf_counter() - begun  # a GPU is waited for here
        chars = self._train_steps * self.config.batch * self.config.seq_len
        self._train_seconds, self._train_steps = 0.0, 0
        return Step(
            step=self.progress.step,
            epoch=self.progress.epoch,
            loss=loss,
            smoothed=smoothed,
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
        step = self.progress.step
        both = self.backend.xp.stack([*numbers, self._guard.total()])
        loss, norm, smoothed, total = self.backend.get(both).tolist()
        self._guard.everything(step, total)
        self._guard.gradient(step, loss, norm)
        return loss, norm, smoothed

    def _check_end(self) -> None:
        """Look at the last losses: a run does not end well with a model worse than a guess."""
        if self._loss is not None:
            loss, _, smoothed = self._checked_numbers()
            self._guard.end(self.progress.step, loss, smoothed)
        elif self.progress.smoothed is not None:
            self._guard.end(self.progress.step, inf, self.progress.smoothed)

    def _evaluate(self, scheduled: bool) -> Eval | None:
        """Measure the validation loss; only a scheduled one moves best, patience and plateau.

        Returns None, and changes nothing, if interrupted.
        """
        assert self.validation is not None
        progress = self.progress
        with np.errstate(all="ignore"):
            loss = self.validation.loss(self._interrupted)
        if loss is None:
            return None
        self._guard.loss(progress.step, "validation loss", loss)
        progress.val_loss, progress.measured = loss, progress.step
        best = progress.kept_val_loss is None or loss < progress.kept_val_loss
        if best:
            progress.kept_val_loss = loss
        if scheduled:
            progress.evaluated = progress.step
            better = progress.best_val_loss is None or loss < progress.best_val_loss
            if better:
                progress.best_val_loss, progress.best_step = loss, progress.step
            progress.stale = 0 if better else progress.stale + 1
            self._learning_rate.evaluated(progress, better)
        return Eval(progress.step, loss, best, self.seconds)

    def _end(self, reason: str) -> End:
        progress = self.progress
        progress.seconds = self.seconds
        return End(
            step=progress.step,
            reason=reason,
            epoch=progress.epoch,
            val_loss=progress.val_loss,
            best_val_loss=progress.kept_val_loss,
            seconds=progress.seconds,
        )

    def state(self) -> State:
        """Return what training can go on from, on the host, as a checkpoint keeps it.

        On NumPy the arrays are those in use.

        Raises
        ------
        DivergedError
            If any of it is not finite: such a model must not replace a good one.
        """
        get, step = self.backend.get, self.progress.step
        weights = get(self.model.weights.flat)
        moments = {name: get(array) for name, array in self.update.optimizer.moments.items()}
        states = {name: get(sequence[0]) for name, sequence in self.window.states()}
        if not all_finite((weights, *moments.values(), *states.values())):
            self._guard.everything(step)
        if self._smoothed is not None:
            self.progress.smoothed = float(get(self._smoothed))
            self._guard.loss(step, "smoothed loss", self.progress.smoothed)
        if self._watcher:
            self.progress.watched, self.progress.clipped = self._watcher.counts()
        self.progress.seconds = self.seconds
        return State(self.progress, weights, moments, states)
