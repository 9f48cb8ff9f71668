"""Lag profiles of classifiers and transducers against central differences, by a naive model."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import reference

from charrnn.backend import select
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.diagnosis import tasks
from charrnn.diagnosis.examine import examine
from charrnn.diagnosis.measures import lag
from charrnn.diagnosis.settings import Settings
from charrnn.diagnosis.tasks import classify, generate, transduce
from charrnn.diagnosis.tasks.base import ExamplesSubject
from charrnn.errors import CorpusError
from charrnn.evaluate.labels import Labeller
from charrnn.model.sequences.classifier import Classifier
from charrnn.model.sequences.generator import Generator
from charrnn.model.transducer.model import Transducer
from charrnn.text import corpus_from_text
from charrnn.text.labelled.examples import Labelled
from charrnn.text.pairs.dataset import Pairs, Side

V, H, LABELS = 6, 4, 3
STEP = 1e-5
VOCABULARY = corpus_from_text("abcde\n").vocabulary
SLOW = pytest.mark.slow
QUICK = Settings(windows=2, anchors=8, targets=8, gradcheck=True)


def classifier(form="lstm", seed=3, dtype="float64", **options):
    config = ModelConfig(
        task="classify", hidden=H, dtype=dtype, **(reference.FORMS[form] | options)
    )
    model = Classifier.fresh(config, V, seed, outputs=LABELS)
    model.weights.flat[...] *= 1.6  # away from the near-linear regime of small weights
    return model


def texts_of(lengths, seed=0):
    rng = np.random.default_rng(seed)
    ids = [rng.integers(0, V, n).astype(np.uint8) for n in lengths]
    labels = rng.integers(0, LABELS, len(lengths)).astype(np.int32)
    return replace(Labelled.unlabelled(ids), labels=labels)


def pairs_of(lengths, symbols, seed=0):
    rng = np.random.default_rng(seed)
    sides = []
    for column in range(2):
        sizes = np.array([each[column] for each in lengths], np.int64)
        ids = rng.integers(0, symbols[column], sizes.sum()).astype(np.uint32)
        sides.append(Side(ids, np.cumsum(sizes) - sizes, sizes))
    return Pairs(*sides)


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


def transducer(form="lstm", seed=4, dtype="float64", **options):
    config = ModelConfig(
        task="transduce", hidden=H, dtype=dtype, **(reference.FORMS[form] | options)
    )
    model = Transducer.fresh(config, V, seed, outputs=5)
    model.weights.flat[...] *= 1.6
    return model


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


def subject_of(model, data, **options):
    return ExamplesSubject(tasks.of(model, data, VOCABULARY), TrainConfig(batch=4), **options)


def test_a_classifier_is_examined_and_what_is_not_defined_is_named():
    model = classifier(dtype="float32", bidirectional=True, pool="last", dropout=0.5)
    report = examine(subject_of(model, texts_of([6, 9, 5, 8, 7, 1, 0])), QUICK)
    told = report.to_json()
    assert (told["examples"], told["chars"]) == (7, 36)
    assert [layer["part"] for layer in told["lag_profile"]["layers"]] == ["", "backwards"]
    assert {gates["part"] for gates in told["gates"]} == {"", "backwards"}
    assert report.gates[0].samples == 36  # padding does not count
    assert {block["part"] for block in told["recurrent"]} == {"", "backwards"}
    assert told["context"]["lengths"][0] == 0
    assert told["context"]["position"] is told["lyapunov"] is None
    assert set(told["not_measured"]) == {"lyapunov", "position"}
    assert told["gradcheck"]["passed"] is True
    assert report.norms.all.grad.mean > 0
    again = examine(subject_of(model, texts_of([6, 9, 5, 8, 7, 1, 0])), QUICK).to_json()
    assert told == again


def test_a_transducer_is_examined_through_both_networks():
    model = transducer(dtype="float32", bidirectional=True)
    pairs = pairs_of([(4, 3), (5, 5), (6, 4), (3, 4), (0, 3), (4, 0)], (V, 5))
    told = examine(subject_of(model, pairs), QUICK).to_json()
    parts = [layer["part"] for layer in told["lag_profile"]["layers"]]
    assert parts == ["decoder", "encoder", "encoder backwards"]
    assert len(told["lag_profile"]["without_attention"]) == 2
    assert {gates["part"] for gates in told["gates"]} == set(parts)
    assert set(told["not_measured"]) == {"lyapunov", "context"}
    assert told["gradcheck"]["passed"] is True
    plain = examine(subject_of(transducer(attention="none"), pairs), QUICK).to_json()
    assert "without_attention" not in plain["lag_profile"]


def test_vanishing_is_found_in_the_direction_that_forgets():
    model = classifier(bidirectional=True, pool="last")
    rows = slice(H, 2 * H)  # the forget gate
    model.weights["rnn.bias_ih_l0_reverse"][rows] = -12.0
    model.weights["rnn.bias_ih_l0"][rows] = 3.0
    report = examine(subject_of(model, texts_of([20] * 12)), QUICK)
    vanished = [v for v in report.verdicts if v.code == "vanishing"]
    assert [(v.layer, v.part) for v in vanished] == [(0, "backwards")]


@pytest.mark.parametrize(("pool", "proved"), [("last", True), ("mean", False), ("max", False)])
def test_where_the_loss_sees_every_state_directly_no_theorem_is_told(pool, proved):
    model = classifier("rnn-tanh", pool=pool)
    for name, array in model.weights.items():
        if "weight_hh" in name:
            array[...] = 0.01 * np.eye(len(array))
    report = examine(subject_of(model, texts_of([20] * 12)), QUICK)
    assert all(block.vanishing_sufficient for block in report.recurrent)
    assert ("theorem" in [v.basis for v in report.verdicts]) is proved


@pytest.mark.parametrize(
    ("attention", "parts"), [("none", {"encoder", "decoder"}), ("dot", {"decoder"})]
)
def test_attention_hands_a_gradient_past_the_theorem(attention, parts):
    model = transducer("rnn-tanh", attention=attention)
    for name, array in model.weights.items():
        if "weight_hh" in name:
            array[...] = 0.01 * np.eye(len(array))
    pairs = pairs_of([(9, 6), (9, 7), (8, 6), (9, 8)] * 3, (V, 5))
    report = examine(subject_of(model, pairs), QUICK)
    assert {v.part for v in report.verdicts if v.basis == "theorem"} == parts


def test_with_all_its_context_a_classifier_reads_its_texts_whole_however_long():
    texts = texts_of([DataConfig.max_length + 200] * 3)
    model = classifier("rnn-tanh", pool="last")
    cut = examine(subject_of(model, texts), replace(QUICK, context=10**6)).context.cut
    batch = texts.padded(np.arange(3), 3)
    log_p = Labeller(model).of_batch(*batch)[texts.labels, np.arange(3)]
    assert cut.lengths[-1] == DataConfig.max_length + 200
    assert cut.loss[-1] == cut.replaced[-1] == pytest.approx(-log_p.mean(), rel=1e-12)


def test_the_context_of_a_classifier_is_counted_from_the_end():
    """A model that looks at its last symbol only uses one."""
    model = classifier("rnn-tanh", pool="last")
    model.weights["rnn.weight_hh_l0"][...] = 0.0
    model.weights.flat[...] *= 4
    texts = texts_of([12] * 40)
    last = np.array([texts.ids[b + 11] for b in texts.begins])
    sure = (
        model.weights["decoder.weight"]
        @ np.tanh(
            model.weights["rnn.weight_ih_l0"][:, last] + model.weights["rnn.bias_ih_l0"][:, None]
        )
        + model.weights["decoder.bias"][:, None]
    )
    texts = replace(texts, labels=sure.argmax(axis=0).astype(np.int32))
    cut = examine(subject_of(model, texts), replace(QUICK, targets=40)).context.cut
    assert cut.loss[1:] == pytest.approx([cut.loss[1]] * len(cut.loss[1:]))
    assert (cut.used, cut.used_99) == (1, 1)


def test_examples_that_are_too_short_are_refused():
    with pytest.raises(CorpusError, match="too short"):
        examine(subject_of(classifier(), texts_of([1, 1, 0])), QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("make", [classifier, transducer])
def test_another_device_gives_the_same_numbers(make, device):
    here = make(layers=2, bidirectional=True)
    data = texts_of([6, 4]) if make is classifier else pairs_of([(4, 3), (5, 5)], (V, 5))
    there = type(here)(here.config, V, select("cupy"), here.weights.flat, outputs=here.outputs)
    mine, theirs = (examine(subject_of(model, data), QUICK).to_json() for model in (here, there))
    for told in (mine, theirs):
        told["gradcheck"] = None  # it compares the devices
    assert mine["lag_profile"] == theirs["lag_profile"]
    assert mine["context"] == theirs["context"]


def test_the_profile_of_a_generator_is_that_of_the_language_model_of_each_label():
    config = ModelConfig(task="generate", hidden=H, layers=2, embed=3, dtype="float64")
    model = Generator.fresh(config, V, 2, outputs=LABELS)
    model.weights.flat[...] *= 1.6
    texts, steps, max_lag = texts_of([6, 9, 7]), np.array([3, 8, 5]), 3
    found, loss = generate.gradient_norms(model, texts, 5, steps, max_lag)
    losses = []
    for n, ids in enumerate(texts.each()):
        given = model.given(int(texts.labels[n]))
        whole = np.append(np.uint8(5), ids)
        at = np.array([steps[n] + 1])
        one, nats = lag.gradient_norms(given, whole, at, context=int(at[0]), max_lag=max_lag)
        losses.append(nats)
        for name, rows in one.items():
            np.testing.assert_allclose(found[name][:, n], rows[:, 0], rtol=1e-9)
    assert loss == pytest.approx(np.mean(losses))
    told = examine(subject_of(model, texts), QUICK).to_json()
    assert set(told["not_measured"]) == {"lyapunov", "context"}
    assert told["gradcheck"]["passed"] is True
