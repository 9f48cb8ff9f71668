"""PyTorch's side: the model that a user would write with ``torch.nn``, and the same data."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy, one_hot

from charrnn.config import TrainConfig
from charrnn.text.windows import (
    EVALUATION_STEPS,
    EVALUATION_STREAMS,
    Streams,
    evaluation_streams,
)
from charrnn.train.schedules import warmup
from charrnn.train.schedules.cosine import Cosine
from tasks.data import SYMBOLS, Size, random_ids
from tasks.footprint import footprint
from tasks.text import encoded

KINDS = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}
CLIP = 1.0


class _Threaded:
    def __init__(self, threads: int | None) -> None:
        if threads is not None:
            torch.set_num_threads(threads)

    def threads(self) -> int:
        """Return how many threads an operation uses."""
        return torch.get_num_threads()


class Network(torch.nn.Module):
    """Symbols → one-hot or embedding → recurrent layers → logits."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.V = size.vocabulary
        self.embedding = torch.nn.Embedding(self.V, size.embed) if size.embed else None
        self.rnn = KINDS[size.cell](size.embed or self.V, size.hidden, size.layers)
        self.decoder = torch.nn.Linear(size.hidden, self.V)

    def forward(self, ids: torch.Tensor, state: Any) -> tuple[torch.Tensor, Any]:
        """Read symbols (T, N); return logits (T, N, V) and the state."""
        if self.embedding is None:
            x = one_hot(ids, self.V).to(self.decoder.weight.dtype)
        else:
            x = self.embedding(ids)
        out, state = self.rnn(x, state)
        return self.decoder(out), state

    def take(self, path: str) -> None:
        """Load the weights that charrnn wrote; its single bias stands for the sum of the two."""
        with np.load(path) as arrays:
            found = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        for name in self.state_dict():
            if name not in found and "bias_hh" in name:
                found[name] = torch.zeros_like(found[name.replace("bias_hh", "bias_ih")])
        self.load_state_dict(found)


class Trainer(_Threaded):
    """Truncated BPTT over the windows of a text, with carried state."""

    def __init__(
        self,
        size: Size,
        ids: Any,
        lr: float,
        adam: str,
        threads: int | None,
        bf16: bool = False,
    ) -> None:
        super().__init__(threads)
        self.bf16 = bf16
        torch.manual_seed(0)
        self.network = Network(size)
        how: dict[str, Any] = {} if adam == "default" else {adam: True}
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=lr, **how)
        self.streams = Streams(ids, size.batch, size.window)
        self.state: Any = None
        self.steps = 0
        self.last: Any = None

    def step(self) -> None:
        """Make one update."""
        window = self.streams.batch_at(self.steps)
        if window.reset is not None:
            self.state = None
        ids, targets = _tensor(window.inputs), _tensor(window.targets)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            logits, state = self.network(ids, self.state)
            loss = cross_entropy(logits.flatten(0, 1), targets.flatten())
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimizer.step()
        self.state = _detached(state)
        self.last = loss.detach()
        self.steps += 1

    def run(self, count: int) -> None:
        """Make ``count`` updates."""
        for _ in range(count):
            self.step()


class Train(Trainer):
    """Training steps on a random text: window, forward, backward, clipping, Adam."""

    def __init__(
        self,
        threads: int | None = None,
        windows: int = 64,
        adam: str = "fused",
        bf16: bool = False,
        **size: Any,
    ) -> None:
        shape = Size(**size)
        super().__init__(shape, random_ids(shape, windows), 1e-3, adam, threads, bf16)

    def take_weights(self, path: str) -> None:
        """Load the weights that charrnn wrote."""
        self.network.take(path)

    def losses(self, count: int) -> list[float]:
        """Make ``count`` updates; return the loss before each, in nats per symbol."""
        found = []
        for _ in range(count):
            self.step()
            found.append(float(self.last))
        return found


class Footprint(_Threaded):
    """The memory of training; measured once, so a process does it once."""

    def __init__(self, threads: int | None = None, adam: str = "fused", **size: Any) -> None:
        super().__init__(threads)
        self.size, self.adam = size, adam

    def run(self, count: int) -> None:
        """Do nothing: there is nothing to be timed."""

    def measure(self, steps: int) -> dict[str, int]:
        """Return bytes, see :func:`tasks.footprint.footprint`."""
        return footprint(lambda size: Train(windows=4, adam=self.adam, **size), self.size, steps)


class Sample(_Threaded):
    """Characters drawn at temperature 0.8, as text, by a step loop without gradients."""

    def __init__(self, threads: int | None = None, streams: int = 1, **size: Any) -> None:
        super().__init__(threads)
        torch.manual_seed(0)
        self.network = Network(Size(**size)).eval()
        self.ids = torch.zeros((1, streams), dtype=torch.int64)
        self.state: Any = None

    def run(self, count: int) -> None:
        """Draw ``count`` characters of every stream."""
        drawn = []
        with torch.inference_mode():
            for _ in range(count):
                logits, self.state = self.network(self.ids, self.state)
                p = torch.softmax(logits[0] / 0.8, dim=-1)
                self.ids = torch.multinomial(p, 1).T
                drawn.append(self.ids[0])
        for stream in torch.stack(drawn, dim=1).tolist():
            text = "".join(SYMBOLS[i] for i in stream)
            assert len(text) == count


class Learn(Trainer):
    """Training on a given text with a cosine schedule over a fixed number of steps."""

    def __init__(
        self,
        weights: str,
        steps: int,
        lr: float,
        warmup: int,
        text: str,
        threads: int | None = None,
        adam: str = "fused",
        **size: Any,
    ) -> None:
        train, val = encoded(text)
        super().__init__(Size(**size), train, lr, adam, threads)
        self.network.take(weights)
        self.lr, self.horizon, self.warmup = lr, steps, warmup
        self.evaluation = evaluation_streams(
            val, EVALUATION_STREAMS, TrainConfig.eval_chars, seq_len=EVALUATION_STEPS
        )

    def step(self) -> None:
        """Make one update at the schedule's learning rate."""
        rate = (
            self.lr
            * warmup(self.steps, self.warmup)
            * Cosine().factor(self.steps / self.horizon, self.steps)
        )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        super().step()

    def timed(self, count: int) -> float:
        """Make ``count`` updates and return the seconds that they took."""
        begun = perf_counter()
        self.run(count)
        return perf_counter() - begun

    def loss(self) -> float:
        """Return the validation loss in nats per character."""
        total, state = 0.0, None
        with torch.inference_mode():
            for batch in self.evaluation:
                logits, state = self.network(_tensor(batch.inputs), state)
                goals = _tensor(batch.targets).flatten()
                nats = cross_entropy(logits.flatten(0, 1), goals, reduction="none").double()
                if batch.mask is not None:
                    nats = nats[torch.from_numpy(batch.mask).flatten()]
                total += float(nats.sum())
        return total / int(self.evaluation.targets)


def _tensor(ids: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(ids.astype(np.int64))


def _detached(state: Any) -> Any:
    return tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
