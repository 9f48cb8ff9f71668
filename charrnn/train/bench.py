"""How fast this machine trains: batch, threads and backend, measured and proposed.

Trials are interleaved, so that other load affects all of them, and compared by their medians. First
several numbers of threads are tried at the default batch, then several batches with the proposed
number of threads; on a GPU only batches. It is the real training loop, on random symbols: a text,
or examples of the task, all of one length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from charrnn.backend import Backend
from charrnn.backend.threads import cores, set_threads
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.errors import CharRNNError, setting
from charrnn.model.language import LanguageModel
from charrnn.sampling import stream
from charrnn.tasks.language import LanguageTask
from charrnn.text import Vocabulary
from charrnn.text.labelled.dataset import table_of
from charrnn.text.pairs.dataset import pair_table_of
from charrnn.text.tagged.dataset import tagged_of
from charrnn.train import recipes
from charrnn.train.loop import Loop
from charrnn.train.recipes.language import language_loop

BATCHES = {"numpy": (16, 32, 64, 128), "cupy": (32, 64, 128, 256, 512)}
ENOUGH_THREADS = 0.97
"""The fewest threads that reach this share of the best speed are proposed."""
ENOUGH_BATCH = 0.8
"""The smallest batch that reaches this share of the best speed is proposed: a larger one makes
fewer updates on the same text, which costs more than the extra speed is worth."""
SYMBOLS = "".join(map(chr, range(32, 97)))
LENGTHS = {"classify": 64, "tag": 64, "generate": 64, "transduce": 16}
"""For each task of examples, the symbols of a text, or of each side of a pair."""
LABELS = 10
TURN = 0.05
"""Minimum duration of one turn of a trial, in seconds."""
MIN_ROUNDS = 3


@dataclass(frozen=True)
class Trial:
    """One setting and its speed.

    ``threads`` is None on a GPU, where it does not matter; ``seconds`` is the median time of one
    update, from which ``chars_per_second`` is computed, and ``examples_per_second`` for a task of
    examples (None for a text). Symbols of a transducer are those of its targets.
    """

    backend: str
    threads: int | None
    batch: int
    seconds: float
    chars_per_second: float
    examples_per_second: float | None = None


@dataclass(frozen=True)
class Bench:
    """The measurements and the proposal.

    ``proposal`` is one of ``trials``; ``sampling`` is the speed of sampling one stream with the
    proposal's backend and threads, in characters per second. ``matmul`` and ``core`` are what the
    user asked for, which the proposed command repeats. For a task of examples there is neither a
    window nor a text to sample.
    """

    model: ModelConfig
    seq_len: int | None
    trials: tuple[Trial, ...]
    proposal: Trial
    sampling: float | None
    matmul: str = "fp32"
    core: str = "auto"


@dataclass
class _Case:
    """A trial while it is being measured."""

    backend: Backend
    threads: int | None
    batch: int
    loop: Loop
    repeats: int = 1
    seconds: list[float] = field(default_factory=list)

    def turn(self) -> float:
        """Make the updates of one turn; return the seconds per update."""
        set_threads(self.backend, self.threads)
        self.loop.step()  # refills caches and wakes threads after another case's turn
        self._wait()
        begun = perf_counter()
        for _ in range(self.repeats):
            self.loop.step()
        self._wait()
        return (perf_counter() - begun) / self.repeats

    def _wait(self) -> None:
        self.backend.get(self.loop.task.weights.flat[:1])

    def trial(self) -> Trial:
        """Return the result."""
        seconds = median(self.seconds)
        task: Any = self.loop.task
        name, threads, batch = self.backend.name, self.threads, self.batch
        if isinstance(task, LanguageTask):
            return Trial(name, threads, batch, seconds, batch * self.loop.config.seq_len / seconds)
        examples = len(task.train) / task.windows_per_epoch
        symbols = task.symbols_per_batch
        return Trial(name, threads, batch, seconds, symbols / seconds, examples / seconds)


def thread_choices(most: int) -> tuple[int, ...]:
    """Return the numbers of threads to try: powers of two below ``most``, and ``most``."""
    return (*(1 << k for k in range(most.bit_length()) if 1 << k < most), most)


def run(
    model: ModelConfig,
    backends: Sequence[Backend],
    *,
    seq_len: int = TrainConfig.seq_len,
    threads: int | None = None,
    seconds: float = 15.0,
    clock: Callable[[], float] = perf_counter,
) -> Bench:
    """Measure training on every backend and propose a setting.

    Parameters
    ----------
    model
        The architecture to train.
    backends
        The backends to try.
    seq_len
        Window length in steps.
    threads
        Try only this number of threads.
    seconds
        About how long to measure in all, but at least a few updates, however long they take.
    clock
        Returns the time in seconds, to limit the duration.

    Raises
    ------
    UsageError
        If ``seq_len`` or ``threads`` is invalid.
    CharRNNError
        If a trial does not fit in memory.
    """
    TrainConfig(seq_len=seq_len)  # an impossible window fails here
    share = 0.9 * seconds / len(backends)
    trials: list[Trial] = []
    winners: list[Trial] = []
    with _threads_restored():
        for backend in backends:
            setup = _Setup(model, backend, seq_len, clock)
            measured = _of_backend(setup, threads, share)
            trials += measured
            last = measured[-1].threads
            winners.append(propose_batch([t for t in measured if t.threads == last]))
        best = max(winners, key=lambda trial: trial.chars_per_second)
        chosen = next(backend for backend in backends if backend.name == best.backend)
        set_threads(chosen, best.threads)
        if model.task != "lm":
            return Bench(model, None, tuple(trials), best, None)
        sampling = _sampling(model, chosen, 0.1 * seconds, clock)
    return Bench(model, seq_len, tuple(trials), best, sampling)


def propose_threads(trials: Sequence[Trial]) -> Trial:
    """Return the trial with the fewest threads among those near the best speed."""
    best = max(trial.chars_per_second for trial in trials)
    near = [t for t in trials if t.chars_per_second >= ENOUGH_THREADS * best]
    return min(near, key=lambda trial: trial.threads or 0)


def propose_batch(trials: Sequence[Trial]) -> Trial:
    """Return the trial with the smallest batch among those near the best speed."""
    best = max(trial.chars_per_second for trial in trials)
    near = [t for t in trials if t.chars_per_second >= ENOUGH_BATCH * best]
    return min(near, key=lambda trial: trial.batch)


@dataclass(frozen=True)
class _Setup:
    model: ModelConfig
    backend: Backend
    seq_len: int
    clock: Callable[[], float]

    def case(self, threads: int | None, batch: int) -> _Case:
        """Build a model and its training loop."""
        config = TrainConfig(
            batch=batch,
            seq_len=self.seq_len,
            steps=1 << 40,
            schedule="constant",
            lr=1e-3,
            eval_every=0,
            save_every=0,
        )
        try:
            set_threads(self.backend, threads)  # how the loop divides its work depends on them
            loop = self._loop(config)
        except MemoryError:
            raise CharRNNError(
                f"not enough memory to train this model with a batch of {batch}",
                f"lower {setting('hidden')}, {setting('layers')} or {setting('seq_len')}",
            ) from None
        return _Case(self.backend, threads, batch, loop)

    def _loop(self, config: TrainConfig) -> Loop:
        """Return the training loop of a new model on random symbols."""
        rng, count = np.random.default_rng(0), 16 * config.batch
        if self.model.task == "lm":
            ids = rng.integers(0, len(SYMBOLS), count * self.seq_len + 1, dtype=np.uint8)
            network = LanguageModel.fresh(self.model, len(SYMBOLS), 0, self.backend)
            return language_loop(network, ids, ids[:0], config)[0]
        recipe, length = recipes.of(self.model.task), LENGTHS[self.model.task]
        texts = ["".join(row) for row in rng.choice(list(SYMBOLS), (count, length))]
        data = DataConfig(sources=("-",), val_frac=0, format="lines")
        corpus: Any
        if self.model.task == "transduce":
            corpus = pair_table_of(zip(texts, reversed(texts), strict=True), data)
        elif self.model.task == "tag":
            labels = [f"{n}" for n in range(LABELS)] * length
            corpus = tagged_of(((text, labels[:length]) for text in texts), data)
        else:
            corpus = table_of(((text, f"{n % LABELS}") for n, text in enumerate(texts)), data)
        model = recipe.fresh(self.model, corpus, 0, self.backend)
        return recipe.loop(model, corpus, config)[0]

    def measure(self, choices: Sequence[tuple[int | None, int]], seconds: float) -> list[Trial]:
        """Time the (threads, batch) given, in turns, for about ``seconds``."""
        begun = self.clock()
        cases = [self.case(threads, batch) for threads, batch in choices]
        for case in cases:
            case.repeats = max(1, round(TURN / case.turn()))
        while len(cases[0].seconds) < MIN_ROUNDS or self.clock() - begun < seconds:
            for case in cases:
                case.seconds.append(case.turn())
        return [case.trial() for case in cases]


def _of_backend(setup: _Setup, threads: int | None, seconds: float) -> list[Trial]:
    """Return all trials of a backend; the last ones use the proposed number of threads."""
    batches = BATCHES[setup.backend.name]
    if setup.backend.name != "numpy":
        return setup.measure([(None, batch) for batch in batches], seconds)
    trials: list[Trial] = []
    if threads is None:
        choices = thread_choices(cores())
        default = TrainConfig.batch
        trials = setup.measure([(count, default) for count in choices], 0.4 * seconds)
        threads, seconds = propose_threads(trials).threads, 0.6 * seconds
        trials = [trial for trial in trials if trial.threads != threads]
    return trials + setup.measure([(threads, batch) for batch in batches], seconds)


def _sampling(
    model: ModelConfig, backend: Backend, seconds: float, clock: Callable[[], float]
) -> float:
    """Return the speed of sampling one stream, in characters per second."""
    network = LanguageModel.fresh(model, len(SYMBOLS), 0, backend)
    symbols = stream(network, Vocabulary("char", tuple(SYMBOLS)), length=0)
    for _ in islice(symbols, 20):
        pass
    drawn, begun = 0, clock()
    while drawn == 0 or clock() - begun < seconds:
        drawn += sum(1 for _ in islice(symbols, 20))
    return drawn / (clock() - begun)


@contextmanager
def _threads_restored() -> Iterator[None]:
    """Restore the number of BLAS threads at the end."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(user_api="blas"):
        yield
