"""The entropy of a distribution (Shannon 1948)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def entropy(probabilities: NDArray[np.float64]) -> float:
    """Return the entropy of a distribution, (n,), in nats; 0 log 0 counts as 0."""
    import numpy as np

    positive = probabilities[probabilities > 0.0]
    return float(-(positive * np.log(positive)).sum()) + 0.0
