"""Classifiers, transducers and generators are examined as a whole, and judged."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.task_models import LABELS, H, V, classifier, pairs_of, texts_of, transducer

from charrnn.backend import select
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.diagnosis import tasks
from charrnn.diagnosis.examine import examine
from charrnn.diagnosis.measures import lag
from charrnn.diagnosis.settings import Settings
from charrnn.diagnosis.tasks import generate
from charrnn.diagnosis.tasks.base import ExamplesSubject
from charrnn.errors import CorpusError
from charrnn.evaluate.labels import Labeller
from charrnn.model.sequences.generator import Generator
from charrnn.text import corpus_from_text

VOCABULARY = corpus_from_text("abcde\n").vocabulary
QUICK = Settings(windows=2, anchors=8, targets=8, gradcheck=True)


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
