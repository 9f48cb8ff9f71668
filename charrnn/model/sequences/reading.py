"""What the networks of whole sequences have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from charrnn.backend import Array
from charrnn.model.network import Network
from charrnn.model.sequences.padding import Padding
from charrnn.model.window import Window


def read_whole(
    model: Network, window: Window, ids: Array, padding: Padding, masks: Sequence[Array] | None
) -> Array:
    """Read sequences (T, N) from zero states; return the stack's output (T, F, N).

    ``masks`` are those of dropout; None if no backward pass will follow.
    """
    window.padding = padding
    window.reset()
    backward = masks is not None
    return model.forward(window, ids, backward=backward, dropout_masks=masks or None)


def log_softmax(logits: np.ndarray, axis: int) -> np.ndarray:
    """Return ln softmax along an axis, in float64."""
    logits = logits.astype(np.float64)
    logits -= logits.max(axis=axis, keepdims=True)
    found: np.ndarray = logits - np.log(np.exp(logits).sum(axis=axis, keepdims=True))
    return found
