"""Planted faults are named, with their layer and basis; healthy models are not accused."""

import re
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from charrnn.backend import select
from charrnn.cells.base import Problem
from charrnn.config import ModelConfig, TrainConfig
from charrnn.diagnosis import verdicts
from charrnn.diagnosis.examine import examine
from charrnn.diagnosis.settings import Settings
from charrnn.diagnosis.subjects import Subject, untrained
from charrnn.model.language import LanguageModel
from charrnn.tasks.language import LanguageTask
from charrnn.text import corpus_from_text
from charrnn.train.loop import Loop

WORDS = ["the ", "moon ", "and ", "a river ", "sings ", "of stone, ", "old ", "trees ", "\n"]
PROSE = "".join(WORDS[i] for i in np.random.default_rng(4).integers(0, len(WORDS), 6000))
CORPUS = corpus_from_text(PROSE)
V = len(CORPUS.vocabulary)
PLAN = TrainConfig(batch=8, seq_len=32)
QUICK = Settings(windows=6, anchors=48, targets=96, lyapunov_steps=600, exponents=3)


def model_of(seed=0, **options):
    shape = {"hidden": 24, "init": "uniform"} | options
    return LanguageModel.fresh(ModelConfig(**shape), V, seed)


def found(model, plan=PLAN, *, fresh=True, ids=CORPUS.val, settings=QUICK, **options):
    report = examine(Subject(model, ids, plan, fresh=fresh, **options), settings)
    assert all(each.message and each.remedy for each in report.verdicts)
    return report.verdicts


def codes(*args, **options):
    return [each.code for each in found(*args, **options)]


def scaled(model, factor, name="weight_hh", layer=None):
    for key, array in model.weights.items():
        if name in key and (layer is None or key.endswith(f"_l{layer}")):
            array[...] *= factor
    return model


def test_a_model_with_counted_ngrams_is_examined_as_the_network_alone():
    """Also one that is made from a configuration: its gradients are checked against its loss."""
    fresh = untrained(ModelConfig(hidden=8, grams=900), V, CORPUS.val, "", PLAN, select("numpy"))
    trained = model_of(hidden=8, grams=900)
    trained.counted.fill(trained.weights, CORPUS.train)
    for subject in (fresh, Subject(trained, CORPUS.val, PLAN)):
        report = examine(subject, replace(QUICK, gradcheck=True))
        assert report.gradcheck.passed
        assert report.subject.model.counted is None


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_small_recurrent_weights_vanish_by_theorem(activation):
    model = scaled(model_of(cell="rnn", activation=activation, layers=2), 0.3, layer=1)
    scaled(model, 3.0, layer=0)
    theorem = [each for each in found(model) if each.basis == "theorem"]
    assert [(each.code, each.layer) for each in theorem] == [("vanishing", 1)]
    assert "Pascanu" in theorem[0].source
    assert "init" in theorem[0].remedy


def test_the_theorem_for_a_lower_layer_takes_those_above_into_account():
    """Its gradient goes back through their states, too, and they shrink it less."""
    model = model_of(cell="rnn", layers=2)
    for layer, sigma in ((0, 0.3), (1, 0.9)):
        model.weights[f"rnn.weight_hh_l{layer}"][...] = sigma * np.eye(24)
    lower, top = found(model)[:2]
    assert (lower.layer, lower.basis) == (0, "theorem")
    assert "here and above" in lower.message
    assert "as 0.900^k" in lower.message
    assert "at least as 0.900^k, to 3.4e-02" in top.message
    model.weights["rnn.weight_hh_l1"][...] = 1.5 * np.eye(24)
    assert "theorem" not in [each.basis for each in found(model)]


@pytest.mark.parametrize(("seed", "hidden"), [(0, 24), (1, 64)])
def test_an_orthogonal_matrix_times_three_explodes(seed, hidden):
    model = scaled(model_of(seed, cell="rnn", init="orthogonal", hidden=hidden), 3.0)
    verdict = found(model)[0]
    assert (verdict.code, verdict.layer, verdict.basis) == ("exploding", 0, "measurement")
    assert "clip_norm" in verdict.remedy


def test_a_rectifier_that_overflows_explodes():
    model = scaled(model_of(cell="rnn", init="orthogonal", activation="relu", layers=2), 3.0)
    told = found(model, settings=Settings(**{**vars(QUICK), "lyapunov_steps": 2500}))
    assert told[0].code == "exploding"
    assert "overflows" in told[0].message
    assert "use activation tanh" in told[0].remedy
    assert "broken" not in [each.code for each in told]


def test_a_spectral_radius_above_one_alone_is_no_verdict():
    """Strong recurrence held in check by saturation: ρ > 1 and yet a contraction."""
    model = scaled(model_of(cell="rnn", init="orthogonal"), 1.2)
    model.weights["rnn.bias_ih_l0"][...] = 1.0
    report = examine(Subject(model, CORPUS.val, PLAN, fresh=True), QUICK)
    assert report.recurrent[0].spectral_radius > 1.1
    assert "exploding" not in [each.code for each in report.verdicts]


def test_a_closed_forget_gate_vanishes_by_measurement():
    verdict = found(model_of(forget_bias=-5.0, layers=2))
    assert [(v.code, v.layer, v.basis) for v in verdict] == [
        ("vanishing", 0, "measurement"),
        ("vanishing", 1, "measurement"),
    ]
    assert "forget_bias" in verdict[0].remedy


@pytest.mark.parametrize("seed", [0, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "options",
    [{}, {"layers": 2}, {"hidden": 96}, {"init": "orthogonal"}, {"cell": "gru", "hidden": 48}],
)  # fmt: skip
def test_fresh_models_of_good_form_are_not_accused(seed, options):
    model = model_of(seed, **options)
    accused = codes(model)
    if options.get("cell") != "gru":
        assert accused == []
    assert not {"exploding", "broken", "saturated", "lr-high", "clip-tight"} & set(accused)


@pytest.mark.parametrize(("value", "kind"), [(np.nan, "NaN"), (np.inf, "infinite")])
def test_a_broken_weight_is_named_and_nothing_else_said(value, kind):
    model = model_of(layers=2)
    model.weights["rnn.weight_hh_l1"][3, 4] = value
    (verdict,) = found(model)
    assert (verdict.code, verdict.layer) == ("broken", 1)
    assert verdict.message.startswith("rnn.weight_hh_l1: 1 of ")
    assert kind in verdict.message


def test_a_broken_moment_is_named():
    model = model_of()
    moments = {"m": np.zeros(model.weights.flat.size), "v": np.zeros(model.weights.flat.size)}
    moments["v"][-1] = np.nan
    (verdict,) = found(model, moments=moments)
    assert verdict.code == "broken"
    assert "optimizer.v of decoder.bias" in verdict.message


def test_a_learning_rate_a_thousand_times_too_high():
    verdict = next(
        v for v in found(model_of(), TrainConfig(batch=8, lr=4.0)) if v.code == "lr-high"
    )
    assert "lr" in verdict.remedy
    ratio = float(re.search(r"an update is (\S+) of", verdict.message)[1])
    named = float(re.search(r": (\S+) would bring", verdict.remedy)[1])
    assert named == pytest.approx(4.0 * 1e-3 / ratio, rel=0.5)
    far = next(v for v in found(model_of(), TrainConfig(batch=8, lr=4e6)) if v.code == "lr-high")
    assert float(re.search(r": (\S+) would bring", far.remedy)[1]) == pytest.approx(named, rel=0.6)
    assert "lr-high" not in codes(model_of(), TrainConfig(batch=8, lr=0.004))


def test_a_learning_rate_of_almost_nothing():
    assert codes(model_of(), TrainConfig(batch=8, lr=1e-8)) == ["lr-low"]


def test_a_text_of_one_symbol_is_nothing_to_learn_from():
    one = np.zeros(500, np.uint8)
    model = LanguageModel.fresh(ModelConfig(hidden=8), 1, 0)  # loss and gradient are exactly 0
    report = examine(Subject(model, one, PLAN), QUICK)
    assert report.norms.series == [0.0] * report.norms.windows
    assert report.verdicts == []
    assert "nothing to learn: the text is one symbol over and over" in report.notes
    rate = TrainConfig(batch=8, lr=4.0, clip_norm=1e4)
    of_many = examine(Subject(model_of(), one, rate, fresh=True), QUICK)
    assert of_many.norms.loss > 0
    assert not {"lr-high", "lr-low", "clip-idle"} & {each.code for each in of_many.verdicts}
    assert any(note.startswith("nothing to learn") for note in of_many.notes)


def test_no_remedy_is_another_rate_where_there_is_nothing_to_learn():
    exploding = scaled(model_of(cell="rnn", init="orthogonal"), 3.0)
    saturated = model_of()
    for name, array in saturated.weights.items():
        if "bias_ih" in name:
            array[...] = np.where(np.arange(array.size) % 2, 30.0, -30.0)
    for model, code in ((exploding, "exploding"), (saturated, "saturated")):
        report = examine(Subject(model, CORPUS.val, PLAN, fresh=True), QUICK)
        assert any(v.code == code and "lr" in v.remedy for v in report.verdicts)
        report.subject = replace(report.subject, ids=np.zeros(500, np.uint8))
        assert not any("lr" in each.remedy for each in verdicts.judge(report))


def test_a_gradient_of_exactly_zero_is_nothing_to_learn():
    model = model_of()
    model.weights["decoder.bias"][...] = np.where(np.arange(V) == 3, 1e4, 0.0)
    ids = np.full(500, 3, np.uint8)
    ids[0] = 0  # never a target, so the loss is 0 although the text has two symbols
    report = examine(Subject(model, ids, PLAN), QUICK)
    assert report.norms.loss == 0.0
    assert report.verdicts == []
    assert "nothing to learn: the loss is 0 and the gradient exactly 0" in report.notes
    report.norms.series[0] = 1e-12
    assert report.nothing_to_learn == ""


def test_a_clip_that_leaves_only_the_direction():
    assert codes(model_of(), TrainConfig(batch=8, clip_norm=1e-6)) == ["clip-tight"]
    sgd = TrainConfig(batch=8, clip_norm=1e-6, optimizer="sgd")
    assert codes(model_of(), sgd) == ["clip-tight"]  # the small updates are its doing


def test_a_clip_that_never_acts():
    assert codes(model_of(), TrainConfig(batch=8, clip_norm=1e4)) == ["clip-idle"]
    assert codes(model_of(), TrainConfig(batch=8, clip_norm=0.0)) == []


def test_nothing_is_said_about_a_plan_that_is_not_the_models_own():
    plan = TrainConfig(batch=8, lr=4.0, clip_norm=1e-6)
    assert codes(model_of(), plan, judged=False) == []


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_everything_pushed_to_saturation(cell):
    model = model_of(cell=cell)
    for name, array in model.weights.items():
        if "bias_ih" in name:
            array[...] = np.where(np.arange(array.size) % 2, 30.0, -30.0)
    told = {each.code: each for each in found(model)}
    assert told["saturated"].layer == 0


def test_half_of_the_rectifiers_units_dead():
    model = model_of(cell="rnn", activation="relu", init="orthogonal")
    model.weights["rnn.bias_ih_l0"][:16] = -50.0
    (verdict,) = [each for each in found(model) if each.code == "saturated"]
    assert verdict.remedy == "a lower lr, or activation tanh"


def test_a_cell_without_a_remedy_of_its_own_gets_the_general_one():
    cell = model_of(cell="gru").stack.cell
    assert [cell.remedy(problem) for problem in get_args(Problem)] == [""] * 3
    model = scaled(model_of(cell="gru", hidden=48), 0.0)
    model.weights["rnn.bias_ih_l0"][: 2 * 48] = -30.0
    verdicts = {each.code: each for each in found(model)}
    assert verdicts["vanishing"].remedy == "init orthogonal, or cell lstm"


def trained(corpus, steps, **options):
    shape = {k: options.pop(k) for k in ("cell", "hidden", "layers", "forget_bias") if k in options}
    plan = TrainConfig(**({"steps": steps, "eval_every": 0, "save_every": 0} | options))
    model = LanguageModel.fresh(ModelConfig(**shape), len(corpus.vocabulary), plan.seed)
    loop = Loop(LanguageTask(model, corpus.train, np.empty(0, np.uint8), plan), plan)
    for _ in loop.records():
        pass
    return Subject(model, corpus.val, plan, moments=loop.update.optimizer.moments, step=steps)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"hidden": 48}, {"hidden": 32, "layers": 2, "seed": 1}])
def test_a_trained_lstm_that_uses_its_context_is_healthy(options):
    report = examine(trained(CORPUS, 400, batch=8, **options), QUICK)
    assert report.verdicts == []
    assert report.context.cut.used >= 2
    assert report.norms.loss < 0.6


@pytest.mark.slow
def test_a_copy_out_of_the_windows_reach_leaves_the_context_unused():
    rng = np.random.default_rng(2)
    bits = rng.integers(0, 2, 40_000)
    for i in range(20, len(bits)):
        bits[i] = bits[i - 20] ^ (rng.random() < 0.1)
    corpus = corpus_from_text("".join(map(str, bits)))
    subject = trained(corpus, 400, hidden=24, batch=16, seq_len=8, state="reset")
    report = examine(subject, QUICK)
    assert report.context.cut.used == 0
    assert "context-unused" in [each.code for each in report.verdicts]


def test_all_codes_are_in_the_table_of_thresholds():
    for code in verdicts.CODES:
        assert f"\n{code} " in verdicts.__doc__
