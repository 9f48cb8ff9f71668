"""Gates and units over a text: saturation, time constants, units that are dead or constant.

A logistic gate is left-saturated if it is below 0.1 and right-saturated if it is above 0.9
(Karpathy, Johnson and Fei-Fei 2015, arXiv 1506.02078); a tanh is saturated if its magnitude is
above 0.9.
The shares are of time and units. If a unit keeps the share f_t of its state at step t, the state
decays as the product of the f_t: its time constant is -1 / mean(ln f_t) in steps, where f is the
forget gate of an LSTM and the update gate z of a GRU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.backend import Array
from charrnn.config import TrainConfig
from charrnn.diagnosis.measures.values import Floats
from charrnn.model.language import LanguageModel
from charrnn.tasks.language import resets_of, training_streams
from charrnn.text.units.examples import Units

LEFT, RIGHT = 0.1, 0.9
STILL = 1e-4
"""A unit is still if the standard deviation of its output over the text is below this."""
BINS = 20


@dataclass(frozen=True)
class Gate:
    """One gate of one layer.

    ``left`` and ``right`` are shares of time and units; ``histogram`` counts values in equal bins
    over ``range``, as shares; ``kind`` is ``logistic`` or ``tanh``.
    """

    gate: str
    kind: str
    mean: float
    left: float
    right: float
    histogram: list[float]
    range: tuple[float, float]


@dataclass(frozen=True)
class TimeConstants:
    """Time constants of a layer's units in steps: quartiles and the longest.

    ``beyond_window`` is the share of units whose time constant is longer than a training window.
    """

    gate: str
    q25: float
    median: float
    q75: float
    longest: float
    beyond_window: float


@dataclass(frozen=True)
class UnitActivity:
    """Outputs of a layer's units.

    ``saturated`` is the share of time and units with |h| > 0.9 (0 for rectifiers), ``stuck`` the
    share of units that are saturated 90 % of the time, ``dead`` the share of rectifiers that are
    never above zero (None for other units), ``still`` the share of units that are constant.
    """

    saturated: float
    stuck: float
    dead: float | None
    still: float


@dataclass(frozen=True)
class LayerGates:
    """Gates and units of one layer over ``samples`` steps of all streams."""

    layer: int
    gates: list[Gate]
    time_constants: TimeConstants | None
    units: UnitActivity
    samples: int


def measure(
    model: LanguageModel, text: NDArray[Any] | Units, train: TrainConfig, windows: int
) -> list[LayerGates]:
    """Read ``windows`` successive windows as in training, and measure every gate and unit.

    ``text`` is 1-D, or the examples it consists of; ``train`` says how it is cut into windows.
    """
    streams = training_streams(text, train)
    window = model.window(train.seq_len, train.batch, backward=False)
    layers = [_Layer(model, l) for l in range(model.config.layers)]
    carried = train.state == "carry" and streams.windows_per_epoch > 1
    for number in range(windows + carried):
        part = streams.batch_at(number)
        window.start(part.reset, model.backend)
        window.resets = resets_of(part, model.backend, model.weights.flat.dtype)
        model.forward(window, model.backend.put(part.inputs))
        if number >= carried:
            for layer in layers:
                layer.add(window.layers[layer.index], window.used)
        window.carry()
    return [layer.result(train.seq_len) for layer in layers]


class _Layer:
    """Running sums over time of one layer, (H,) each, in float64 on the host."""

    def __init__(self, model: LanguageModel, index: int) -> None:
        self.model, self.index = model, index
        self.cell, self.H = model.stack.cell, model.config.hidden
        self.steps = 0
        self.sums: dict[str, Floats] = {}
        self.histograms: dict[str, Floats] = {}

    def add(self, ws: Any, steps: int) -> None:
        """Add the values that a forward pass of ``steps`` steps left in a workspace."""
        self.steps += steps * ws.work.shape[2]
        gates = self.cell.gates if len(self.cell.gates) > 1 else ()
        received = ws.work[:steps, self.cell.input_rows(self.H)]
        for k, gate in enumerate(gates):
            values = received[:, k * self.H : (k + 1) * self.H]
            low, high = (-RIGHT, RIGHT) if gate in self.cell.candidates else (LEFT, RIGHT)
            self._sum(f"{gate}.left", values < low)
            self._sum(f"{gate}.right", values > high)
            self._sum(f"{gate}.mean", values)
            self._count(gate, values)
            if gate == self.cell.memory:
                xp = self.model.backend.xp
                self._sum("ln", xp.log(xp.maximum(values, np.finfo(np.float32).tiny)))
        h = ws.states[self.cell.states[0]][1 : steps + 1]
        self._sum("saturated", (h < -RIGHT) | (h > RIGHT))
        self._sum("fires", h > 0)
        shift = self.sums.setdefault("shift", self.model.backend.get(h[0, :, 0]).astype(float))
        moved = h - self.model.backend.put(shift, h.dtype)[:, None]
        self._sum("h", moved)
        self._sum("h2", moved * moved)

    def _sum(self, name: str, values: Array) -> None:
        total = self.model.backend.get(values.sum(axis=2, dtype=np.float64)).sum(axis=0)
        self.sums[name] = self.sums.get(name, 0.0) + total

    def _count(self, gate: str, values: Array) -> None:
        low = -1.0 if gate in self.cell.candidates else 0.0
        host = self.model.backend.get(values)
        counts, _ = np.histogram(host, BINS, (low, 1.0))
        self.histograms[gate] = self.histograms.get(gate, np.zeros(BINS)) + counts

    def result(self, seq_len: int) -> LayerGates:
        """Return means over time from the sums."""
        means = {name: total / self.steps for name, total in self.sums.items()}
        gates = []
        for gate, counts in self.histograms.items():
            tanh = gate in self.cell.candidates
            gates.append(
                Gate(
                    gate,
                    "tanh" if tanh else "logistic",
                    float(means[f"{gate}.mean"].mean()),
                    float(means[f"{gate}.left"].mean()),
                    float(means[f"{gate}.right"].mean()),
                    (counts / max(1.0, counts.sum())).tolist(),
                    (-1.0 if tanh else 0.0, 1.0),
                )
            )
        constants = None
        if "ln" in means:
            steps = -1.0 / np.minimum(means["ln"], -1e-12)
            q25, median, q75 = np.percentile(steps, (25, 50, 75)).tolist()
            beyond = float((steps > seq_len).mean())
            constants = TimeConstants(
                self.cell.memory, q25, median, q75, float(steps.max()), beyond
            )
        return LayerGates(self.index, gates, constants, self._units(means), self.steps)

    def _units(self, means: dict[str, Floats]) -> UnitActivity:
        variance = np.maximum(means["h2"] - means["h"] ** 2, 0.0)
        saturated = means["saturated"]
        return UnitActivity(
            0.0 if self.cell.rectified else float(saturated.mean()),
            0.0 if self.cell.rectified else float((saturated > 0.9).mean()),
            float((means["fires"] == 0.0).mean()) if self.cell.rectified else None,
            float((np.sqrt(variance) < STILL).mean()),
        )
