"""Influence against PyTorch's autograd and against differences, whatever the chunks."""

from itertools import pairwise

import numpy as np
import pytest
from helpers.exchanged import CASES, name

from charrnn.config import ModelConfig
from charrnn.diagnosis.measures.values import in_float64
from charrnn.model.language import LanguageModel
from charrnn.view.influence import influence
from charrnn.view.passage import Passage

V, H, LENGTH, REACH = 9, 7, 23, 8
TORCH = [case for case in CASES if case.get("gru_reset") != "before" and case["layers"] < 3]


def model_of(case, symbols=V, dtype="float32"):
    config = ModelConfig(hidden=H, dtype=dtype, **case)
    model = LanguageModel.fresh(config, symbols, seed=3)
    flat = model.weights.flat
    flat[...] = np.random.default_rng(5).uniform(-0.7, 0.7, flat.size)
    return model


def text(symbols=V, length=LENGTH):
    return np.random.default_rng(11).integers(0, symbols, length).astype(np.uint8)


def log_odds(torch, logits, target):
    """Return ln(p/(1 - p)) of the target."""
    others = torch.cat((logits[:target], logits[target + 1 :]))
    return logits[target] - torch.logsumexp(others, 0)


def by_torch(model, ids):
    """Return all influences, (T, T), by autograd through torch's own module."""
    torch = pytest.importorskip("torch")
    w = {n: torch.tensor(np.array(a), dtype=torch.float64) for n, a in model.weights.items()}
    config = model.config
    activation = config.cell_options.get("activation")
    options = {"nonlinearity": activation} if activation else {}
    kind = getattr(torch.nn, config.cell.upper())
    D = config.embed or model.V
    module = kind(D, H, config.layers, **options, dtype=torch.float64)
    own = {n.removeprefix("rnn."): a for n, a in w.items() if n.startswith("rnn.")}
    zero = {n: torch.zeros_like(a) for n, a in module.state_dict().items()}
    module.load_state_dict(zero | own)
    table = w.get("embedding.weight", torch.eye(model.V, dtype=torch.float64))
    found = np.zeros((len(ids), len(ids)))
    for t in range(1, len(ids)):
        x = table[ids[:t].astype(int)].detach().requires_grad_()
        top = module(x)[0][-1]
        logits = w["decoder.weight"] @ top + w["decoder.bias"]
        log_odds(torch, logits, int(ids[t])).backward()
        norms = x.grad.norm(dim=1).numpy()[::-1]
        found[t, : len(norms)] = norms
    return found


@pytest.mark.slow
@pytest.mark.parametrize("case", TORCH, ids=name)
def test_it_is_the_gradient_that_autograd_gives(case):
    model, ids = model_of(case), text()
    expected = by_torch(in_float64(model), ids)
    found = influence(model, Passage(ids), REACH, chunk=5)
    assert found == pytest.approx(expected[:, :REACH], rel=1e-9, abs=1e-14)
    assert (found[1:, 0] > 0).any()
    assert not found[0].any()


def z(model, x, target):
    """Return ln(p/(1 - p)) of a symbol after vectors x (T, D) by the model's own forward pass."""
    window = model.stack.workspace(len(x), 1)
    top = model.stack.forward(model.weights, window, x[:, :, None], prefix="rnn.")
    logits = model.head.logits(model.weights, top[-1:])[0, :, 0]
    others = np.delete(logits, target)
    return logits[target] - np.log(np.exp(others - others.max()).sum()) - others.max()


@pytest.mark.parametrize("case", [case for case in CASES if case["layers"] == 2], ids=name)
def test_it_is_the_gradient_that_differences_give(case):
    model, ids, step = in_float64(model_of(case)), text(length=6), 1e-5
    table = model.weights["embedding.weight"] if case["embed"] else np.eye(V)
    x = table[ids[:-1]]
    gradient = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        for sign in (1, -1):
            moved = x.copy()
            moved[at] += sign * step
            gradient[at] += sign * z(model, moved, ids[-1]) / (2 * step)
    expected = np.linalg.norm(gradient, axis=1)[::-1]
    found = influence(model, Passage(ids), REACH)[-1]
    assert found[: len(expected)] == pytest.approx(expected, rel=1e-6)
    assert not found[len(expected) :].any()


@pytest.mark.parametrize("case", [CASES[2], CASES[9]], ids=name)
def test_chunks_do_not_matter(case):
    model, passage = model_of(case), Passage(text(length=30))
    whole = influence(model, passage, 20)
    for chunk in (3, 7, 30):
        assert influence(model, passage, 20, chunk) == pytest.approx(whole, rel=1e-12)
    assert influence(model, passage, 3, 7) == pytest.approx(whole[:, :3], rel=1e-12)


@pytest.mark.parametrize("chunk", [4, 512])
@pytest.mark.parametrize("before", [None, 3])
def test_nothing_crosses_the_start_of_a_part(before, chunk):
    model, ids, begins = model_of({"cell": "lstm", "layers": 2}), text(), (0, 5, 6, 15)
    found = influence(model, Passage(ids, begins, before), REACH, chunk)
    for first, end in pairwise([*begins, len(ids)]):
        alone = influence(model, Passage(ids[first:end], before=before), REACH)
        assert found[first:end] == pytest.approx(alone, rel=1e-9)
    inside = np.arange(len(ids)) - np.repeat(begins, np.diff([*begins, len(ids)]))
    assert ((found > 0) == (np.arange(1, REACH + 1) <= inside[:, None])).all()


@pytest.mark.slow
def test_what_is_read_before_a_part_counts_as_read():
    model, ids = model_of({"cell": "lstm", "layers": 2}), text()
    found = influence(model, Passage(ids, before=3), LENGTH)
    expected = by_torch(in_float64(model), np.append(3, ids))[1:, :LENGTH]
    inside = np.arange(1, LENGTH + 1) <= np.arange(LENGTH)[:, None]
    assert found == pytest.approx(np.where(inside, expected, 0.0), rel=1e-9)


@pytest.mark.slow
def test_a_large_alphabet_gives_the_same():
    model, ids = model_of({"cell": "gru"}, symbols=60), text(symbols=60)
    expected = by_torch(in_float64(model), ids)
    assert influence(model, Passage(ids), REACH) == pytest.approx(expected[:, :REACH], rel=1e-9)


def test_nothing_to_explain_and_weights_that_are_not_finite():
    one = Passage(np.zeros(2, np.uint8))
    assert not influence(model_of({"cell": "lstm"}, symbols=1), one, REACH).any()
    broken = model_of({"cell": "lstm"})
    broken.weights.flat[...] = np.inf
    assert not np.isfinite(influence(broken, one, REACH)[1, 0])
