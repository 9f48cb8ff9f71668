"""Use of context by trained models: ``truncation``, ``context-unused``."""

from __future__ import annotations

from collections.abc import Iterator

from charrnn.diagnosis.measures.context import Context
from charrnn.diagnosis.report import Report, Verdict
from charrnn.diagnosis.verdicts.gradients import GROWTH, gated_cells
from charrnn.diagnosis.verdicts.sources import MEASUREMENT
from charrnn.display import count
from charrnn.errors import setting
from charrnn.evaluate.guess import LEARNED

CUT_GRADIENT = 0.5
"""G at the training window above which truncation discards a lot."""
BEYOND_WINDOW = 0.02
"""The smallest gain from context beyond the training window that counts, in nats."""
WORSE_THAN_FREQUENCIES = 1.1
"""A loss above this multiple of the entropy of symbol frequencies says nothing about context."""


def truncation(report: Report) -> Iterator[Verdict]:
    """Yield a verdict on every layer whose gradients reach beyond a window that is too short."""
    profile, context = report.lag, report.context
    if profile is None or context is None or report.nothing_to_learn:
        return
    cut, seq_len = context.cut, context.seq_len
    if seq_len is None:  # nothing is truncated
        return
    gain, error = cut.beyond_window, cut.beyond_window_error
    gains = gain is not None and error is not None and gain > max(BEYOND_WINDOW, 3 * error)
    if not (gains or cut.used >= seq_len):
        return
    for layer in profile.layers:
        values = {state: curve.at(seq_len) for state, curve in layer.curves.items()}
        known = {state: value for state, value in values.items() if value is not None}
        state, value = max(known.items(), key=lambda item: item[1], default=("", 0.0))
        if CUT_GRADIENT <= value < GROWTH:
            yield Verdict(
                "truncation",
                layer.layer,
                MEASUREMENT,
                f"at the window's edge, lag {seq_len}, ∂ℓ/∂{state} is still {value:.0%} of that at "
                f"lag 0, and the model uses {count(cut.used, 'character')}",
                f"a longer {setting('seq_len')}: {2 * seq_len}",
            )


def context_unused(report: Report) -> Iterator[Verdict]:
    """Yield a verdict if at most one symbol of context yields all the gain from context."""
    context = report.context
    if context is None or report.nothing_to_learn:
        return
    cut = context.cut
    full = cut.replaced[-1]
    if cut.used_99 <= 1 and LEARNED < full <= WORSE_THAN_FREQUENCIES * context.unigram:
        much = "none" if cut.used_99 == 0 else "one character"
        yield Verdict(
            "context-unused",
            None,
            MEASUREMENT,
            f"the model uses {much} of its context: with {count(cut.lengths[-1], 'character')} it "
            f"gains {cut.gain:.3f} nats over none",
            f"train for longer, {_windows(context)}or {setting('cell')} {gated_cells()[0]}; "
            "fine if the text has no longer-range structure",
        )


def _windows(context: Context) -> str:
    """Return the remedies for a text that is read in windows."""
    if context.seq_len is None:
        return ""
    return f"a longer {setting('seq_len')}, {setting('state')} carry, "
