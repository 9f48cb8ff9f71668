"""A naive reference: one line a gate, one symbol of one stream at a time, plain NumPy.

It imports nothing from the package, so that it cannot share its mistakes. Weights come as a mapping
of PyTorch's names (``weight_ih_l0``, …; a GRU that resets before the product has ``_before`` in
them) to arrays; sequences are (T, features, N) and states (H, N), as in the package.
"""

import numpy as np


def sigmoid(a):
    return 1.0 / (1.0 + np.exp(-a))


def lstm(w, x, h, c):
    i = sigmoid(w.ih("i") @ x + w.hh("i") @ h + w.b("i"))
    f = sigmoid(w.ih("f") @ x + w.hh("f") @ h + w.b("f"))
    g = np.tanh(w.ih("g") @ x + w.hh("g") @ h + w.b("g"))
    o = sigmoid(w.ih("o") @ x + w.hh("o") @ h + w.b("o"))
    c = f * c + i * g
    return o * np.tanh(c), c


def gru_after(w, x, h):
    r = sigmoid(w.ih("r") @ x + w.b("r") + w.hh("r") @ h + w.b_hh("r"))
    z = sigmoid(w.ih("z") @ x + w.b("z") + w.hh("z") @ h + w.b_hh("z"))
    n = np.tanh(w.ih("n") @ x + w.b("n") + r * (w.hh("n") @ h + w.b_hh("n")))
    return ((1.0 - z) * n + z * h,)


def gru_before(w, x, h):
    r = sigmoid(w.ih("r") @ x + w.b("r") + w.hh("r") @ h)
    z = sigmoid(w.ih("z") @ x + w.b("z") + w.hh("z") @ h)
    n = np.tanh(w.ih("n") @ x + w.b("n") + w.hh("n") @ (r * h))
    return ((1.0 - z) * n + z * h,)


def rnn_tanh(w, x, h):
    return (np.tanh(w.ih("h") @ x + w.hh("h") @ h + w.b("h")),)


def rnn_relu(w, x, h):
    a = w.ih("h") @ x + w.hh("h") @ h + w.b("h")
    return (np.where(a > 0, a, 0.0),)


def peephole(w, x, h, c):
    i = sigmoid(w.ih("i") @ x + w.hh("i") @ h + w.vector("peephole_i") * c + w.b("i"))
    f = sigmoid(w.ih("f") @ x + w.hh("f") @ h + w.vector("peephole_f") * c + w.b("f"))
    g = np.tanh(w.ih("g") @ x + w.hh("g") @ h + w.b("g"))
    c = f * c + i * g
    o = sigmoid(w.ih("o") @ x + w.hh("o") @ h + w.vector("peephole_o") * c + w.b("o"))
    return o * np.tanh(c), c


def min_gru(w, x, h):
    z = sigmoid(w.ih("z") @ x + w.b("z"))
    n = w.ih("n") @ x + w.b("n")
    return ((1.0 - z) * h + z * n,)


CELLS = {
    ("lstm", ""): (lstm, "ifgo", ("h", "c")),
    ("gru", "after"): (gru_after, "rzn", ("h",)),
    ("gru", "before"): (gru_before, "rzn", ("h",)),
    ("rnn", "tanh"): (rnn_tanh, "h", ("h",)),
    ("rnn", "relu"): (rnn_relu, "h", ("h",)),
}
"""(cell, form): its equations, its gates in the order of the weights' blocks, its states."""

OUTSIDE = {
    "peephole": (peephole, "ifgo", ("h", "c")),
    "min_gru": (min_gru, "zn", ("h",)),
}
"""The same of cells that the tests define."""

FORMS = {
    "lstm": {"cell": "lstm"},
    "gru-after": {"cell": "gru", "gru_reset": "after"},
    "gru-before": {"cell": "gru", "gru_reset": "before"},
    "rnn-tanh": {"cell": "rnn", "activation": "tanh"},
    "rnn-relu": {"cell": "rnn", "activation": "relu"},
}
"""Every form of every cell, as options of a configuration."""


def cell_of(options):
    if options["cell"] in OUTSIDE:
        return OUTSIDE[options["cell"]]
    form = {"lstm": "", "gru": options.get("gru_reset"), "rnn": options.get("activation")}
    return CELLS[options["cell"], form[options["cell"]]]


class LayerWeights:
    """One layer's weights, gate by gate."""

    def __init__(self, weights, layer, gates):
        found = {
            kind: weights[name]
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            for name in (f"{kind}_l{layer}", f"{kind}_before_l{layer}")
            if name in weights
        }
        self.vector = lambda name: weights[f"{name}_l{layer}"]
        blocks = {kind: np.split(array, len(gates)) for kind, array in found.items()}
        self._blocks = {
            kind: dict(zip(gates, parts, strict=True)) for kind, parts in blocks.items()
        }

    def ih(self, gate):
        return self._blocks["weight_ih"][gate]

    def hh(self, gate):
        return self._blocks["weight_hh"][gate]

    def b(self, gate):
        return self._blocks["bias_ih"][gate]

    def b_hh(self, gate):
        return self._blocks["bias_hh"][gate]


def stack(options, weights, x, initial=None, masks=None):
    """Return the top's output (T, H, N) and the final states by name (``h_l0``, …).

    ``initial`` maps the same names to (H, N), zero where missing; ``masks`` holds for each layer
    what its output is multiplied by on the way up, (T, H, N).
    """
    equations, gates, names = cell_of(options)
    final = {}
    for layer in range(options.get("layers", 1)):
        w = LayerWeights(weights, layer, gates)
        H = len(w.b(gates[0]))
        T, _, N = x.shape
        out = np.zeros((T, H, N))
        ends = [np.zeros((H, N)) for _ in names]
        for n in range(N):
            start = ((initial or {}).get(f"{name}_l{layer}") for name in names)
            state = [np.zeros(H) if array is None else array[:, n] for array in start]
            for t in range(T):
                state = equations(w, x[t, :, n], *state)
                out[t, :, n] = state[0]
            for end, value in zip(ends, state, strict=True):
                end[:, n] = value
        final |= {f"{name}_l{layer}": end for name, end in zip(names, ends, strict=True)}
        x = out if masks is None else out * masks[layer]
    return x, final


def cross_entropy(logits, target):
    """Return -ln softmax(logits)[target] in nats; written for clarity, not for large logits."""
    return -np.log(np.exp(logits[target]) / np.sum(np.exp(logits)))


def embedded(weights, ids, symbols):
    """Return the inputs of the first layer (T, D, N): embedded symbols, or one-hot vectors."""
    T, N = ids.shape
    table = weights.get("embedding.weight", np.eye(symbols))
    x = np.zeros((T, table.shape[1], N))
    for t in range(T):
        for n in range(N):
            x[t, :, n] = table[ids[t, n]]
    return x


def language_surprisal(options, weights, ids, targets, initial=None, masks=None):
    """Return -ln p(target), (T, N), of the whole character model, and the final states."""
    rnn = {name.removeprefix("rnn."): array for name, array in weights.items()}
    W, b = weights["decoder.weight"], weights["decoder.bias"]
    top, final = stack(options, rnn, embedded(weights, ids, len(b)), initial, masks)
    nats = np.zeros(ids.shape)
    for t, n in np.ndindex(*ids.shape):
        nats[t, n] = cross_entropy(W @ top[t, :, n] + b, targets[t, n])
    return nats, final
