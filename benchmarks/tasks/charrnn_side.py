"""charrnn's side, through the interfaces that the command line itself uses."""

from __future__ import annotations

from itertools import islice
from time import perf_counter
from typing import Any

import numpy as np

from charrnn.backend import Backend, select
from charrnn.backend.threads import limit_threads
from charrnn.config import ModelConfig, TrainConfig
from charrnn.evaluate import Validation
from charrnn.model.language import LanguageModel
from charrnn.sampling import samples, stream
from charrnn.tasks.language import LanguageTask
from charrnn.text import Vocabulary
from charrnn.train.loop import Loop
from charrnn.train.records import Step
from tasks.data import SYMBOLS, Size, random_ids
from tasks.footprint import footprint
from tasks.text import encoded


class _Threaded:
    """Whatever computes with ``threads`` threads (None: charrnn decides).

    ``core`` and ``matmul`` are what the options of the command line of these names say.
    """

    def __init__(
        self, threads: int | None = None, core: str = "auto", matmul: str = "fp32"
    ) -> None:
        limit_threads(threads)
        self.backend = select("numpy", matmul, core, threads)

    def threads(self) -> int:
        """Return how many threads the products use."""
        if self.backend.core is not None:
            return self.backend.core.threads
        from threadpoolctl import threadpool_info

        pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
        return max(pools, default=1)

    def core(self) -> str:
        """Return what computes: ``numpy``, or what the compiled core is compiled for."""
        return "numpy" if self.backend.core is None else self.backend.core.name


def fresh(size: Size, backend: Backend | None = None, seed: int = 0) -> LanguageModel:
    """Return a model with initial weights."""
    config = ModelConfig(cell=size.cell, layers=size.layers, hidden=size.hidden, embed=size.embed)
    return LanguageModel.fresh(config, size.vocabulary, seed, backend)


class Train(_Threaded):
    """Training steps on a random text: window, forward, backward, clipping, Adam."""

    def __init__(
        self,
        threads: int | None = None,
        windows: int = 64,
        core: str = "auto",
        matmul: str = "fp32",
        **size: Any,
    ) -> None:
        super().__init__(threads, core, matmul)
        self.size = Size(**size)
        plan = TrainConfig(
            batch=self.size.batch,
            seq_len=self.size.window,
            schedule="constant",
            warmup=0,
            lr=1e-3,
            steps=1 << 40,
            log_every=1,
            eval_every=0,
            save_every=0,
        )
        self.model = fresh(self.size, self.backend)
        ids = random_ids(self.size, windows)
        self.loop = Loop(LanguageTask(self.model, ids, ids[:0], plan), plan)

    def run(self, count: int) -> None:
        """Make ``count`` updates."""
        for _ in range(count):
            self.loop.step()

    def losses(self, count: int) -> list[float]:
        """Make ``count`` updates; return the loss before each, in nats per symbol."""
        steps = (record for record in self.loop.records() if isinstance(record, Step))
        return [record.loss for record in islice(steps, count)]

    def save_weights(self, path: str) -> None:
        """Write the weights by their PyTorch names, as they are, to an ``.npz`` file."""
        save_weights(self.model, path)


class Footprint(_Threaded):
    """The memory of training; measured once, so a process does it once."""

    def __init__(self, threads: int | None = None, **size: Any) -> None:
        super().__init__(threads)
        self.size = size

    def run(self, count: int) -> None:
        """Do nothing: there is nothing to be timed."""

    def measure(self, steps: int) -> dict[str, int]:
        """Return bytes, see :func:`tasks.footprint.footprint`."""
        return footprint(lambda size: Train(windows=4, **size), self.size, steps)


class Sample(_Threaded):
    """Characters drawn at temperature 0.8, as text: one stream, or several in one batch."""

    def __init__(
        self, threads: int | None = None, streams: int = 1, core: str = "auto", **size: Any
    ) -> None:
        super().__init__(threads, core)
        self.streams = streams
        self.model = fresh(Size(**size), self.backend)
        self.vocabulary = Vocabulary("char", tuple(SYMBOLS[: self.model.V]))
        self.endless = stream(self.model, self.vocabulary, length=0)

    def run(self, count: int) -> None:
        """Draw ``count`` characters of every stream."""
        if self.streams == 1:
            text = "".join(map(str, islice(self.endless, count)))
            assert len(text) == count
        else:
            texts = samples(self.model, self.vocabulary, count=self.streams, length=count)
            assert len(texts) == self.streams


class Learn(_Threaded):
    """Training on a given text with a cosine schedule over a fixed number of steps."""

    def __init__(
        self,
        weights: str,
        steps: int,
        lr: float,
        warmup: int,
        text: str,
        threads: int | None = None,
        **size: Any,
    ) -> None:
        super().__init__(threads)
        shape = Size(**size)
        train, val = encoded(text)
        plan = TrainConfig(
            batch=shape.batch,
            seq_len=shape.window,
            lr=lr,
            steps=steps,
            horizon=steps,
            warmup=warmup,
            eval_every=0,
            save_every=0,
        )
        self.model = fresh(shape, self.backend)
        save_weights(self.model, weights)
        self.loop = Loop(LanguageTask(self.model, train, val, plan), plan)
        self.validation = Validation(self.model, val)

    def run(self, count: int) -> None:
        """Make ``count`` updates."""
        for _ in range(count):
            self.loop.step()

    def timed(self, count: int) -> float:
        """Make ``count`` updates and return the seconds that they took."""
        begun = perf_counter()
        self.run(count)
        return perf_counter() - begun

    def loss(self) -> float:
        """Return the validation loss in nats per character."""
        return float(self.validation.loss())


def save_weights(model: LanguageModel, path: str) -> None:
    """Write a model's weights by their PyTorch names to an ``.npz`` file."""
    weights: dict[str, Any] = dict(model.weights)
    np.savez(path, **weights)
