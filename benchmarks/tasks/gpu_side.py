"""Both sides on a GPU: the same data and the same work as on a processor.

``device`` is ``gpu``; with ``cpu`` the same code runs on a processor, to see that it does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from charrnn.backend import select
from charrnn.config import ModelConfig, TrainConfig
from charrnn.model.language import LanguageModel
from charrnn.sampling import samples
from charrnn.tasks.language import LanguageTask
from charrnn.text import Vocabulary
from charrnn.text.windows import Streams
from charrnn.train.loop import Loop
from tasks.data import SYMBOLS, Size, random_ids

CLIP = 1.0


def model_of(size: Size, device: str, matmul: str) -> LanguageModel:
    """Return a model with initial weights."""
    backend = select("cupy", matmul) if device == "gpu" else select("numpy")
    config = ModelConfig(cell=size.cell, layers=size.layers, hidden=size.hidden, embed=size.embed)
    return LanguageModel.fresh(config, size.vocabulary, 0, backend)


class Train:
    """charrnn's training steps on a random text."""

    def __init__(
        self,
        threads: int | None = None,
        device: str = "gpu",
        matmul: str = "fp32",
        windows: int = 16,
        **shape: Any,
    ) -> None:
        size = Size(**shape)
        plan = TrainConfig(
            batch=size.batch,
            seq_len=size.window,
            schedule="constant",
            warmup=0,
            lr=1e-3,
            steps=1 << 40,
            restart=0.0,
            clip_norm=CLIP,
            eval_every=0,
            save_every=0,
        )
        self.model = model_of(size, device, matmul)
        ids = random_ids(size, windows)
        self.loop = Loop(LanguageTask(self.model, ids, ids[:0], plan), plan)

    def run(self, count: int) -> None:
        """Make ``count`` updates and wait for them."""
        for _ in range(count):
            self.loop.step()
        self.model.backend.get(self.model.weights.flat[:1])


class Sample:
    """charrnn's sampling of several streams at temperature 1, as text."""

    def __init__(
        self,
        threads: int | None = None,
        device: str = "gpu",
        matmul: str = "fp32",
        streams: int = 256,
        **shape: Any,
    ) -> None:
        self.model, self.streams = model_of(Size(**shape), device, matmul), streams
        self.vocabulary = Vocabulary("char", tuple(SYMBOLS[: self.model.V]))

    def run(self, count: int) -> None:
        """Draw ``count`` characters of every stream."""
        texts = samples(self.model, self.vocabulary, count=self.streams, length=count)
        assert len(texts) == self.streams


def prepared(device: str, matmul: str) -> str:
    """Set how PyTorch multiplies; return its name of the device."""
    import torch

    if device == "cpu":
        return "cpu"
    torch.backends.cuda.matmul.allow_tf32 = matmul == "tf32"
    torch.backends.cudnn.allow_tf32 = matmul == "tf32"
    return "cuda"


class TorchTrain:
    """PyTorch's training steps with cuDNN; its windows lie on the GPU from the beginning."""

    def __init__(
        self,
        threads: int | None = None,
        device: str = "gpu",
        matmul: str = "fp32",
        windows: int = 16,
        **shape: Any,
    ) -> None:
        import torch

        from tasks.torch_side import Network

        self.torch, size = torch, Size(**shape)
        self.device = prepared(device, matmul)
        torch.manual_seed(0)
        self.network = Network(size).to(self.device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3, fused=True)
        text = Streams(random_ids(size, windows), size.batch, size.window)
        count = text.windows_per_epoch
        self.windows = [
            tuple(self._there(part) for part in (batch.inputs, batch.targets))
            for batch in map(text.batch_at, range(count))
        ]
        self.state: Any = None
        self.steps = 0

    def _there(self, ids: np.ndarray) -> Any:
        return self.torch.from_numpy(ids.astype(np.int64)).to(self.device)

    def step(self) -> None:
        """Make one update."""
        torch, at = self.torch, self.steps % len(self.windows)
        if at == 0:
            self.state = None
        ids, targets = self.windows[at]
        logits, state = self.network(ids, self.state)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimizer.step()
        self.state = (
            tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
        )
        self.steps += 1

    def run(self, count: int) -> None:
        """Make ``count`` updates and wait for them."""
        for _ in range(count):
            self.step()
        if self.device == "cuda":
            self.torch.cuda.synchronize()


class TorchSample:
    """PyTorch's step loop: characters of several streams at temperature 1, as text."""

    def __init__(
        self,
        threads: int | None = None,
        device: str = "gpu",
        matmul: str = "fp32",
        streams: int = 256,
        **shape: Any,
    ) -> None:
        import torch

        from tasks.torch_side import Network

        self.torch = torch
        where = prepared(device, matmul)
        torch.manual_seed(0)
        self.network = Network(Size(**shape)).to(where).eval()
        self.ids = torch.zeros((1, streams), dtype=torch.int64, device=where)
        self.state: Any = None

    def run(self, count: int) -> None:
        """Draw ``count`` characters of every stream; all come to the host at once."""
        torch, drawn = self.torch, []
        with torch.inference_mode():
            for _ in range(count):
                logits, self.state = self.network(self.ids, self.state)
                p = torch.softmax(logits[0], dim=-1)
                self.ids = torch.multinomial(p, 1).T
                drawn.append(self.ids[0])
            for stream in torch.stack(drawn, dim=1).tolist():
                text = "".join(SYMBOLS[i] for i in stream)
                assert len(text) == count
