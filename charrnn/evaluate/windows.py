"""The windows in which sequences are scored, kept from batch to batch."""

from __future__ import annotations

from typing import Any

from charrnn.model.network import Network


class Windows:
    """A window for each number of sequences, as long as the longest so far.

    ``model`` is read at every call, so it may be trained meanwhile.
    """

    def __init__(self, model: Network) -> None:
        self.model = model
        self._windows: dict[int, Any] = {}

    def of(self, steps: int, places: int) -> Any:
        """Return a window of the model, of at least ``steps`` steps of ``places`` sequences."""
        window = self._windows.get(places)
        if window is None or window.steps < steps:
            window = self._windows[places] = self.model.window(steps, places, backward=False)
        return window
