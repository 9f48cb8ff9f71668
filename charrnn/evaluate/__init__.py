"""How well a model predicts a text: as one, or line by line, or example by example."""

from charrnn.evaluate.lines import (
    LINES,
    ExampleValidation,
    LineScore,
    example_surprisals,
    score_lines,
    split_lines,
)
from charrnn.evaluate.whole import STEPS, Score, Validation, score, surprisals

__all__ = [
    "LINES",
    "STEPS",
    "ExampleValidation",
    "LineScore",
    "Score",
    "Validation",
    "example_surprisals",
    "score",
    "score_lines",
    "split_lines",
    "surprisals",
]
