"""For PyTorch: a state dict in a safetensors file, and the module that it fits.

``torch.nn.GRU`` resets after the product. A GRU that resets before it is a module of its own, whose
parameters have names that ``torch.nn.GRU`` refuses.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from charrnn.exchange.portable import VOCABULARY, Portable
from charrnn.model.network import RNN
from charrnn.storage import container

_MODEL = '''\
class CharRNN(torch.nn.Module):
    """Symbols (steps, batch) and states -> logits (steps, batch, {V}) and states."""

    def __init__(self):
        super().__init__()
{embedding}        self.rnn = {rnn}
        self.decoder = torch.nn.Linear({H}, {V})

    def forward(self, ids, states=None):
        outputs, states = self.rnn({inputs}, states)
        return self.decoder(outputs), states


file = safe_open({path!r}, "pt")
model = CharRNN(){double}
model.load_state_dict({{name: file.get_tensor(name) for name in file.keys()}})
symbols = json.loads(file.metadata()["{vocabulary}"])["symbols"]  # in the order of their ids
'''

_OWN = {
    "GRUBefore": '''\
class GRUBefore(torch.nn.Module):
    """A GRU that resets before the product: n = tanh(W x + b + U (r * h)).

    torch.nn.GRU resets after it: n = tanh(W x + b + r * (U h + b')).
    """

    def __init__(self, inputs, hidden, num_layers):
        super().__init__()
        self.hidden, self.num_layers = hidden, num_layers
        for k in range(num_layers):
            for name, *columns in (("weight_ih", inputs), ("weight_hh", hidden), ("bias_ih",)):
                values = torch.nn.Parameter(torch.zeros(3 * hidden, *columns))
                self.register_parameter(f"{name}_before_l{k}", values)
            inputs = hidden

    def forward(self, x, states=None):
        H, ends = self.hidden, []
        for k in range(self.num_layers):
            names = ("weight_ih", "weight_hh", "bias_ih")
            W, U, b = (getattr(self, f"{name}_before_l{k}") for name in names)
            h = x.new_zeros(x.shape[1], H) if states is None else states[k]
            outputs = []
            for a in x @ W.T + b:
                r, z = torch.sigmoid(a[:, : 2 * H] + h @ U[: 2 * H].T).chunk(2, dim=1)
                n = torch.tanh(a[:, 2 * H :] + (r * h) @ U[2 * H :].T)
                h = (1 - z) * n + z * h
                outputs.append(h)
            x = torch.stack(outputs)
            ends.append(h)
        return x, torch.stack(ends)


'''
}
"""The modules of cells that PyTorch does not have."""


def write(portable: Portable, path: Path) -> str:
    """Write the state dict; return the module that loads it."""
    tensors = dict(portable.weights)
    if not portable.cell.suffix:  # torch.nn.RNN, GRU and LSTM have two biases
        for index, layer in enumerate(portable.layers()):
            tensors[f"{RNN}bias_hh_l{index}"] = layer.bias_hh
    container.write_plain(path, tensors, {"format": "pt", **portable.facts()})
    return module(portable, path)


def module(portable: Portable, path: Path) -> str:
    """Return the Python code of a module that loads the file."""
    config, V, layout = portable.config, len(portable.vocabulary), portable.layouts.torch
    own = _OWN.get(layout.name, "")
    settings = {"num_layers": config.layers, **layout.settings}
    words = [str(config.embed or V), str(config.hidden)]
    words += [f"{name}={value!r}" for name, value in settings.items()]
    made = f"{'' if own else 'torch.nn.'}{layout.name}({', '.join(words)})"
    one_hot = f"torch.nn.functional.one_hot(ids, {V}).to(self.decoder.weight)"
    table = f"        self.embedding = torch.nn.Embedding({V}, {config.embed})\n"
    body = _MODEL.format(
        V=V,
        H=config.hidden,
        rnn=made,
        embedding=table if config.embed else "",
        inputs="self.embedding(ids)" if config.embed else one_hot,
        double=".double()" if np.dtype(config.dtype) == np.float64 else "",
        path=str(path),
        vocabulary=VOCABULARY,
    )
    return f"import json\n\nimport torch\nfrom safetensors import safe_open\n\n\n{own}{body}"
