"""How a model learns in dynamic evaluation; light to import, for the command line."""

from __future__ import annotations

from dataclasses import dataclass

from charrnn.options import check_fields, declare


@dataclass(frozen=True)
class Dynamic:
    """How fast a model learns from what it scores.

    Attributes
    ----------
    dynamic_lr
        η: how far the weights move in a window, as a Euclidean length, if its gradient is an
        average one.
    dynamic_decay
        λ: the share of their way from the trained weights that they go back in a window.
    """

    dynamic_lr: float = declare(
        0.07, "With --dynamic, how far the weights move at a time.", above=0
    )
    dynamic_decay: float = declare(
        0.003, "With --dynamic, the share of that way that they go back.", least=0, below=1
    )

    def __post_init__(self) -> None:
        check_fields(self)
