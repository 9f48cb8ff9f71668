"""PyTorch, with the same weights, computes the same losses and gradients, in float64."""

import numpy as np
import pytest
from helpers import reference

from charrnn.config import ModelConfig
from charrnn.model.language import LanguageModel
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage.checkpoint import Checkpoint
from charrnn.text import Vocabulary

torch = pytest.importorskip("torch")

TORCH_FORMS = ["lstm", "gru-after", "rnn-tanh", "rnn-relu"]
V, T, N, H = 7, 6, 3, 5
VOCABULARY = Vocabulary("char", tuple("abcdefg"))


class Peer(torch.nn.Module):
    """The same architecture of PyTorch's own modules."""

    def __init__(self, config):
        super().__init__()
        kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[config.cell]
        activation = config.cell_options.get("activation")
        extra = {"nonlinearity": activation} if activation else {}
        if config.embed:
            self.embedding = torch.nn.Embedding(V, config.embed)
        self.rnn = kind(config.embed or V, config.hidden, config.layers, **extra)
        self.decoder = torch.nn.Linear(config.hidden, V)
        self.double()

    def forward(self, ids, states):
        ids = torch.as_tensor(ids, dtype=torch.int64)
        one_hot = torch.nn.functional.one_hot(ids, V).double()
        x = self.embedding(ids) if hasattr(self, "embedding") else one_hot
        out, _ = self.rnn(x, states)
        return self.decoder(out)

    def loss(self, ids, targets, states=None):
        logits = self(ids, states)
        goals = torch.as_tensor(targets, dtype=torch.int64)
        return torch.nn.functional.cross_entropy(logits.reshape(-1, V), goals.reshape(-1))


def states_of(initial, layers):
    """Return named states (H, N) in the form that PyTorch's modules take."""
    stacked = [
        torch.tensor(np.stack([initial[f"{name}_l{layer}"].T for layer in range(layers)]))
        for name in "hc"
        if f"{name}_l0" in initial
    ]
    for state in stacked:
        state.requires_grad_()
    return stacked, tuple(stacked) if len(stacked) == 2 else stacked[0]


def filled(config, rng):
    model = LanguageModel.fresh(config, V, seed=12)
    model.weights.flat[...] += 0.3 * rng.standard_normal(model.weights.flat.size)
    return model


def state_dict(model):
    """Return weights under PyTorch's names, with a second bias of zeros if ours has only one."""
    found = {name: torch.tensor(array) for name, array in model.weights.items()}
    for name in list(found):
        second = name.replace("bias_ih", "bias_hh")
        if second not in found:
            found[second] = torch.zeros_like(found[name])
    return found


@pytest.mark.parametrize("form", TORCH_FORMS)
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("embed", [0, 4])
def test_loss_and_gradients_equal(form, layers, embed, rng):
    options = {"hidden": H, "layers": layers, "embed": embed, "dtype": "float64"}
    model = filled(ModelConfig(**options, **reference.FORMS[form]), rng)
    ids, targets = rng.integers(0, V, (2, T, N))
    window = model.window(T, N)
    initial = {name: rng.standard_normal((H, N)) for name, _ in window.states()}
    for name, sequence in window.states():
        sequence[0] = initial[name]
    grads = model.weights.like(np.full_like(model.weights.flat, np.nan))
    loss = float(model.loss_and_gradient(window, ids, targets, grads))
    peer = Peer(model.config)
    peer.load_state_dict(state_dict(model), strict=True)
    leaves, states = states_of(initial, layers)
    theirs = peer.loss(ids, targets, states)
    theirs.backward()
    assert loss == pytest.approx(theirs.item(), abs=1e-10)
    gradients = {name: p.grad.numpy() for name, p in peer.named_parameters()}
    for name, mine in grads.items():
        assert_close(mine, gradients[name], name)
    mine = window.state_gradients
    for name, leaf in zip("hc"[: len(leaves)], leaves, strict=True):
        for layer in range(layers):
            assert_close(mine[f"{name}_l{layer}"], leaf.grad[layer].numpy().T, f"{name}_l{layer}")


def assert_close(mine, theirs, name):
    assert mine.shape == theirs.shape, name
    assert np.abs(theirs).max() > 1e-8, f"{name} tells nothing"
    assert np.abs(mine - theirs).max() <= 1e-8 * np.abs(theirs).max(), name


@pytest.mark.parametrize("form", TORCH_FORMS)
@pytest.mark.parametrize("embed", [0, 4])
def test_modules_load_a_checkpoint_by_name(form, embed, rng, tmp_path):
    from safetensors.torch import load_file

    options = {"hidden": H, "layers": 2, "embed": embed, "dtype": "float64"}
    model = filled(ModelConfig(**options, **reference.FORMS[form]), rng)
    path = tmp_path / "model.safetensors"
    moments = {"m": np.ones(model.weights.flat.size)}
    states = {"h_l0": np.ones((H, N))}
    checkpoints.save(
        path,
        Checkpoint(
            model.config, VOCABULARY, model.weights.flat.copy(), moments=moments, states=states
        ),
    )
    tensors = load_file(path)
    peer = Peer(model.config)
    for prefix in ("embedding.", "rnn.", "decoder."):
        part = {n.removeprefix(prefix): a for n, a in tensors.items() if n.startswith(prefix)}
        if prefix == "embedding." and not embed:
            assert not part
        else:
            getattr(peer, prefix[:-1]).load_state_dict(part, strict=True)
    ids, targets = rng.integers(0, V, (2, T, N))
    nats = model.surprisal(model.window(T, N, backward=False), ids, targets)
    assert peer.loss(ids, targets).item() == pytest.approx(nats.mean(), abs=1e-10)


def test_a_gru_that_resets_before_the_product_is_refused(rng, tmp_path):
    from safetensors.torch import load_file

    options = {"hidden": H, "embed": 4, "dtype": "float64"} | reference.FORMS["gru-before"]
    model = filled(ModelConfig(**options), rng)
    path = tmp_path / "model.safetensors"
    checkpoints.save(path, Checkpoint(model.config, VOCABULARY, model.weights.flat))
    part = {n.removeprefix("rnn."): a for n, a in load_file(path).items() if n.startswith("rnn.")}
    assert part
    gru = torch.nn.GRU(4, H).double()
    with pytest.raises(RuntimeError, match="Missing key"):
        gru.load_state_dict(part, strict=True)
    found = gru.load_state_dict(part, strict=False)
    assert set(found.missing_keys) == set(gru.state_dict())


def test_evaluation_in_single_precision_is_near(rng):
    model = filled(ModelConfig(hidden=64, layers=2, embed=16), rng)
    peer = Peer(model.config).float()
    peer.load_state_dict(state_dict(model), strict=True)
    ids = rng.integers(0, V, (400, 1))
    nats = model.surprisal(model.window(399, 1, backward=False), ids[:-1], ids[1:])
    logits = peer.decoder(peer.rnn(peer.embedding(torch.tensor(ids[:-1])))[0])
    theirs = torch.nn.functional.cross_entropy(logits[:, 0], torch.tensor(ids[1:, 0]))
    assert nats.mean(dtype=np.float64) == pytest.approx(theirs.item(), abs=1e-6)
