"""The layer order of a GPU: layers run concurrently, one CUDA stream each.

Each layer follows the one below at a distance of a few steps, so that in a window of T steps L
layers take the time of T + (L - 1) · CHUNK steps instead of L · T (Appleyard et al. 2016, arXiv
1604.01946). Only a recording can do this: the streams are put into one CUDA graph, in which events
express the dependencies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from charrnn.backend.gpu.graphs import Graphs
from charrnn.backend.order import LayerOrder

CHUNK = 8
"""Steps of a layer after which the next layer may follow."""

Part = TypeVar("Part", slice, slice | None)


class Wavefront(LayerOrder):
    """One stream per layer while recording; otherwise the same order in one stream.

    The order is the same so that the first call of a computation, which is not recorded, compiles
    everything that its recording will launch.

    Parameters
    ----------
    graphs
        The GPU's recorder.
    """

    parallel = True

    def __init__(self, graphs: Graphs) -> None:
        self._graphs = graphs
        self.streams: list[Any] = []

    def prepare(self, layers: int) -> None:
        """Make a stream for each of several layers, which must not happen in a recording."""
        xp = self._graphs.xp
        while not self._graphs.note and len(self.streams) < layers > 1:
            stream = xp.cuda.Stream(non_blocking=True)
            xp.products.prepare(stream.ptr)
            self.streams.append(stream)

    def forward(self, layers: int, steps: int) -> Iterator[tuple[int, slice]]:
        """Yield all layers' first parts from the bottom, then their second, and so on."""
        order = [(layer, part) for part in self._parts(layers, steps) for layer in range(layers)]
        return self._in_lanes(layers, order, -1)

    def backward(self, layers: int, steps: int) -> Iterator[tuple[int, slice | None]]:
        """Yield all layers' last parts from the top, then those before them, and so on."""
        order: list[tuple[int, slice | None]] = []
        for part in reversed(self._parts(layers, steps)):
            for layer in reversed(range(layers)):
                order.append((layer, part))
                if not part.start:
                    order.append((layer, None))
        return self._in_lanes(layers, order, +1)

    def _possible(self, layers: int) -> bool:
        return not self._graphs.note and 1 < layers <= len(self.streams)

    def _parts(self, layers: int, steps: int) -> list[slice]:
        size = CHUNK if self._possible(layers) else steps
        return [slice(start, min(start + size, steps)) for start in range(0, steps, size)]

    def _in_lanes(
        self, layers: int, order: Sequence[tuple[int, Part]], neighbour: int
    ) -> Iterator[tuple[int, Part]]:
        """Yield each item of the order while its layer's stream is the current one.

        An item waits for the same part of the layer at the distance ``neighbour``.
        """
        if not (self._graphs.recording and self._possible(layers)):
            yield from order
            return
        origin = self._graphs.stream
        lanes = Lanes(self._graphs.xp.cuda, self.streams[:layers])
        lanes.fork(origin)
        for layer, part in order:
            lanes.enter(layer, part, layer + neighbour)
            yield layer, part
            lanes.leave(layer, part)
            origin.use()
        lanes.join(origin)


class Lanes:
    """Concurrent streams in a recording, and the events that order their work."""

    def __init__(self, cuda: Any, streams: Sequence[Any]) -> None:
        self._cuda, self._streams = cuda, streams
        self._done: dict[tuple[int, int], Any] = {}

    def fork(self, origin: Any) -> None:
        """Let all streams wait for the work of ``origin`` so far."""
        begun = self._mark(origin)
        for stream in self._streams:
            stream.wait_event(begun)

    def enter(self, lane: int, part: slice | None, after: int) -> None:
        """Make a lane's stream current; wait for the lane ``after``, if any, to finish the part.

        The stream is not entered as a context: if the work fails, the recording's own context
        restores the stream that was current before it.
        """
        stream = self._streams[lane]
        if part is not None and 0 <= after < len(self._streams):
            stream.wait_event(self._done[after, part.start])
        stream.use()

    def leave(self, lane: int, part: slice | None) -> None:
        """Note that a lane has finished a part."""
        if part is not None:
            self._done[lane, part.start] = self._mark(self._streams[lane])

    def join(self, origin: Any) -> None:
        """Let ``origin`` wait for all streams."""
        for stream in self._streams:
            origin.wait_event(self._mark(stream))

    def _mark(self, stream: Any) -> Any:
        event = self._cuda.Event(disable_timing=True)
        stream.record(event)
        return event
