"""Gradients through time: ``exploding``, ``vanishing``, ``saturated``."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp, isfinite, log

import numpy as np

from charrnn.cells.base import Cell
from charrnn.config import ModelConfig
from charrnn.diagnosis.measures.curves import LayerLag
from charrnn.diagnosis.measures.spectra import ROUNDING
from charrnn.diagnosis.report import Report, Verdict
from charrnn.diagnosis.verdicts.sources import MEASUREMENT, PASCANU, THEOREM
from charrnn.display import count
from charrnn.errors import setting
from charrnn.registry import CELLS

WINDOW = 32
"""Steps over which gradients must not vanish."""
GROWTH, SURE_GROWTH = 10.0, 100.0
"""G at the largest lag that counts as exploding: with λ₁ > 0, and whatever λ₁ is."""
DECAY = 1e-4
"""A gradient that falls below this over :data:`WINDOW` steps has vanished."""
SHORT_DECAY = 1e-2
"""What it must fall below at the largest lag, even if that is short, where there is no λ₁."""
SATURATED, DEAD = 0.9, 0.5
"""Shares of time and units, and of units."""


def exploding(report: Report) -> Iterator[Verdict]:
    """Yield a verdict on every layer whose gradients grow with the lag, or if a state overflows."""
    dynamics, profile, cell = report.dynamics, report.lag, report.subject.model.stack.cell
    if profile is None:
        return
    if dynamics is not None and dynamics.overflow is not None:
        steepest = max(dynamics.layers, key=lambda layer: layer.exponents[0])
        yield Verdict(
            "exploding",
            steepest.layer,
            MEASUREMENT,
            f"the state overflows after {count(dynamics.overflow, 'step')} along the text",
            f"use {_first(cell.remedy('overflow'))}{setting('init')} orthogonal, or a gated cell: "
            f"{setting('cell')} {min(gated_cells())}",
        )
        return
    lower = "" if report.nothing_to_learn else f" or a lower {setting('lr')}"
    for lags, rate in _with_rates(report):
        state, curve = lags.slowest
        end = float(curve.mean[-1])
        if end >= (GROWTH if rate is not None and rate > 0 else SURE_GROWTH):
            grow = (
                ""
                if rate is None
                else (f"; small differences grow by {exp(rate):.2f} per step (λ₁ = {rate:+.3f})")
            )
            yield Verdict(
                "exploding",
                lags.layer,
                MEASUREMENT,
                f"∂ℓ/∂{state} at lag {lags.max_lag} is {_times(end)} that at lag 0{grow}",
                f"{setting('clip_norm')} bounds the step; {setting('init')} orthogonal{lower} the "
                "growth itself",
                part=lags.part,
            )


def _with_rates(report: Report) -> Iterator[tuple[LayerLag, float | None]]:
    """Yield the profile of every layer, and its λ₁; None if there is no trajectory to measure."""
    layers = report.lag.layers if report.lag else []
    rates: list[float | None] = [None] * len(layers)
    if report.dynamics is not None:
        rates = [layer.exponents[0] for layer in report.dynamics.layers]
    yield from zip(layers, rates, strict=True)


def _first(remedy: str) -> str:
    """Return a cell's own remedy as the first of several."""
    return f"{remedy}, " if remedy else ""


def _times(value: float) -> str:
    return f"{value:.2g} times" if isfinite(value) else "infinitely larger than"


def vanishing(report: Report) -> Iterator[Verdict]:
    """Yield a verdict on every layer whose gradients shrink too fast, by theorem or measurement."""
    dynamics, profile = report.dynamics, report.lag
    if profile is None or (dynamics is not None and dynamics.overflow is not None):
        return
    for lags, rate in _with_rates(report):
        theorem = _guaranteed(report, lags)
        if theorem is not None:
            yield theorem
            continue
        at = min(WINDOW, lags.max_lag)
        _, curve = max(lags.curves.items(), key=lambda item: item[1].mean[at])
        value, enough = float(curve.mean[at]), DECAY ** (at / WINDOW)
        if rate is None:
            enough = min(enough, SHORT_DECAY)
        elif rate * at >= log(DECAY) * at / WINDOW:
            continue
        if value < enough:
            forgets = (
                ""
                if rate is None
                else (f"; the state forgets within {abs(1 / rate):.1f} steps (λ₁ = {rate:+.3f})")
            )
            yield Verdict(
                "vanishing",
                lags.layer,
                MEASUREMENT,
                f"the gradient at lag {at} is {value:.1e} of that at lag 0{forgets}",
                _more_memory(report),
                part=lags.part,
            )


def _guaranteed(report: Report, lags: LayerLag) -> Verdict | None:
    """Return the verdict by the theorem; None if it says nothing of this layer.

    It bounds what goes back through the states of a layer. The gradient of a lower layer also goes
    through those above it, which must shrink, too; the number of ways is a power of k. Where the
    loss sees every state directly, by attention or a mean, the gradient is above the bound.
    """
    slope, reader = report.subject.model.stack.cell.slope_bound, _reader(lags.part)
    own = [r for r in report.recurrent if _reader(r.part) == reader and r.layer >= lags.layer]
    if slope is None or not own or not all(r.vanishing_sufficient for r in own):
        return None
    sigma = max(r.sigma_max for r in own)
    rate = slope * sigma
    bound = rate ** np.arange(lags.max_lag + 1) * (1 + ROUNDING)
    if any((curve.mean > bound).any() for curve in lags.curves.values()):
        return None
    if all(r.layer == lags.layer for r in own):
        matrices = f"σ₁(W_hh) = {sigma:.3f}"
        shrink = f"at least as {rate:.3f}^k, to {rate**WINDOW:.1e} over {WINDOW} steps"
    else:
        matrices = f"σ₁(W_hh) ≤ {sigma:.3f} here and above"
        shrink = f"as {rate:.3f}^k, but for a power of k"
    return Verdict(
        "vanishing",
        lags.layer,
        THEOREM,
        f"{matrices} < 1/γ = {1 / slope:g}: gradients shrink {shrink}",
        f"{setting('init')} orthogonal or identity, or a gated cell: "
        f"{setting('cell')} {gated_cells()[0]}",
        PASCANU,
        lags.part,
    )


def _reader(part: str) -> str:
    """Return which network a part belongs to, in either direction."""
    return part.removesuffix("backwards").strip()


def _more_memory(report: Report) -> str:
    """Return the remedy that lets the cell remember for longer."""
    cell, init = report.subject.model.stack.cell, setting("init")
    own = cell.remedy("forgetting")
    if own:
        return own
    others = [name for name in gated_cells() if name != cell.name]
    if cell.memory:
        return f"{init} orthogonal, or {setting('cell')} {others[0]}"
    return f"a gated cell ({setting('cell')} {' or '.join(others)}), or {init} orthogonal"


def gated_cells() -> list[str]:
    """Return the cells with a gate that keeps their state, the default first."""
    names = [cell.name for cell in CELLS.classes() if issubclass(cell, Cell) and cell.memory]
    return sorted(names, key=lambda name: (name != ModelConfig().cell, name))


def saturated(report: Report) -> Iterator[Verdict]:
    """Yield a verdict on every layer of which gates or units are saturated, or units are dead."""
    if report.nothing_to_learn:  # one state over and over says nothing of other texts
        return
    remedy = (
        f"a lower {setting('lr')}, {setting('weight_decay')}, or smaller initial weights: "
        f"{setting('init')} xavier"
    )
    for layer in report.gates:
        logistic = [gate for gate in layer.gates if gate.kind == "logistic"]
        least = min((gate.left + gate.right for gate in logistic), default=0.0)
        units = layer.units
        if least >= SATURATED:
            gates = ", ".join(f"{gate.gate} {gate.left + gate.right:.0%}" for gate in logistic)
            yield Verdict(
                "saturated",
                layer.layer,
                MEASUREMENT,
                f"the gates are saturated ({gates} of the time), so hardly any gradient passes "
                "through them",
                remedy,
                part=layer.part,
            )
        elif not logistic and units.saturated >= SATURATED:
            message = f"the units are saturated {units.saturated:.0%} of the time (|h| > 0.9)"
            yield Verdict("saturated", layer.layer, MEASUREMENT, message, remedy, part=layer.part)
        elif units.dead is not None and units.dead >= DEAD:
            message = f"{units.dead:.0%} of the units never fire"
            own = report.subject.model.stack.cell.remedy("dead units")
            instead = f"a lower {setting('lr')}" + (f", or {own}" if own else "")
            yield Verdict("saturated", layer.layer, MEASUREMENT, message, instead, part=layer.part)
