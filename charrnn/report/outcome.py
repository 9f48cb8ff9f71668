"""What the losses of a run say about it, and what they mean, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from charrnn.display import unit
from charrnn.evaluate.course import CUT_SHORT, OVERFITTING, UNSTABLE, number_of
from charrnn.plugins import named
from charrnn.train.records import End, Overfitting, Start

FAR = 0.25
"""The share of the validation loss by which a training loss is much lower."""
BY_HEART = 0.8
"""A training loss below this share of the loss of a guess: the training text is being learned."""
_LONGER = {
    "steps": "a run with more --steps",
    "epochs": "a run with more --epochs",
    "minutes": "a run with more --minutes",
}


def outcome(end: End, settings: Mapping[str, Any]) -> str:
    """Return what a run's verdict is, in a line; empty if it has none."""
    if end.verdict is None or end.val_loss is None:
        return ""
    what = "text" if settings.get("task", "lm") == "lm" else "examples"
    losses = _losses(end, bool(settings.get("counts") or settings.get("grams")))
    if end.verdict == UNSTABLE:
        return f"{losses}: training went wrong after step {end.best_step:,}; {_calmer(settings)}"
    if end.verdict == OVERFITTING:
        more = "a higher --dropout" if settings.get("dropout") else "--dropout"
        helps = f"{_more(what)}, {more} or a smaller --hidden helps"
        return f"{losses}: it has learned the training {what} by heart; {helps}"
    if end.verdict == CUT_SHORT:
        after = "" if end.epochs is None else f" after {end.epochs:.2g} epochs"
        longer = _LONGER.get(end.reason, "a longer run")
        return f"{losses}{after}: still improving when it ended; {longer} helps"
    if knows_its_text(end):
        know = f"it knows the training {what} much better than others"
        return f"{losses}: {know}; {_more(what)} would help most"
    return f"{losses}: no sign of overfitting"


def _calmer(settings: Mapping[str, Any]) -> str:
    """Return what helps a run that went wrong."""
    lr, limit = number_of(settings.get("lr")), number_of(settings.get("clip_norm"))
    lower = "a lower --lr" if lr is None else f"a lower --lr than {lr:.3g}"
    return f"{lower} or {'a lower --clip-norm' if limit else '--clip-norm'} helps"


def knows_its_text(end: End) -> bool:
    """Whether a model knows the training text much better than the validation text."""
    if end.train_loss is None or end.val_loss is None:
        return False
    return end.train_loss < (1 - FAR) * end.val_loss


def no_better(end: End, task: str) -> str:
    """Return what to say of a model that a guess equals."""
    what = "labels" if task in ("classify", "tag") else "symbols"
    number = "ln V = " if what == "symbols" else ""
    guess = {
        "uniform": f"a guess among all {what} alike ({number}",
        "unigram": f"a guess by the frequencies of the {what} (",
    }[str(end.no_better_than)]
    worse = f"the model is no better than {guess}{end.guess_loss:.4f} nats)"
    trained = end.smoothed if end.train_loss is None else end.train_loss
    if _by_heart(end, trained):
        return (
            f"{worse}, except on the training text ({trained:.4f} nats), which it has learned "
            "by heart: use a longer text, a smaller --hidden, or --dropout"
        )
    see = f", and see charrnn diagnose {named(end.run)}" if what == "symbols" else ""
    return f"{worse}: train for longer or with another --lr{see}"


def _by_heart(end: End, trained: float | None) -> bool:
    """Whether a model that a guess equals on the validation text beats it on the training text."""
    if trained is None or end.guess_loss is None or end.best_val_loss is None:
        return False
    return trained < BY_HEART * end.guess_loss


def _more(what: str) -> str:
    return "a longer text" if what == "text" else f"more {what}"


def _losses(end: End, counts: bool) -> str:
    """Return the losses at the end, and the best one if that is another one.

    With ``counts`` of n-grams, the training loss is without them.
    """
    of = " of the network alone" if counts else ""
    known = [] if end.train_loss is None else [f"training loss {end.train_loss:.3g}{of}"]
    best = f"{end.best_val_loss:.3g}"
    now = f"validation loss {end.val_loss:.3g}"
    if end.verdict in (OVERFITTING, UNSTABLE) and best != f"{end.val_loss:.3g}":
        now += f" (the best, {best} at step {end.best_step:,}, is kept)"
    return ", ".join([*known, now])


def meaning(end: End, start: Start | None) -> str:
    """Return the best validation loss in bits, beside what others need; empty if unknown."""
    if end.bits_per_char is None:
        return ""
    others = {
        "xz": end.xz_bits_per_char,
        "a bigram model": end.bigram_bits_per_char,
        "a unigram model": end.unigram_bits_per_char,
    }
    known = [(name, f"{bits:.2f}") for name, bits in others.items() if bits is not None]
    (first, its), *rest = known
    need = ", ".join([f"{first} needs {its}", *(f"{name} {bits}" for name, bits in rest)])
    symbol = unit("char" if start is None else start.level)
    return f"that is {end.bits_per_char:.2f} bits per {symbol} of the validation text; {need}"


def rising(record: Overfitting) -> str:
    """Return that a run overfits, while it goes on."""
    return (
        f"step {record.step:>6}  overfitting: the validation loss was {record.best_val_loss:.4f} "
        f"nats at step {record.best_step:,} and has risen, while the training loss falls; the best "
        "checkpoint is kept"
    )
