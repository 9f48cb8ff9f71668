"""PyTorch's side of the tasks of separate examples: packed sequences, and the same batches."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy, one_hot
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from charrnn.config import ModelConfig
from charrnn.evaluate.labels import BATCH
from charrnn.evaluate.pairs import marked
from charrnn.text.labelled.batches import SimilarLengths
from charrnn.train.schedules.cosine import Cosine
from tasks.examples import Plan, Run
from tasks.torch_side import CLIP, KINDS, _Threaded


class Module(torch.nn.Module):
    """What reads the texts: one-hot vectors or an embedding, and the recurrent layers."""

    def __init__(self, config: ModelConfig, symbols: int, outputs: int, features: int) -> None:
        super().__init__()
        self.config, self.symbols = config, symbols
        self.width = config.hidden * (1 + config.bidirectional)
        if config.embed:
            self.embedding = torch.nn.Embedding(symbols, config.embed)
        self.rnn = KINDS[config.cell](
            config.embed or symbols,
            config.hidden,
            config.layers,
            bidirectional=config.bidirectional,
        )
        self.decoder = torch.nn.Linear(features, outputs)
        self.drop = torch.nn.Dropout(config.dropout)

    def vectors(self, ids: torch.Tensor, symbols: int, embedding: str) -> torch.Tensor:
        """Return what a stack reads for symbols (T, N)."""
        if self.config.embed:
            found: torch.Tensor = getattr(self, embedding)(ids)
            return found
        return one_hot(ids, symbols).to(self.decoder.weight.dtype)

    def read(self, ids: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """Return the outputs at all steps (T, N, F), 0 in the padding, and the final states."""
        x = self.vectors(ids, self.symbols, "embedding")
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        out, final = self.rnn(packed)
        return pad_packed_sequence(out, total_length=len(ids))[0], final

    def take(self, run: Run) -> None:
        """Load charrnn's weights; its single bias stands for the sum of the two."""
        weights = {n: torch.tensor(np.array(a)) for n, a in run.model.weights.items()}
        zeros = {n: torch.zeros_like(p) for n, p in self.named_parameters() if n not in weights}
        assert all("bias_hh" in name for name in zeros)
        self.load_state_dict(zeros | weights)


class Classifier(Module):
    """The mean over the steps, dropout, logits."""

    def __init__(self, config: ModelConfig, symbols: int, labels: int) -> None:
        super().__init__(config, symbols, labels, config.hidden * (1 + config.bidirectional))

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return logits (N, labels) for texts (T, N)."""
        out, _ = self.read(ids, lengths)
        logits: torch.Tensor = self.decoder(self.drop(out.sum(dim=0) / lengths[:, None]))
        return logits


class Transducer(Module):
    """Encoder, bridge, decoder with Luong's attention ("general" if in both directions)."""

    def __init__(self, config: ModelConfig, symbols: int, targets: int) -> None:
        super().__init__(config, symbols, targets, config.hidden)
        H, linear = config.hidden, torch.nn.Linear
        self.targets = targets
        if config.embed:
            self.target_embedding = torch.nn.Embedding(targets, config.embed)
        self.target_rnn = KINDS[config.cell](config.embed or targets, H, config.layers)
        self.attention = torch.nn.ModuleDict({"combine": linear(H + self.width, H, bias=False)})
        names = [f"{s}_l{n}" for s in self.states for n in range(config.layers)]
        self.bridge = torch.nn.ModuleDict()
        if config.bidirectional:
            self.attention["key"] = linear(self.width, H, bias=False)
            self.bridge.update({name: linear(2 * H, H) for name in names})

    @property
    def states(self) -> str:
        """The letters of the cell's states."""
        return "hc" if self.config.cell == "lstm" else "h"

    def initial(self, final: torch.Tensor, name: str) -> torch.Tensor:
        """Return the decoder's initial state for the encoder's final one (layers · ways, N, H)."""
        if not self.config.bidirectional:
            return final
        both = final.reshape(self.config.layers, 2, *final.shape[1:])
        made = []
        for number, (ahead, back) in enumerate(both):
            crossed = self.bridge[f"{name}_l{number}"](torch.cat([ahead, back], dim=1))
            made.append(torch.tanh(crossed) if name == "h" else crossed)
        return torch.stack(made)

    def forward(
        self, ids: torch.Tensor, lengths: torch.Tensor, before: torch.Tensor
    ) -> torch.Tensor:
        """Return logits (T, N, targets) for sources (S, N) and the symbols before the targets."""
        out, final = self.read(ids, lengths)
        finals = final if isinstance(final, tuple) else (final,)
        start = tuple(self.initial(s, n) for s, n in zip(finals, self.states, strict=True))
        x = self.vectors(before, self.targets, "target_embedding")
        top, _ = self.target_rnn(x, start if len(start) > 1 else start[0])
        memory, query = self.drop(out).transpose(0, 1), top.transpose(0, 1)
        keys = self.attention["key"](memory) if "key" in self.attention else memory
        left_out = torch.arange(len(ids))[None] >= lengths[:, None]
        scores = (query @ keys.transpose(1, 2)).masked_fill(left_out[:, None], -torch.inf)
        joined = torch.cat([torch.softmax(scores, dim=2) @ memory, query], dim=2)
        vectors = torch.tanh(self.attention["combine"](joined)).transpose(0, 1)
        logits: torch.Tensor = self.decoder(self.drop(vectors))
        return logits


class Learn(_Threaded):
    """Training on the batches that charrnn's loop reads, from the same weights."""

    def __init__(self, threads: int | None = None, **plan: Any) -> None:
        super().__init__(threads)
        self.run_ = run = Run(Plan(**plan))
        torch.manual_seed(run.train.seed)
        self.classifies = run.config.task == "classify"
        sizes = run.model.symbols, run.model.outputs
        self.network: Any = (
            Classifier(run.config, *sizes)
            if self.classifies
            else Transducer(run.config, sizes[0], sizes[1] + 1)
        )
        self.network.take(run)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=run.train.lr, fused=True)
        self.steps = 0

    def run(self, count: int) -> None:
        """Make ``count`` updates."""
        self.network.train()
        for _ in range(count):
            self.step()

    def step(self) -> None:
        """Make one update at the schedule's learning rate."""
        plan = self.run_.train
        rate = plan.lr * Cosine().factor(self.steps / (plan.steps or 1), self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self._loss(self.steps)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimizer.step()
        self.steps += 1

    def timed(self, count: int) -> float:
        """Make ``count`` updates and return the seconds that they took."""
        begun = perf_counter()
        self.run(count)
        return perf_counter() - begun

    def scores(self) -> dict[str, float | None]:
        """Return the validation loss, and the accuracy of a classifier."""
        val = self.run_.data.val
        batches = SimilarLengths(val.lengths, BATCH, None)
        self.network.eval()
        nats = right = count = 0.0
        with torch.inference_mode():
            for step in range(batches.per_epoch):
                numbers, places, _ = batches.at(step)
                logits, targets = self._forward(val, numbers, places)
                nats += float(cross_entropy(logits, targets, reduction="sum"))
                right += int((logits.argmax(dim=1) == targets).sum())
                count += len(targets)
        return {"loss": nats / count, "accuracy": right / count if self.classifies else None}

    def _loss(self, step: int) -> torch.Tensor:
        numbers, places, _ = self.run_.loop.task.batches.at(step)  # type: ignore[attr-defined]
        if self.classifies:  # with the gaps of this step
            batch = self.run_.task.batch(step)
            assert batch.lengths is not None
            logits = self.network(*_tensors(batch.inputs, batch.lengths, len(numbers)))
            return cross_entropy(logits, torch.from_numpy(batch.targets[: len(numbers)]).long())
        return cross_entropy(*self._forward(self.run_.data.train, numbers, places))

    def _forward(self, part: Any, numbers: Any, places: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits, a row for each target of some examples, and the targets."""
        if self.classifies:
            ids, lengths = _tensors(*part.padded(numbers, places), len(numbers))
            return self.network(ids, lengths), torch.from_numpy(part.labels[numbers]).long()
        model: Any = self.run_.model
        padded = part.sources.padded(numbers, places, model.source_end)
        sources, lengths = _tensors(*padded, len(numbers))
        targets, mask = (a[:, : len(numbers)] for a in marked(part, numbers, places, model.end))
        after = torch.from_numpy(targets).long()
        before = torch.cat([torch.full((1, len(numbers)), model.end), after[:-1]])
        counted = torch.from_numpy(mask)
        return self.network(sources, lengths, before)[counted], after[counted]


def _tensors(ids: Any, lengths: Any, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the texts of a batch and their lengths, without its empty places."""
    return (
        torch.from_numpy(np.asarray(ids[:, :count], np.int64)),
        torch.from_numpy(lengths[:count]),
    )
