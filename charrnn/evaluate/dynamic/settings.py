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
        η: how far a weight moves in an update, if its gradient is as large as it usually is.
    dynamic_decay
        λ: the share of their way from the trained weights that they go back in an update.
    dynamic_window
        T: symbols that are scored between two updates; None: as many as keep the time low.
    """

    dynamic_lr: float = declare(
        0.002, "With --dynamic, how far a weight moves in a usual update.", above=0
    )
    dynamic_decay: float = declare(
        0.003, "With --dynamic, the share of that way that it goes back.", least=0, below=1
    )
    dynamic_window: int | None = declare(
        None,
        "With --dynamic, symbols that are scored between two updates.",
        kind=int,
        least=1,
        most=1 << 16,
        shown="256; 512 for a large alphabet",
    )

    def __post_init__(self) -> None:
        check_fields(self)
