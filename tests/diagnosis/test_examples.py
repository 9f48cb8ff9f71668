"""A model of examples is examined on examples: no context and no window crosses into another."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import inside
from helpers.examples import units_of, words

import charrnn
from charrnn.backend import numpy_backend
from charrnn.config import ModelConfig, TrainConfig
from charrnn.diagnosis import examples
from charrnn.diagnosis.examine import examine
from charrnn.diagnosis.settings import Settings
from charrnn.diagnosis.subjects import Subject
from charrnn.errors import CorpusError
from charrnn.evaluate import example_surprisals
from charrnn.model.language import LanguageModel
from charrnn.tasks.language import LanguageTask
from charrnn.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary("char", ("\n", "a", "b", "c", "d", "e"))
PLAN = TrainConfig(batch=4, seq_len=8)
QUICK = {"windows": 2, "lyapunov_steps": 30}


def model_of(**options):
    config = ModelConfig(**{"hidden": 6, "dtype": "float64"} | options)
    return LanguageModel.fresh(config, len(VOCABULARY), 3, numpy_backend())


def test_an_anchor_has_its_context_in_its_own_example(rng):
    units = units_of(words(rng, 40, 12), VOCABULARY)
    subject = examples.prepared(Subject(model_of(), units, PLAN))
    ages = examples.ages(units)
    assert len(subject.ids) == len(ages) == len(units) + units.count
    assert (subject.ids[ages == 0] == units.start).all()
    np.testing.assert_array_equal(subject.ids[ages > 0], np.asarray(units))
    for context in (2, 5, 9):
        anchors = examples.choose_anchors(units, 30, context, seed=1)
        assert (ages[anchors] >= context).all()
        assert (np.diff(anchors) > 0).all()
        assert (anchors == examples.choose_anchors(units, 30, context, seed=1)).all()
    assert len(examples.choose_anchors(units, 10**6, 2, seed=1)) == (ages >= 2).sum()
    longest = examples.longest_context(units, 30)
    assert (ages >= longest).sum() >= 30 > (ages >= longest + 1).sum()
    with pytest.raises(CorpusError, match="no example has a context of 50 symbols"):
        examples.choose_anchors(units, 30, 50, seed=1)


def test_long_texts_are_cut_after_an_example(rng, monkeypatch):
    monkeypatch.setattr(examples, "MAX_SYMBOLS", 100)
    units = units_of(words(rng, 40, 12), VOCABULARY)
    subject = examples.prepared(Subject(model_of(), units, PLAN))
    assert 88 < len(subject.examples) <= 100
    np.testing.assert_array_equal(
        np.asarray(subject.examples), np.asarray(units)[: len(subject.examples)]
    )


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_measurements_are_those_of_examples(cell, rng):
    texts = ["".join(rng.choice(list("abcde"), 5)) + "\n" for _ in range(60)]
    units, model = units_of(texts, VOCABULARY), model_of(cell=cell)
    settings = Settings(**QUICK, anchors=60, targets=60, context=6, max_lag=5)
    report = examine(Subject(model, units, PLAN), settings)
    last = [nats[-1] for _, nats in example_surprisals(model, units, units.start)]
    assert report.lag.loss == pytest.approx(np.mean(last))  # of the newline, after five symbols
    assert report.context.cut.loss[-1] == pytest.approx(np.mean(last))
    assert report.to_json()["chars"] == 360
    task = LanguageTask(model, units, units, PLAN)
    norms, losses = [], []
    for step in range(3):
        batch = task.batch(step)
        task.window.start(batch.reset, task.backend)
        grads = model.weights.like(np.zeros_like(model.weights.flat))
        losses.append(float(task.loss_and_gradient(batch, step, grads)))
        norms.append(float(np.linalg.norm(grads.flat)))
        task.window.carry()
    np.testing.assert_allclose(report.norms.series, norms[1:])
    assert report.norms.loss == pytest.approx(np.mean(losses[1:]))
    assert report.norms.loss_change < 0
    assert np.isfinite(report.context.position.carried).all()
    assert report.gates[0].samples == 2 * 8 * 4


def test_short_examples_lower_the_lags(rng):
    units = units_of(words(rng, 80, 5), VOCABULARY)
    report = examine(Subject(model_of(), units, PLAN), Settings(**QUICK))
    assert any(note.startswith("examples are short: lags up to ") for note in report.notes)
    assert report.lag.context <= 5


def test_a_run_of_examples_is_diagnosed_on_examples(home, cache_folder, rng):
    Path("names.txt").write_text("".join(words(rng, 200, 9)))
    small = ("--hidden", "6", "--batch", "4", "--seq-len", "8", "--backend", "numpy", "--quiet")
    trained = ("train", "names.txt", "--examples", "line", "--steps", "3", "--name", "r", *small)
    assert inside(*trained).returncode == 0
    quick = (
        "--windows",
        "2",
        "--lyapunov-steps",
        "20",
        "--anchors",
        "9",
        "--targets",
        "9",
        "--json",
    )
    own = json.loads(inside("diagnose", "r", *quick).stdout)
    held = json.loads(inside("eval", "--split", "val", "--json").stdout)
    assert own["chars"] == held["chars"]
    ids = np.load("checkpoints/r/val.npy")
    text = charrnn.load("r").vocabulary.decode(ids)
    Path("val.txt").write_text(text)
    given = json.loads(inside("diagnose", "r", "--corpus", "val.txt", *quick).stdout)
    in_python = charrnn.diagnose(
        "r", text, windows=2, lyapunov_steps=20, anchors=9, targets=9, backend="numpy"
    ).to_json()
    for name in ("chars", "global", "lag_profile", "context"):
        assert given[name] == own[name]
    assert in_python["chars"] == own["chars"]
    skipped = inside("diagnose", "r", "--corpus", "names.txt", "--unknown", "skip", *quick)
    assert skipped.returncode == 0
