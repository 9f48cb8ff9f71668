"""NaN and infinity: ``broken``."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from charrnn.diagnosis.measures.broken import Broken
from charrnn.diagnosis.report import Report, Verdict
from charrnn.diagnosis.verdicts.sources import MEASUREMENT
from charrnn.errors import setting


def broken(array: Broken) -> Verdict:
    """Return the verdict on a parameter or moment that holds NaN or infinity."""
    elements = "element" if array.size == 1 else "elements"
    are = "is" if array.count == 1 else "are"
    return Verdict(
        "broken",
        _layer_in(array.name),
        MEASUREMENT,
        f"{array.name}: {array.count:,} of {array.size:,} {elements} {are} not a finite "
        f"number ({array.kind})",
        f"go back to an earlier checkpoint (train with {setting('keep')} K) and lower "
        f"{setting('lr')}",
    )


def not_finite(report: Report) -> Iterator[Verdict]:
    """Yield a verdict if loss or gradient are not finite although all weights are."""
    norms = report.norms
    if norms is None or (isfinite(norms.loss) and isfinite(norms.all.grad.mean)):
        return
    broken_value = "loss" if not isfinite(norms.loss) else "gradient"
    bad = [name for name, part in norms.parameters.items() if not isfinite(part.grad.mean)]
    where = f"; first in {bad[0]}" if bad else ""
    yield Verdict(
        "broken",
        _layer_in(bad[0]) if bad else None,
        MEASUREMENT,
        f"the {broken_value} is not a finite number, though all weights are{where}",
        f"go back to an earlier checkpoint and lower {setting('lr')}; or use "
        f"{setting('dtype')} float64",
    )


def _layer_in(name: str) -> int | None:
    """Return the layer that a parameter's name ends with (``_l1``), or None."""
    last = name.rpartition("_l")[2]
    return int(last) if last.isdigit() else None
