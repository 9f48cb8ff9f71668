"""What a notebook shows while ``charrnn.fit`` trains: a bar, figures and the loss curves.

Nothing is imported for it: a notebook has loaded IPython before charrnn is called.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from time import monotonic
from typing import Any

from charrnn.api.shown import loss_chart
from charrnn.display import duration, loss
from charrnn.evaluate.curves import Curves
from charrnn.train.records import End, Eval, Record, Step

INTERVAL = 0.5
"""Seconds between two changes of the display; the first and the last come at once."""


class Progress:
    """The display of one training run; it changes in its place.

    Parameters
    ----------
    display
        What shows an object: ``IPython.display.display``.
    total_steps, minutes
        The limits of the run; at least one is not None.
    history
        The records of the run so far, which its owner appends to.
    """

    def __init__(
        self,
        display: Any,
        total_steps: int | None,
        minutes: float | None,
        history: Sequence[dict[str, Any]],
    ) -> None:
        self._total_steps, self._minutes, self._history = total_steps, minutes, history
        self._step: Step | None = None
        self._best: float | None = None
        self._end: End | None = None
        self._handle, self._drawn = display(self, display_id=True), monotonic()

    def show(self, record: Record) -> None:
        """Take a record in, and change the display if the last change is long enough ago."""
        if isinstance(record, Step):
            late, self._step = self._step is None, record
        elif isinstance(record, Eval):
            late, self._best = False, record.val_loss if record.best else self._best
        elif isinstance(record, End):
            late, self._end = True, record
        else:
            return
        if late or monotonic() - self._drawn >= INTERVAL:
            self._handle.update(self)
            self._drawn = monotonic()

    @property
    def share(self) -> float:
        """How much of the run is done, 0 … 1, by the limit that comes first."""
        if self._end is not None:
            return 1.0
        if self._step is None:
            return 0.0
        shares = [0.0]
        if self._total_steps:
            shares.append(self._step.step / self._total_steps)
        if self._minutes:
            shares.append(self._step.seconds / (60 * self._minutes))
        return min(1.0, max(shares))

    def __repr__(self) -> str:
        """Return the figures on one line, for where HTML is not shown."""
        step, end = self._step, self._end
        if end is not None:
            parts = [f"{end.step:,} steps", duration(end.seconds)]
        elif step is None:
            return "training begins"
        else:
            left = step.seconds * (1 / self.share - 1) if self.share else 0.0
            parts = [f"step {step.step:,}", f"{duration(left)} left"]
            parts.append(f"{step.chars_per_second:,.0f} symbols/s")
        if step is not None:
            parts.append(f"training loss {loss(step.smoothed)}")
        if self._best is not None:
            parts.append(f"best validation loss {loss(self._best)}")
        return ", ".join(parts)

    def _repr_html_(self) -> str:
        """Return the bar, the figures, and until the end, when the model has them, the curves."""
        bar = f'<progress style="width:12em" max="1" value="{self.share:.3f}"></progress>'
        chart = loss_chart(Curves.of("", list(self._history))) if self._end is None else ""
        return f"<div>{bar} {self!r}{chart}</div>"


def progress(
    total_steps: int | None, minutes: float | None, history: Sequence[dict[str, Any]]
) -> Progress | None:
    """Return a display of a run if this is a notebook, else None."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if getattr(shell, "kernel", None) is None:
        return None
    from importlib import import_module

    display = import_module("IPython.display").display
    return Progress(display, total_steps, minutes, history)
