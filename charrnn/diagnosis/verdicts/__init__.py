"""Verdicts on a model: what is wrong, the evidence, and the remedy.

A spectral radius above 1 is not a verdict: it is neither necessary for exploding gradients nor
sufficient. Every threshold, with W = 32 steps:

===============  ==================================================================  ==============
code             reported when                                                       basis
===============  ==================================================================  ==============
broken           a weight or moment is NaN or infinite; or the loss or gradient is,  measurement
                 and no state overflows
exploding        a state overflows along the text; or G is at least 10 at the        measurement
                 largest lag and small differences grow along the text (λ₁ > 0); or
                 G is at least 100 there
vanishing        an ungated cell with σ₁(U) < 1/γ in a layer and all above it:       theorem [1]
                 gradients shrink as (γ σ₁)^k, unless the loss sees every state
                 directly, by attention or a mean
vanishing        the Jacobian's product shrinks ten-thousandfold over W steps        measurement
                 (λ₁ W < -ln 10,000) and G(W) is below 1/10,000 for every state; if
                 the largest lag k is below W, G(k) is below (1/10,000)^(k/W)
saturated        each logistic gate of a layer is below 0.1 or above 0.9 for 90 %    measurement,
                 of time and units; without gates: |h| > 0.9 for 90 %, or half of    bounds of [2]
                 the rectifiers never fire
clip-tight       clipping by norm shortens 90 % of the gradients, the median of      rule of thumb
                 those to less than a tenth, and nothing explodes                    [3]
clip-idle        the limit is above 100 times the largest norm measured, and the     rule of thumb
                 loss is above 0.05 nats                                             [3]
lr-high          an update is as large as the weights; or at least 1/1000 of         measurement,
                 them and raises the loss of its own window by a tenth (of ln V at   ratio of [4]
                 most) and 0.1 nats
lr-low           an update is below 1/100,000 of the weights, a hundredth of the     rule of thumb
                 rule of thumb, not because of clipping, and the loss is above 0.05  [4]
                 nats
unstable         the run's losses ended above those at its best evaluation, of        measurement
                 validation and of training alike, by more than 0.1 nats, and
                 than a quarter (a tenth of a validation loss with counted n-grams)
                 and 1/√n
overfitting      the run's validation loss ended above 1.02 times its best plus 1/√n measurement
                 (n: its symbols) while the training loss fell, and that of a text
                 ended more than 6 % below it; or it ended below half of it
cut-short        from a quarter to half of the run's steps the validation loss fell  measurement
                 by 4 %, and by half of its distance from the training loss at the
                 end; or they ended within 6 % after fewer than 5 epochs
truncation       the model is trained, 1/2 ≤ G(training window) < 10, and the model  measurement
                 uses a window of context or more, or gains more than 0.02 nats (and
                 three standard errors) from context beyond the window
context-unused   the model is trained, at most one symbol of context yields 99 % of  measurement
                 the gain from context, and the loss is above 0.05 nats and at most
                 1.1 times the entropy of the symbol frequencies
===============  ==================================================================  ==============

A model that reads whole examples has no long trajectory of states, and so no λ₁: its gradients
explode if G is at least 100 at the largest lag, and vanish if G is below both (1/10,000)^(k/W) and
1/100 there. The context of a classifier is counted from the end of the text; a transducer's is not
judged. In both, nothing is truncated.

If there is nothing to learn (the text is one symbol, or the gradient exactly 0), neither the
learning rate, nor clipping, nor saturation, nor the use of context is judged, and no remedy is
another learning rate.

[1] Pascanu, Mikolov and Bengio 2013, arXiv 1211.5063, section 2.1. [2] Karpathy, Johnson and
Fei-Fei 2015, arXiv 1506.02078. [3] Pascanu et al. 2013, section 3.2, set the limit by the average
norm over many updates and report that half to ten times that average works. [4] Karpathy, notes of
CS231n: updates should be about 1/1000 of the weights.

The bounds for vanishing and exploding lie between what trained LSTMs and GRUs of 32 to 128 units
show on English text (λ₁ from -0.15 to -0.01 per step, and G below 1 from some lag on) and what a
forget bias of -5 (λ₁ of -0.3 and below) or an orthogonal matrix times 3 (G in the thousands at lag
64) leads to. A fresh LSTM is at -0.14 to -0.27, from 256 units to 24.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from charrnn.diagnosis.report import Report, Verdict
from charrnn.diagnosis.verdicts.context import context_unused, truncation
from charrnn.diagnosis.verdicts.finite import broken, not_finite
from charrnn.diagnosis.verdicts.gradients import exploding, saturated, vanishing
from charrnn.diagnosis.verdicts.losses import cut_short, overfitting, unstable
from charrnn.diagnosis.verdicts.training import clipping, learning_rate
from charrnn.display import brief
from charrnn.errors import UsageError, in_words, setting
from charrnn.evaluate.course import CUT_SHORT, OVERFITTING, UNSTABLE

CODES = (
    "broken",
    "exploding",
    "vanishing",
    "saturated",
    UNSTABLE,
    OVERFITTING,
    "clip-tight",
    "clip-idle",
    "lr-high",
    "lr-low",
    CUT_SHORT,
    "truncation",
    "context-unused",
)
"""All codes, worst first."""


def chosen(listed: str) -> frozenset[str]:
    """Return the codes in a list that is separated by commas.

    Raises
    ------
    UsageError
        If one of them is not a verdict.
    """
    codes = frozenset(code.strip() for code in listed.split(","))
    for code in sorted(codes - set(CODES)):
        raise UsageError(
            f"{setting('fail_on')} {brief(code)} is not a verdict",
            f"choose from {', '.join(CODES)}",
        )
    return codes


def judge(report: Report, word: Callable[[str], str] = str) -> list[Verdict]:
    """Return all verdicts on a report, worst first.

    ``word`` turns a setting into its name in their messages: by default Python's, or
    :func:`charrnn.errors.option` on the command line.
    """
    verdicts = sorted(_judged(report), key=lambda verdict: CODES.index(verdict.code))
    return [
        replace(v, message=in_words(v.message, word), remedy=in_words(v.remedy, word))
        for v in verdicts
    ]


def _judged(report: Report) -> list[Verdict]:
    if report.broken:
        return [broken(array) for array in report.broken]
    verdicts = list(exploding(report))
    layers = {(verdict.layer, verdict.part) for verdict in verdicts}
    if not verdicts:
        verdicts += not_finite(report)
    verdicts += [v for v in vanishing(report) if (v.layer, v.part) not in layers]
    verdicts += [*saturated(report), *clipping(report, bool(layers)), *learning_rate(report)]
    verdicts += [*unstable(report), *overfitting(report), *cut_short(report)]
    if not report.subject.fresh:
        verdicts += [*truncation(report), *context_unused(report)]
    return verdicts
