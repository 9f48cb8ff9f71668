"""How well a model predicts a text: as one, or line by line, or example by example."""

from charrnn.evaluate.divided import added, score_together, share_of
from charrnn.evaluate.lines import (
    LINES,
    ExampleValidation,
    LineScore,
    example_surprisals,
    score_lines,
    split_lines,
)
from charrnn.evaluate.sampled import training_loss
from charrnn.evaluate.whole import STEPS, Score, Validation, score, surprisals

__all__ = [
    "LINES",
    "STEPS",
    "ExampleValidation",
    "LineScore",
    "Score",
    "Validation",
    "added",
    "example_surprisals",
    "score",
    "score_lines",
    "score_together",
    "share_of",
    "split_lines",
    "surprisals",
    "training_loss",
]
