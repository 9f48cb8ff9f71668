"""Gradient norms over a training run, from its metrics.

The norm of the whole gradient is recorded with every reported step; norms by layer, update ratios
and the clip rate are recorded with ``charrnn train --watch N``. A norm has jumped if it is more
than :data:`JUMP` times the median of the :data:`BEFORE` records before it, of which there must be
at least :data:`MIN_BEFORE`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np

from charrnn.diagnosis.measures.values import plain
from charrnn.display import one_line
from charrnn.errors import CharRNNError, setting

JUMP = 5.0
BEFORE, MIN_BEFORE = 10, 3


@dataclass(frozen=True)
class Jump:
    """A step whose norm was ``times`` the median before it.

    ``layer`` is ``global`` for the norm of the whole gradient.
    """

    step: int
    layer: str
    norm: float
    times: float


@dataclass
class Series:
    """Values at steps; None for a non-finite value."""

    steps: list[int] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)

    def add(self, step: int, value: float | None) -> None:
        """Append a value."""
        self.steps.append(step)
        self.values.append(value)


@dataclass
class History:
    """Series of one training run; ``layers`` and what follows are empty without ``--watch``."""

    run: str
    grad_norm: Series = field(default_factory=Series)
    loss: Series = field(default_factory=Series)
    layers: dict[str, Series] = field(default_factory=dict)
    update_ratios: dict[str, Series] = field(default_factory=dict)
    clip_rate: Series = field(default_factory=Series)
    jumps: list[Jump] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the history as a JSON object."""
        exact: dict[str, Any] = plain(self)
        return exact


def read(run: str, lines: Iterable[dict[str, Any]]) -> History:
    """Return the history of the run named ``run`` from the records of its ``metrics.jsonl``.

    Raises
    ------
    CharRNNError
        If a record is invalid, or no step was recorded.
    """
    history = History(run)
    for line in lines:
        try:
            _take(history, line)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise CharRNNError(
                f"the metrics of run {one_line(run)} contain an invalid record",
                "remove it from metrics.jsonl",
            ) from None
    if not history.grad_norm.steps and not history.layers:
        raise CharRNNError(
            f"run {one_line(run)} has no recorded steps",
            f"train it with a smaller {setting('log_every')}, or {setting('watch')}",
        )
    for layer, series in {"global": history.grad_norm, **history.layers}.items():
        history.jumps += jumps(layer, series)
    history.jumps.sort(key=lambda jump: (jump.step, jump.layer))
    return history


def _take(history: History, line: dict[str, Any]) -> None:
    """Add one record, if it is of a step or a watch record.

    The file may hold anything: only numbers and printable names get into the series.
    """
    if line.get("event") == "step":
        step = _step(line)
        history.grad_norm.add(step, _number(line["grad_norm"]))
        history.loss.add(step, _number(line["loss"]))
    elif line.get("event") == "watch":
        step = _step(line)
        for name, series in (
            ("grad_norms", history.layers),
            ("update_ratios", history.update_ratios),
        ):
            for layer, value in line[name].items():
                if not layer.isprintable() or len(layer) > 80:
                    raise ValueError(layer)
                series.setdefault(layer, Series()).add(step, _number(value))
        history.clip_rate.add(step, _number(line["clip_rate"]))


def _step(line: dict[str, Any]) -> int:
    step = line["step"]
    if type(step) is not int or not 0 <= step < 2**63:
        raise ValueError("not a step")
    return step


def _number(value: object) -> float | None:
    """Return a number of the metrics; None if it is not finite."""
    if value is None:
        return None
    if type(value) not in (int, float):
        raise TypeError("not a number")
    try:
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        return None
    return number if isfinite(number) else None


def jumps(layer: str, series: Series) -> list[Jump]:
    """Return the jumps of a series."""
    jumped = []
    for index, (step, norm) in enumerate(zip(series.steps, series.values, strict=True)):
        before = [v for v in series.values[max(0, index - BEFORE) : index] if v is not None]
        if len(before) < MIN_BEFORE:
            continue
        middle = float(np.median(before))
        if norm is None:
            jumped.append(Jump(step, layer, float("nan"), float("inf")))
        elif norm > JUMP * middle:
            jumped.append(Jump(step, layer, norm, norm / middle if middle else float("inf")))
    return jumped
