"""Curves of a lag profile: how the gradient of a loss falls with the lag, summarised.

G(k) is defined in :mod:`charrnn.diagnosis.measures.lag`, where it is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.diagnosis.measures.values import Floats, plain

FLOOR = 1e-300
"""G below this counts as zero."""


@dataclass(frozen=True)
class Curve:
    """G of one state of one layer, for lags 0 … max.

    Attributes
    ----------
    mean
        G(k), (lags + 1,).
    q25, median, q75
        Quartiles over anchors of ‖∂ℓ/∂state at lag k‖ ÷ its mean at lag 0.
    scale
        The mean norm at lag 0, in nats per unit of the state.
    half_life
        The lag at which G first falls to 1/2, with ln G interpolated between lags; None if it does
        not.
    efold
        τ of the least-squares fit ln G(k) ≈ b - k / τ over lags 1 … max: the steps in which the
        gradient falls to 1/e; None if it does not fall.
    slope, r2
        Of that fit: the slope -1/τ, per step, and the coefficient of determination.
    """

    mean: Floats
    q25: Floats
    median: Floats
    q75: Floats
    scale: float
    half_life: float | None
    efold: float | None
    slope: float | None
    r2: float | None

    @classmethod
    def of(cls, norms: Floats, scale: float | None = None) -> Curve:
        """Summarise norms (lags + 1, anchors), relative to ``scale``: by default that at lag 0."""
        means = norms.mean(axis=1)
        scale = float(means[0]) if scale is None else scale
        with np.errstate(all="ignore"):
            mean = means / scale
            q25, median, q75 = np.percentile(norms, (25, 50, 75), axis=1) / scale
        slope, r2 = fit(mean)
        efold = -1.0 / slope if slope is not None and slope < 0 else None
        return cls(mean, q25, median, q75, scale, half_life(mean), efold, slope, r2)

    def at(self, lag: int) -> float | None:
        """Return G(lag); None beyond the largest lag, or if the gradient is 0 at lag 0 already."""
        return float(self.mean[lag]) if lag < len(self.mean) and self.scale else None


@dataclass(frozen=True)
class LayerLag:
    """The profile of one layer: a curve for each of its states, ``h`` and for an LSTM ``c``.

    ``part`` is which of several readers of the model, and empty if there is one; ``alone`` says
    that it is one of :attr:`LagProfile.alone`.
    """

    layer: int
    curves: dict[str, Curve]
    part: str = ""
    alone: bool = False

    @property
    def name(self) -> str:
        """The layer, with its part of the model."""
        return f"{self.part} {self.layer}".strip()

    @property
    def max_lag(self) -> int:
        """The largest lag, in steps."""
        return len(next(iter(self.curves.values())).mean) - 1

    @property
    def slowest(self) -> tuple[str, Curve]:
        """The state that reaches farthest: its gradient at the largest lag is the largest."""
        return max(self.curves.items(), key=lambda item: _or_lowest(item[1].mean[-1]))


@dataclass(frozen=True)
class LagProfile:
    """Profiles of all layers.

    Attributes
    ----------
    anchors
        Positions in the text, ascending, (anchors,); of examples, their numbers.
    context
        Number of symbols read before each; None for examples, which are read whole.
    max_lag
        The largest lag, in steps.
    loss
        Mean of ℓ over anchors, in nats.
    layers
        Bottom first.
    seq_len
        The training window in steps: truncation cuts off the gradients beyond it; 0 for examples.
    alone
        Of a transducer with attention, the encoder's profiles without the gradient that attention
        hands to its outputs: through the initial states of the decoder alone. They are relative to
        the whole gradient at lag 0.
    """

    anchors: NDArray[np.int64]
    context: int | None
    max_lag: int
    loss: float
    layers: list[LayerLag] = field(default_factory=list)
    seq_len: int = 0
    alone: list[LayerLag] = field(default_factory=list)

    @property
    def shown(self) -> list[LayerLag]:
        """All profiles."""
        return [*self.layers, *self.alone]

    def to_json(self) -> dict[str, Any]:
        """Return the profile as documented in docs/howto/diagnose.md."""
        record: dict[str, Any] = {
            "anchors": self.anchors.tolist(),
            "context": self.context,
            "loss": plain(self.loss),
            "seq_len": self.seq_len,
            "layers": [_layer_json(layer, self.seq_len) for layer in self.layers],
        }
        if self.alone:
            record["without_attention"] = [_layer_json(layer, 0) for layer in self.alone]
        return record


def _layer_json(layer: LayerLag, seq_len: int) -> dict[str, Any]:
    max_lag = layer.max_lag
    record: dict[str, Any] = {"layer": layer.layer, "part": layer.part}
    record["lags"] = list(range(max_lag + 1))
    for name, curve in layer.curves.items():
        prefix = "" if name == "h" else f"{name}_"
        record[name] = curve.mean
        for quartile in ("q25", "median", "q75"):
            record[f"{name}_{quartile}"] = getattr(curve, quartile)
        record[prefix + "half_life"] = curve.half_life
        record[prefix + "efold"] = curve.efold
        record[prefix + "efold_fit"] = {"slope": curve.slope, "r2": curve.r2, "lags": [1, max_lag]}
        record[prefix + "at_seq_len"] = curve.at(seq_len) if seq_len else None
        record[prefix + "norm_at_lag_0"] = curve.scale
    exact: dict[str, Any] = plain(record)
    return exact


def half_life(mean: Floats) -> float | None:
    """Return the first lag at which G ≤ 1/2, with ln G interpolated; None if there is none."""
    below = np.flatnonzero(~(mean > 0.5))
    if not below.size or not np.isfinite(mean[below[0]]) or below[0] == 0:
        return None
    k = int(below[0])
    high, low = float(mean[k - 1]), float(mean[k])
    if low <= FLOOR or high == low:
        return float(k)
    return k - 1 + (log(high) - log(0.5)) / (log(high) - log(low))


def fit(mean: Floats) -> tuple[float | None, float | None]:
    """Return slope and R² of ln G over lags 1 … max by least squares; None if G is 0."""
    lags = np.arange(len(mean))
    usable = np.isfinite(mean) & (mean > FLOOR) & (lags >= 1)
    if usable.sum() < 2:
        return None, None
    x, y = lags[usable].astype(np.float64), np.log(mean[usable])
    x, y = x - x.mean(), y - y.mean()
    slope = float(x @ y / (x @ x))
    total = float(y @ y)
    return slope, 1.0 - float(((y - slope * x) ** 2).sum()) / total if total > 0 else 1.0


def _or_lowest(value: float) -> float:
    """Return the value; -1 for NaN, which means that the gradient is zero at lag 0 already."""
    return -1.0 if np.isnan(value) else value
