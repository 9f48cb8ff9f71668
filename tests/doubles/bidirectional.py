"""A bidirectional layer from two layers of the package: a stack takes any layers."""

from charrnn.model.layer import Layer

BACK = "_reverse"


class Bidirectional(Layer):
    """Reads the window in both directions; the output is both hidden states, (T, 2H, N).

    It is a layer that reads forwards, and has another one that reads backwards.
    """

    def __init__(self, cell, inputs, hidden, backend):
        super().__init__(cell, inputs, hidden, backend)
        self.back = Layer(cell, inputs, hidden, backend, reverse=True)
        self.width = 2 * hidden

    @property
    def shapes(self):
        back = {name + BACK: shape for name, shape in self.back.shapes.items()}
        return dict(super().shapes) | back

    def full_name(self, name, index):
        if name.endswith(BACK):
            return self.back.full_name(name.removesuffix(BACK), index)
        return super().full_name(name, index)

    def workspace(self, dtype, T, N):
        ws = super().workspace(dtype, T, N)
        ws.back = self.back.workspace(dtype, T, N)
        ws.states |= {name + BACK: array for name, array in ws.back.states.items()}
        ws.gradients |= {name + BACK: array for name, array in ws.back.gradients.items()}
        ws.both = self.xp.empty((T, self.width, N), dtype)
        return ws

    def stage(self, weights, ws, dense=False):
        back = ws and ws.back
        return super().stage(weights, ws, dense), self.back.stage(_back(weights), back, dense)

    def output(self, ws, steps):
        return ws.both[:steps]

    def forward(self, staged, ws, x, part, resets=None):
        assert resets is None
        super().forward(staged[0], ws, x, part)
        self.back.forward(staged[1], ws.back, x, part)
        ws.both[part, : self.H] = super().output(ws, part.stop)
        ws.both[part, self.H :] = self.back.output(ws.back, part.stop)

    def backward(self, staged, ws, d_out, dx, part, resets=None):
        ws.d_halves = d_out[:, : self.H].copy(), d_out[:, self.H :].copy()
        super().backward(staged[0], ws, ws.d_halves[0], None, part)
        self.back.backward(staged[1], ws.back, ws.d_halves[1], None, part)

    def accumulate(self, staged, ws, x, steps, grads, dx):
        mine = None if dx is None else dx.copy()
        super().accumulate(staged[0], ws, x, steps, grads, dx)
        self.back.accumulate(staged[1], ws.back, x, steps, _back(grads), mine)
        if dx is not None:
            dx += mine


def _back(named):
    return {n.removesuffix(BACK): array for n, array in named.items() if n.endswith(BACK)}
