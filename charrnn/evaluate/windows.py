"""The windows in which sequences are scored, kept from batch to batch."""

from __future__ import annotations

from charrnn.model.network import Network
from charrnn.model.window import Window


class Windows:
    """A window for each number of sequences, as long as the longest so far.

    ``model`` is read at every call, so it may be trained meanwhile.
    """

    def __init__(self, model: Network) -> None:
        self.model = model
        self._windows: dict[int, Window] = {}

    def of(self, steps: int, places: int) -> Window:
        """Return a window of at least ``steps`` steps of ``places`` sequences."""
        window = self._windows.get(places)
        if window is None or window.steps < steps:
            window = self._windows[places] = self.model.window(steps, places, backward=False)
        return window
