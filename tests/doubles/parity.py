"""A second task: predict the parity of a sequence of bits at its end.

Each stream holds sequences of one to ``2 * steps`` bits, one after the other. A sequence starts at
the start of a window, and may go on in the next; only its last bit has a target that counts, and
what is left of the window after it is padding. So in each window some streams start afresh, some
go on, and most targets do not count.
"""

from math import log

import numpy as np

from charrnn.backend.team import Alone
from charrnn.model.shards import Shards
from charrnn.tasks.base import Metric, Task
from charrnn.text.windows import Batch


class Parity(Task):
    """A model of two symbols reads bits and predicts their parity; measured by its accuracy."""

    kind = "parity"
    metric = Metric("accuracy", lower_is_better=False)

    def __init__(self, model, steps, streams, windows=12, team=None, seed=0):
        self.model, self.backend, self.weights = model, model.backend, model.weights
        self.windows_per_epoch, self.guess, self.bounded = windows, log(2), True
        self.symbols_per_batch = steps * streams
        self._steps, self._seed = steps, seed
        self._mine = (team or Alone()).share(streams)
        self.window = Shards(model, steps, streams, mine=self._mine)
        self._training = sequences(steps, streams, windows, seed)
        self._held_out = sequences(steps, streams, windows, seed + 1)

    def _whole(self, step):
        epoch, place = divmod(step, self.windows_per_epoch)
        return self._training[place]._replace(epoch=epoch)

    def batch(self, step):
        return self._whole(step).of(self._mine)

    def loss_and_gradient(self, batch, step, grads):
        inputs, targets, mask = map(self.backend.put, (batch.inputs, batch.targets, batch.mask))
        key = (self._seed, step) if self.model.config.dropout else None
        counted = int(self._whole(step).mask.sum())
        return self.window.loss_and_gradient(
            inputs, targets, grads, key, mask=mask, symbols=counted
        )

    @property
    def has_validation(self):
        return True

    def evaluate(self, stopped):
        window, right, counted = None, 0, 0
        for batch in self._held_out:
            if stopped():
                return None
            if window is None:
                window = self.model.window(self._steps, batch.inputs.shape[1], backward=False)
            window.start(batch.reset, self.backend)
            top = self.model.forward(window, self.backend.put(batch.inputs))
            logits = self.backend.get(self.model.head.logits(self.weights, top))
            told = logits.argmax(axis=1) == batch.targets
            right += int(told[batch.mask].sum())
            counted += int(batch.mask.sum())
            window.carry()
        return right / counted


def sequences(steps, streams, windows, seed):
    """Return the batches of an epoch."""
    rng = np.random.default_rng(seed)
    shape = (windows * steps, streams)
    inputs = rng.integers(0, 2, shape, dtype=np.uint8)
    targets, mask = np.zeros(shape, np.uint8), np.zeros(shape, bool)
    reset = np.zeros((windows, streams), bool)
    for stream in range(streams):
        window = 0
        while window < windows:
            start, most = window * steps, min(2, windows - window) * steps
            end = start + int(rng.integers(1, most + 1))
            reset[window, stream] = True
            mask[end - 1, stream] = True
            targets[end - 1, stream] = inputs[start:end, stream].sum() % 2
            window = -(-end // steps)
    return [
        Batch(inputs[part], targets[part], 0, reset[k], mask[part])
        for k, part in enumerate(slice(k * steps, (k + 1) * steps) for k in range(windows))
    ]
