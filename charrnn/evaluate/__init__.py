"""How well a model predicts a text: as one, or line by line, or example by example.

A name below loads its module when it is first used, so that importing the package is light.
"""

from typing import TYPE_CHECKING

from charrnn.lazy import exports

if TYPE_CHECKING:
    from charrnn.evaluate.divided import added, score_together, share_of
    from charrnn.evaluate.dynamic.scoring import score_dynamically
    from charrnn.evaluate.dynamic.settings import Dynamic
    from charrnn.evaluate.lines import (
        LINES,
        ExampleValidation,
        LineScore,
        example_surprisals,
        score_lines,
        score_pieces,
        split_lines,
    )
    from charrnn.evaluate.sampled import training_loss
    from charrnn.evaluate.whole import STEPS, Score, Validation, score, surprisals

_HOME = {
    "LINES": "lines",
    "STEPS": "whole",
    "Dynamic": "dynamic.settings",
    "ExampleValidation": "lines",
    "LineScore": "lines",
    "Score": "whole",
    "Validation": "whole",
    "added": "divided",
    "example_surprisals": "lines",
    "score": "whole",
    "score_dynamically": "dynamic.scoring",
    "score_lines": "lines",
    "score_pieces": "lines",
    "score_together": "divided",
    "share_of": "divided",
    "split_lines": "lines",
    "surprisals": "whole",
    "training_loss": "sampled",
}

__all__ = [
    "LINES",
    "STEPS",
    "Dynamic",
    "ExampleValidation",
    "LineScore",
    "Score",
    "Validation",
    "added",
    "example_surprisals",
    "score",
    "score_dynamically",
    "score_lines",
    "score_pieces",
    "score_together",
    "share_of",
    "split_lines",
    "surprisals",
    "training_loss",
]

__getattr__, __dir__ = exports(__name__, _HOME)
