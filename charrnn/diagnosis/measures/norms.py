"""Gradient norms before clipping, the effect of clipping, and how far an update moves weights.

Windows are those of training: the same batch, length and handling of states. For each, the norms of
the gradient of the mean loss are recorded; then the run's own clipping and optimizer update a copy
of the weights, starting from the checkpoint's moments. The copy is dropped: moments change from
window to window, weights do not. If there are no moments (a fresh model, or one saved outside
training), the first half of the windows warms them up.

The update-to-weight ratio is ‖Δw‖ / ‖w‖ at the configured learning rate, without a schedule. About
1e-3 is the rule of thumb (Karpathy, notes of CS231n, "Neural networks part 3: ratio of updates to
weights").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array
from charrnn.config import TrainConfig
from charrnn.diagnosis.measures.values import Spread
from charrnn.model.language import LanguageModel
from charrnn.model.network import Network
from charrnn.model.parameters import Parameters
from charrnn.model.window import Window
from charrnn.tasks.language import resets_of, training_streams
from charrnn.text.units.examples import ExampleStreams, Units
from charrnn.text.windows import Streams
from charrnn.train.update import Update
from charrnn.train.watch import layer_of

PROBES = 4
"""Windows whose loss is measured again after the update."""


@dataclass(frozen=True)
class Norms:
    """Euclidean norms of a parameter, a layer or the whole model, over windows.

    ``grad`` is before clipping, in nats per unit of weight; ``update_ratio`` is ‖Δw‖ / ‖w‖.
    """

    layer: str
    size: int
    weight_norm: float
    grad: Spread
    update_ratio: Spread
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Clipping:
    """The effect of clipping by norm (``limit``) and by value (``value_limit``); 0 is off.

    ``share`` is the share of windows whose gradient is shortened, ``factor`` the median factor in
    those windows (1 if there are none), ``largest`` the largest norm of any window.
    ``value_share`` is the mean share of elements beyond ``value_limit``.
    """

    limit: float
    share: float
    factor: float
    largest: float
    value_limit: float
    value_share: float


@dataclass(frozen=True)
class NormsReport:
    """Norms by parameter, by layer (``embedding``, ``l0``, …, ``decoder``) and of the whole model.

    Attributes
    ----------
    loss
        Mean training loss over windows, in nats.
    loss_change
        Mean change of the loss of a window, in nats, after the update from it.
    windows, batch, seq_len
        Number of windows, of streams, and steps of a window; of examples the number of batches,
        the most examples of one, and None.
    lr, optimizer
        As configured.
    moments
        Whether the optimizer's moments came from the checkpoint.
    series
        The norm of the whole gradient, window by window.
    """

    parameters: dict[str, Norms]
    layers: dict[str, Norms]
    all: Norms
    clip: Clipping
    loss: float
    loss_change: float
    windows: int
    batch: int
    seq_len: int | None
    lr: float
    optimizer: str
    moments: bool
    series: list[float] = field(default_factory=list)


class Groups:
    """Norms of a flat vector (P,) by parameter, by layer and of all of it."""

    def __init__(self, model: Network) -> None:
        self.model = model
        names = list(model.weights.trained)
        self.of_layer: dict[str, list[int]] = {}
        for index, name in enumerate(names):
            self.of_layer.setdefault(layer_of(name), []).append(index)
        self.names = names

    def squares(self, flat: Array) -> Array:
        """Return the squared norm of every parameter, (parameters,), float64, on the backend."""
        xp = self.model.backend.xp
        trained = self.model.weights.trained
        views = trained.like(flat[: trained.flat.size])
        parts = [xp.dot(views[name].reshape(-1), views[name].reshape(-1)) for name in self.names]
        return xp.stack(parts).astype(np.float64)

    def norms(self, squares: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Return norms (windows,) by parameter, by layer and ``global``.

        ``squares`` (windows, parameters) are those of :meth:`squares`, on the host.
        """
        norms = {name: np.sqrt(squares[:, i]) for i, name in enumerate(self.names)}
        for layer, members in self.of_layer.items():
            norms[layer] = np.sqrt(squares[:, members].sum(axis=1))
        return norms | {"global": np.sqrt(squares.sum(axis=1))}


def measure(
    model: LanguageModel,
    text: NDArray[Any] | Units,
    train: TrainConfig,
    windows: int,
    moments: dict[str, NDArray[Any]] | None = None,
    step: int = 0,
) -> NormsReport:
    """Measure over ``windows`` successive windows of the text.

    Parameters
    ----------
    model
        In the dtype in which it is trained; its weights are not changed.
    text
        1-D, or the examples it consists of; at least one window of ``train.batch`` ×
        ``train.seq_len``.
    train
        How the model is trained.
    moments, step
        The optimizer's, from a checkpoint.
    """
    trial = _OfText(model, train, moments or {}, step)
    streams = training_streams(text, train)
    carried = train.state == "carry" and streams.windows_per_epoch > 1
    for number in range(windows + carried):  # the first one starts from zero states: not counted
        trial.read(streams, number, keep=number >= carried)
    return trial.report(windows)


class Trial:
    """Gradients of windows, each clipped and applied to a copy of the weights."""

    seq_len: int | None = None

    def __init__(
        self, model: Network, train: TrainConfig, moments: dict[str, Any], step: int
    ) -> None:
        self._model, self.train, self.xp = model, train, model.backend.xp
        self.groups = Groups(model)
        self.update = Update(model.backend, model.weights, train)
        slots = self.update.optimizer.moments
        self.warm = bool(slots) and all(
            name in moments and moments[name].shape == array.shape for name, array in slots.items()
        )
        self.count = step if self.warm else 0
        for name, array in slots.items():
            if self.warm:
                array[...] = model.backend.put(moments[name], array.dtype)
        self.squares: list[Any] = []
        self.updates: list[Any] = []
        self.losses: list[float] = []
        self.changes: list[float] = []
        self.norms: list[tuple[float, float, float]] = []  # before clipping, after values, share

    def take(self, loss: float, loss_at: Callable[[Parameters], float]) -> None:
        """Take the gradient in ``update.grads`` and the loss that it is of.

        ``loss_at`` returns the loss of the same window at other weights.
        """
        squares = self._model.backend.get(self.groups.squares(self.update.grads.flat))
        self.squares.append(squares)
        self.losses.append(loss)
        moved = self._updated(float(np.sqrt(squares.sum())))
        change = moved.flat - self._model.weights.flat
        self.updates.append(self._model.backend.get(self.groups.squares(change)))
        if len(self.changes) < PROBES:
            self.changes.append(loss_at(moved) - loss)

    def _updated(self, before: float) -> Parameters:
        """Clip the gradient, whose norm is ``before``; return an updated copy of the weights."""
        model, train, xp, get = self._model, self.train, self.xp, self._model.backend.get
        flat, beyond = self.update.grads.flat, 0.0
        if train.clip_value:
            beyond = float(get((xp.abs(flat) > train.clip_value).sum())) / flat.size
        clipped = self.update.clip(xp.asarray(before))
        after = float(get(clipped.norm))
        self.norms.append((before, after, beyond))
        scale = float(get(clipped.scale)) if train.clip_norm else 1.0
        self.count += 1
        moved = model.weights.like(model.weights.flat.copy())
        self.update.apply(train.lr, scale, self.count, weights=moved)
        return moved

    def report(self, windows: int) -> NormsReport:
        """Summarise all windows."""
        model, train = self._model, self.train
        grads = self.groups.norms(np.array(self.squares))
        start = 0 if self.warm or not self.update.optimizer.moments else len(self.updates) // 2
        updates = self.groups.norms(np.array(self.updates[start:]))
        squares = model.backend.get(self.groups.squares(model.weights.flat))
        weights = self.groups.norms(squares[None])
        shapes = model.weights.trained.shapes
        sizes = {name: int(np.prod(shape)) for name, shape in shapes.items()}
        for layer, members in self.groups.of_layer.items():
            sizes[layer] = sum(sizes[self.groups.names[i]] for i in members)
        sizes["global"] = model.weights.trained.flat.size

        def norms(name: str, layer: str) -> Norms:
            weight = float(weights[name][0])
            ratios = updates[name] / weight if weight else np.empty(0)
            spread = Spread.of(grads[name])
            shape = shapes.get(name, ())
            return Norms(layer, sizes[name], weight, spread, Spread.of(ratios), shape)

        return NormsReport(
            parameters={name: norms(name, layer_of(name)) for name in self.groups.names},
            layers={layer: norms(layer, layer) for layer in self.groups.of_layer},
            all=norms("global", "global"),
            clip=self._clipping(),
            loss=float(np.mean(self.losses)),
            loss_change=float(np.mean(self.changes)),
            windows=windows,
            batch=train.batch,
            seq_len=self.seq_len,
            lr=train.lr,
            optimizer=train.optimizer,
            moments=self.warm,
            series=grads["global"].tolist(),
        )

    def _clipping(self) -> Clipping:
        before, sizes, beyond = (np.array(column) for column in zip(*self.norms, strict=True))
        limit = self.train.clip_norm
        over = sizes > limit if limit else np.zeros(len(sizes), np.bool_)
        factor = float(np.median(limit / sizes[over])) if over.any() else 1.0
        largest = float(before.max())
        return Clipping(
            limit,
            float(over.mean()),
            factor,
            largest if isfinite(largest) else float("inf"),
            self.train.clip_value,
            float(beyond.mean()),
        )


class _OfText(Trial):
    """Gradients of windows of a text."""

    def __init__(
        self, model: LanguageModel, train: TrainConfig, moments: dict[str, Any], step: int
    ) -> None:
        super().__init__(model, train, moments, step)
        self.model, self.seq_len = model, train.seq_len
        self.window = model.window(train.seq_len, train.batch)
        self.probe = model.window(train.seq_len, train.batch, backward=False)

    def read(self, streams: Streams | ExampleStreams, number: int, keep: bool) -> None:
        """Compute the gradient of one window; with ``keep``, also the update from it."""
        model, backend = self.model, self.model.backend
        part = streams.batch_at(number)
        self.window.start(part.reset, backend)
        ids, targets = backend.put(part.inputs), backend.put(part.targets)
        mask = None if part.mask is None else backend.put(part.mask)
        self.window.resets = resets_of(part, backend, model.weights.flat.dtype)
        compute = partial(model.loss_and_gradient, self.window, ids, targets, mask=mask)
        loss = float(backend.get(self.update.gradient(compute)))
        if keep:
            self.take(loss, lambda moved: self._loss_at(moved, ids, targets, self.window, mask))
        self.window.carry()

    def _loss_at(
        self, weights: Parameters, ids: Any, targets: Any, window: Window, mask: Any
    ) -> float:
        """Return the loss of the same window, from the same states, at other weights."""
        for (_, mine), (_, start) in zip(self.probe.states(), window.states(), strict=True):
            mine[0] = start[0]
        self.probe.resets = window.resets
        nats = self.model.at(weights).surprisal(self.probe, ids, targets)
        if mask is not None:
            nats = nats[mask]
        return float(self.model.backend.get(nats.mean(dtype=np.float64)))
