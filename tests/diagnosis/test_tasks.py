"""Lag profiles of classifiers and transducers against central differences, by a naive model."""

import numpy as np
import pytest
from helpers import reference
from helpers.task_models import H, V, classifier, pairs_of, texts_of, transducer

from charrnn.diagnosis.tasks import classify, transduce

STEP = 1e-5
SLOW = pytest.mark.slow


class Nudged:
    """One layer of a naive network in one direction, whose state of one step can be moved."""

    def __init__(self, options, weights, prefix, layer, suffix, move=None):
        self.equations, gates, self.names = reference.cell_of(options)
        named = {
            name.removesuffix(suffix).removeprefix(prefix): np.asarray(array)
            for name, array in weights.items()
            if name.startswith(prefix) and name.endswith(f"_l{layer}{suffix}")
        }
        self.w = reference.LayerWeights(named, layer, gates)
        self.key, self.move = (prefix, layer, suffix), move

    def run(self, x, state=None):
        """Read x, a list of vectors, in its order; return the outputs and the final states."""
        size = len(self.w.b("h" if len(self.names) == 1 and self._plain else self._gate))
        state = state or [np.zeros(size) for _ in self.names]
        out = []
        for t, step in enumerate(x):
            state = list(self.equations(self.w, step, *state))
            if self.move and self.move[:2] == (self.key, t):
                _, _, name, delta = self.move
                state = self._moved(state, self.names.index(name), delta)
            out.append(state[0])
        return out, state

    @property
    def _plain(self):
        return "h" in self.w._blocks["bias_ih"]

    @property
    def _gate(self):
        return next(iter(self.w._blocks["bias_ih"]))

    def _moved(self, state, index, delta):
        """Move a state; the output of an LSTM follows its c."""
        state = [*state]
        if index:  # h = o tanh(c), so that moving c moves h
            gate = state[0] / np.tanh(state[1])
            state[1] = state[1] + delta
            state[0] = gate * np.tanh(state[1])
        else:
            state[0] = state[0] + delta
        return state


def stacked(config, weights, prefix, x, move, both, initial=None):
    """Return the top outputs of a naive stack, and the final states by full name."""
    options = {"cell": config.cell, **config.cell_options}
    finals = {}
    for layer in range(config.layers):
        outputs = []
        for suffix in ("", "_reverse") if both else ("",):
            one = Nudged(options, weights, prefix, layer, suffix, move)
            start = initial and [initial[f"{n}_l{layer}"] for n in one.names]
            out, state = one.run(x[::-1] if suffix else x, start)
            outputs.append(out[::-1] if suffix else out)
            finals |= {f"{n}_l{layer}{suffix}": s for n, s in zip(one.names, state, strict=True)}
        x = [np.concatenate(parts) for parts in zip(*outputs, strict=True)]
    return x, finals


def label_loss(model, ids, label, move=None):
    """Return ℓ of one text, with the state of one step moved."""
    x = list(np.eye(V)[ids])
    y, _ = stacked(model.config, model.weights, "rnn.", x, move, model.config.bidirectional)
    if model.config.pool == "last":
        v = np.concatenate((y[-1][:H], y[0][H:]))
    else:
        v = np.mean(y, axis=0) if model.config.pool == "mean" else np.max(y, axis=0)
    logits = model.weights["decoder.weight"] @ v + model.weights["decoder.bias"]
    return reference.cross_entropy(logits, label)


def differences(loss, key, t, name):
    """Return the norm of ∂ℓ/∂state by central differences along each unit."""
    gradient = []
    for unit in range(H):
        delta = np.eye(H)[unit] * STEP
        ahead, behind = loss((key, t, name, delta)), loss((key, t, name, -delta))
        gradient.append((ahead - behind) / (2 * STEP))
    return float(np.linalg.norm(gradient))


@pytest.mark.parametrize(
    ("form", "options"),
    [
        pytest.param("lstm", {"pool": "last", "layers": 2}, marks=SLOW),
        ("lstm", {"pool": "last", "bidirectional": True}),
        ("gru-before", {"pool": "max"}),
        pytest.param("gru-after", {"pool": "mean", "bidirectional": True, "layers": 2}, marks=SLOW),
        pytest.param("rnn-tanh", {"bidirectional": True, "layers": 2}, marks=SLOW),
    ],
)
def test_the_profile_of_a_classifier_equals_central_differences(form, options):
    model, texts, max_lag = classifier(form, **options), texts_of([5, 7, 4]), 3
    found, loss = classify.gradient_norms(model, texts, max_lag)
    ids = [texts.ids[b : b + n] for b, n in zip(texts.begins, texts.lengths, strict=True)]
    assert loss == pytest.approx(
        np.mean([label_loss(model, *e) for e in zip(ids, texts.labels, strict=True)])
    )
    states = model.stack.cell.states
    suffixes = ("", "_reverse") if model.config.bidirectional else ("",)
    names = {f"{s}_l{l}{d}" for s in states for l in range(model.config.layers) for d in suffixes}
    assert set(found) == names
    for n, text in enumerate(ids):
        for layer in range(model.config.layers):
            for suffix in suffixes:
                for k in (0, max_lag):
                    t = len(text) - 1 - k  # in its own reading order, each way ends at the end
                    for name in states:
                        near = differences(
                            lambda move, text=text, n=n: label_loss(
                                model, text, texts.labels[n], move
                            ),
                            ("rnn.", layer, suffix),
                            t,
                            name,
                        )
                        exact = found[f"{name}_l{layer}{suffix}"][k, n]
                        assert exact == pytest.approx(near, rel=1e-6, abs=1e-9)


def symbol_loss(model, source, target, step, move=None, alone=None):
    """Return ℓ of one symbol of one target; ``alone`` is the memory without the move, if kept."""
    w, config = model.weights, model.config
    x = list(np.eye(V + 1)[[*source, model.source_end]])
    top, final = stacked(config, w, "rnn.", x, move, config.bidirectional)
    memory = np.array(top) if alone is None else alone
    initial = final
    if config.bidirectional:
        initial = {}
        for name in {n.removesuffix("_reverse") for n in final}:
            both = np.concatenate((final[name], final[name + "_reverse"]))
            made = w[f"bridge.{name}.weight"] @ both + w[f"bridge.{name}.bias"]
            initial[name] = np.tanh(made) if name.startswith("h") else made
    read = [model.end, *target][: step + 1]
    h, _ = stacked(config, w, "target_rnn.", list(np.eye(6)[read]), move, False, initial)
    vector = h[-1]
    if config.attention != "none":
        keys = memory
        if config.attention == "additive":
            query = w["attention.query.weight"] @ vector + w["attention.query.bias"]
            units = np.tanh(query + memory @ w["attention.key.weight"].T)
            scores = units @ w["attention.score.weight"][0]
        else:
            if "attention.key.weight" in w:
                keys = memory @ w["attention.key.weight"].T
            scores = keys @ vector
        alpha = np.exp(scores) / np.exp(scores).sum()
        joined = np.concatenate((alpha @ memory, vector))
        vector = np.tanh(w["attention.combine.weight"] @ joined)
    goal = [*target, model.end][step]
    return reference.cross_entropy(w["decoder.weight"] @ vector + w["decoder.bias"], goal)


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("rnn-tanh", {"attention": "none"}),
        ("gru-after", {"attention": "additive", "bidirectional": True}),
        pytest.param("lstm", {"attention": "dot", "layers": 2}, marks=SLOW),
        pytest.param("lstm", {"attention": "dot", "bidirectional": True}, marks=SLOW),
    ],
)
def test_the_profile_of_a_transducer_equals_central_differences(form, options):
    model, pairs = transducer(form, **options), pairs_of([(4, 3), (2, 5), (6, 2)], (V, 5))
    steps, written, read = np.array([2, 4, 2]), 2, 2
    found = transduce.gradient_norms(model, pairs, steps, written, read)
    attends, states = model.config.attention != "none", model.stack.cell.states
    assert bool(found.alone) is attends
    suffixes = ("", "_reverse") if model.config.bidirectional else ("",)
    losses = []
    for n in range(len(pairs)):
        source, target = pairs.sources.text(n).tolist(), pairs.targets.text(n).tolist()
        losses.append(symbol_loss(model, source, target, steps[n]))
        x = list(np.eye(V + 1)[[*source, model.source_end]])
        kept = stacked(model.config, model.weights, "rnn.", x, None, len(suffixes) == 2)[0]
        kept = np.array(kept)

        def loss(move, alone=None, n=n, source=source, target=target):
            return symbol_loss(model, source, target, steps[n], move, alone)

        def unattended(move, loss=loss, kept=kept):
            return loss(move, kept)

        for layer in range(model.config.layers):
            for name in states:
                full = f"{name}_l{layer}"
                for k in range(written + 1):
                    near = differences(loss, ("target_rnn.", layer, ""), steps[n] - k, name)
                    exact = found.decoder[full][k, n]
                    assert exact == pytest.approx(near, rel=1e-6, abs=1e-9)
                for suffix in suffixes:
                    key = ("rnn.", layer, suffix)
                    for k in range(read + 1):
                        t = len(source) - k
                        near = differences(loss, key, t, name)
                        exact = found.encoder[full + suffix][k, n]
                        assert exact == pytest.approx(near, rel=1e-6, abs=1e-9)
                        if attends:
                            near = differences(unattended, key, t, name)
                            exact = found.alone[full + suffix][k, n]
                            assert exact == pytest.approx(near, rel=1e-6, abs=1e-9)
    assert found.loss == pytest.approx(np.mean(losses))
