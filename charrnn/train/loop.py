"""The training loop: truncated backpropagation through time, as a generator of records.

The text's N streams are read window by window; with ``state = carry`` the hidden state goes on from
each window to the next while its gradient is cut between them. At the start of an epoch the text
jumps back, so the state is zeroed; so is, now and then, that of a single stream. A step is:
gradients, clipping, update. The loop neither prints nor saves: it reports what happened, and
whoever iterates over it decides what to do about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil, isfinite
from time import perf_counter
from typing import Any

import numpy as np

from charrnn.config import DEFAULT_STEPS, TrainConfig
from charrnn.errors import CharRNNError, CheckpointError, UsageError
from charrnn.evaluate import Validation
from charrnn.model.language import LanguageModel
from charrnn.progress import Progress
from charrnn.randomness import Purpose, words
from charrnn.text.streams import Streams
from charrnn.train import clipping, optimizers, schedules
from charrnn.train.records import End, Eval, Record, Sample, Step
from charrnn.train.watch import Watcher

SMOOTHING = 0.98


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
        Asked after every step; once it is true the loop ends, with the step complete.
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
        self.window = model.window(config.seq_len, config.batch)
        self.grads = model.weights.like(self.backend.xp.empty_like(model.weights.flat))
        self.optimizer = optimizers.create(
            config.optimizer, self.backend, model.weights.flat, config.momentum, config.weight_decay
        )
        self.validation = None
        if len(val) > 1:
            self.validation = Validation(model, val, limit=config.eval_chars)
        elif config.patience or config.schedule == "plateau":
            raise UsageError(
                "--patience and --schedule plateau need a validation text",
                "give --val-frac or --val",
            )
        schedules.check(config.schedule)
        self._watcher = Watcher(self.backend, model.weights, config.watch) if config.watch else None
        self._sampler, self._interrupted = sampler, interrupted
        self._saved = self._sampled = self.progress.step
        self._restore(moments or {}, states or {})
        self._loss: Any = None
        self._norm: Any = None
        self._lr = 0.0
        self._train_seconds, self._train_steps = 0.0, 0
        self._started, self._seconds_before = perf_counter(), self.progress.seconds
        smoothed = self.progress.smoothed
        self._smoothed = None if smoothed is None else self.grads.flat.dtype.type(smoothed)

    def _restore(self, moments: dict[str, np.ndarray], states: dict[str, np.ndarray]) -> None:
        """Take over what a checkpoint holds; a run that has begun needs all of it."""
        if not (self.progress.step or moments or states):
            return
        put, sequences = self.backend.put, dict(self.window.states())
        fit = all(
            name in states and states[name].shape == sequence[0].shape
            for name, sequence in sequences.items()
        )
        if not fit or set(states) != set(sequences) or set(moments) != set(self.optimizer.moments):
            raise CheckpointError(
                "the checkpoint lacks the moments or states that its training goes on from",
                "start a new run from its weights with --init-from",
            )
        for name, array in moments.items():
            self.optimizer.moments[name][...] = put(array)
        for name, sequence in sequences.items():
            sequence[0] = put(states[name])

    def records(self) -> Iterator[Record]:
        """Train until a stop condition holds; yield what happens as it happens.

        Raises
        ------
        CharRNNError
            If the loss or the gradient is not finite any more.
        """
        config, progress = self.config, self.progress
        while not self._interrupted():
            step = progress.step
            if self._due(config.eval_every, progress.evaluated) and self.validation:
                yield self._evaluate(scheduled=True)
            if self._due(config.sample_every, self._sampled) and self._sampler:
                self._sampled = step
                yield Sample(step, self._sampler(step))
            if self._due(config.save_every, self._saved):
                self._saved = step
                yield SaveDue(step)
            reason = self.stop_reason()
            if reason:
                if self.validation and progress.measured != step:
                    yield self._evaluate(scheduled=False)
                yield self._end(reason)
                return
            self.step()
            if self._watcher and progress.step % config.watch == 0:
                yield self._watcher.record(progress.step)
            if progress.step % config.log_every == 0:
                yield self._report()
        yield self._end("interrupted")

    @np.errstate(all="ignore")  # divergence is found in the loss, and reported once
    def step(self) -> None:
        """Make one update."""
        begun = perf_counter()
        config, progress, xp = self.config, self.progress, self.backend.xp
        window = self.streams.window(progress.step)
        if window.start or config.state == "reset":
            self.window.reset()
        elif config.restart:
            self._restart_some()
        ids, targets = self.backend.put(window.inputs), self.backend.put(window.targets)
        key = (config.seed, progress.step) if self.model.config.dropout else None
        self._loss = self.model.loss_and_gradient(self.window, ids, targets, self.grads, key)
        self.window.carry()
        flat = self.grads.flat
        self._norm = size = clipping.norm(xp, flat)
        if self._watcher:
            self._watcher.begin(progress.step + 1, self.model.weights.flat, flat)
        scale: Any = 1.0
        if config.clip_value:
            clipping.by_value(xp, flat, config.clip_value)
            size = clipping.norm(xp, flat)
        if config.clip_norm:
            scale = clipping.scale_for_norm(xp, size, config.clip_norm)
        self._lr = self.learning_rate()
        progress.step += 1
        progress.epoch = window.epoch
        self.optimizer.apply(self.model.weights.flat, flat, self._lr, scale, progress.step)
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
            self.window.restart(self.backend.put(kept, self.grads.flat.dtype))

    @property
    def total_steps(self) -> int | None:
        """Steps at which training ends at the latest; None if only a time limit is given."""
        config = self.config
        limits = [config.steps] if config.steps is not None else []
        if config.epochs is not None:
            limits.append(ceil(config.epochs * self.streams.windows_per_epoch))
        if not limits and config.minutes is None:
            limits.append(DEFAULT_STEPS)
        return min(limits) if limits else None

    def stop_reason(self) -> str | None:
        """Return which stop condition holds, if any."""
        config, step = self.config, self.progress.step
        if config.patience and self.progress.stale >= config.patience:
            return "patience"
        if self.total_steps is not None and step >= self.total_steps:
            return "steps" if config.steps is None or step >= config.steps else "epochs"
        if config.minutes is not None and self.seconds >= config.minutes * 60:
            return "minutes"
        return None

    @property
    def seconds(self) -> float:
        """Wall-clock time of the run so far, over all its sessions."""
        return self._seconds_before + perf_counter() - self._started

    def learning_rate(self) -> float:
        """Return the learning rate of the next update."""
        config, step = self.config, self.progress.step
        rate = schedules.factor(config.schedule, self._share(), step, config.warmup)
        return config.lr * rate * self.progress.plateau

    def _share(self) -> float:
        """Return the share of the schedule's horizon that is over."""
        if self.config.horizon is not None:
            return self.progress.step / self.config.horizon
        shares = [0.0]
        if self.total_steps is not None:
            shares.append(self.progress.step / self.total_steps)
        if self.config.minutes is not None:
            shares.append(self.seconds / (self.config.minutes * 60))
        return max(shares)

    def _due(self, every: int, last: int) -> bool:
        step = self.progress.step
        return bool(every) and step > 0 and step % every == 0 and last != step

    def _report(self) -> Step:
        begun = perf_counter()
        loss, norm = self._checked("loss", self._loss), self._checked("gradient norm", self._norm)
        self.progress.smoothed = float(self.backend.get(self._smoothed))
        elapsed = self._train_seconds + perf_counter() - begun  # a GPU is waited for here
        chars = self._train_steps * self.config.batch * self.config.seq_len
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

    def _checked(self, what: str, value: Any) -> float:
        number = float(self.backend.get(value))
        if not isfinite(number):
            raise CharRNNError(
                f"training diverged: the {what} is {number} at step {self.progress.step}",
                "lower --lr or --clip-norm; the last checkpoint is intact",
            )
        return number

    def _evaluate(self, scheduled: bool) -> Eval:
        """Measure the validation loss; only a scheduled one moves best, patience and plateau."""
        assert self.validation is not None
        progress = self.progress
        with np.errstate(all="ignore"):  # a loss that is not finite is reported below
            loss = self._checked("validation loss", self.validation.loss())
        progress.val_loss, progress.measured = loss, progress.step
        best = progress.kept_val_loss is None or loss < progress.kept_val_loss
        if best:
            progress.kept_val_loss = loss
        if scheduled:
            progress.evaluated = progress.step
            if progress.best_val_loss is None or loss < progress.best_val_loss:
                progress.best_val_loss, progress.best_step = loss, progress.step
                progress.stale = progress.plateau_stale = 0
            else:
                progress.stale += 1
                if self.config.schedule == "plateau":
                    progress.plateau, progress.plateau_stale = schedules.plateau(
                        progress.plateau, progress.plateau_stale
                    )
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

    def host_state(self) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return weights, moments and carried states on the host, as a checkpoint keeps them.

        Raises
        ------
        CharRNNError
            If a weight or the loss is not finite: such a model must not replace a good one.
        """
        get = self.backend.get
        weights = get(self.model.weights.flat)
        if not np.isfinite(weights).all():
            raise CharRNNError(
                f"training diverged: a weight is not finite at step {self.progress.step}",
                "lower --lr or --clip-norm; the last checkpoint is intact",
            )
        if self._smoothed is not None:
            self.progress.smoothed = self._checked("smoothed loss", self._smoothed)
        self.progress.seconds = self.seconds
        moments = {name: get(array) for name, array in self.optimizer.moments.items()}
        states = {name: get(sequence[0]) for name, sequence in self.window.states()}
        return weights, moments, states


class SaveDue(Record):
    """The loop's wish for a checkpoint at this step; whoever saves reports a Save instead."""

    event = "save-due"
