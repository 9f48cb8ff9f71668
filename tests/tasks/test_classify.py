"""Classifiers: learnt, measured, interrupted and continued, and begun from other runs."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from helpers import reference, teams
from helpers.running import assert_same_run, begin, of, train

from charrnn.backend import numpy_backend, select
from charrnn.backend.threads import Threads
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.errors import UsageError
from charrnn.evaluate.labels import Labeller, LabelScores
from charrnn.model.sequences.classifier import Classifier
from charrnn.model.sequences.counts import CODES, PRIOR, WEIGHTS
from charrnn.model.sequences.ngrams import NGRAMS
from charrnn.model.sequences.padding import Padding
from charrnn.model.sequences.writer import apart
from charrnn.model.shards import Shards
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import heldout, runs
from charrnn.tasks.classify import ClassifyTask
from charrnn.text.labelled.dataset import table_of
from charrnn.train.divergence import DivergedError
from charrnn.train.loop import Loop
from charrnn.train.opening.request import Request

SMALL = {"task": "classify", "hidden": 8, "batch": 8, "log_every": 1, "lr": 0.03, "dropout": 0.2}


def pairs_of(count, seed=0, longest=9):
    """Return texts of a, b and c whose label is their first letter."""
    rng = np.random.default_rng(seed)
    drawn = ["".join(rng.choice(list("abc"), rng.integers(1, longest + 1))) for _ in range(count)]
    return [(text, text[0].upper()) for text in drawn]


@pytest.fixture
def table(home):
    lines = "".join(f"{label}\t{text}\n" for text, label in pairs_of(120))
    path = home / "letters.tsv"
    path.write_text(lines)
    return str(path)


def loop_of(backend=None, count=60, team=None, model=None, longest=9, **more):
    found = table_of(pairs_of(count, longest=longest), DataConfig(), 0)
    config = ModelConfig(**{"task": "classify", "hidden": 6, "dtype": "float64"} | (model or {}))
    network = Classifier.fresh(config, len(found.vocabulary), 5, backend, outputs=3)
    plan = TrainConfig(**{"batch": 8, "lr": 0.03, "steps": 12, "log_every": 3} | more)
    return Loop(ClassifyTask(network, found.train, found.val, plan, team), plan, team=team)


def test_it_learns_a_label_from_the_beginning_of_a_text(table):
    _, records = train(table, **SMALL, steps=150, eval_every=50)
    last = of(records, "eval")[-1].to_json()
    assert last["accuracy"] > 0.9
    assert last["val_loss"] < 0.4
    (start,) = of(records, "start")
    assert (start.examples, start.labels, start.level) == (108, 3, "char")
    assert start.steps_per_epoch == 14


def test_the_run_keeps_its_held_out_texts_and_labels(table):
    session, records = train(table, **SMALL, steps=20, eval_every=10, test_frac=0.1)
    loaded = checkpoints.load(session.folder / runs.BEST)
    assert loaded.labels == ("A", "B", "C")
    model = loaded.model()
    for split in ("val", "test"):
        texts = heldout.read_labelled(loaded.path, split, len(loaded.vocabulary), 3)
        assert len(texts) == 12
    texts = heldout.read_labelled(loaded.path, "val", len(loaded.vocabulary), 3)
    scores = LabelScores.of(Labeller(model), texts)
    best = min(of(records, "eval"), key=lambda record: record.val_loss)
    assert scores.nats == pytest.approx(best.val_loss, rel=1e-5)
    assert scores.accuracy == pytest.approx(best.measures["accuracy"])


@pytest.mark.parametrize("stop", [1, 9, 17])
def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(stop, table):
    options = SMALL | {"steps": 24, "eval_every": 7, "save_every": 5, "bidirectional": True}
    options |= {"hide_symbols": 0.3, "ngrams": 2, "counts": 0.4, "writer": 5, "dropout": 0.2}
    whole, _ = train(table, name="whole", **options)
    train(table, name="cut", stop=stop, **options)
    train(resume="cut")
    assert_same_run(whole.folder, runs.HOME / "cut")


def test_every_update_hides_other_symbols_the_same_for_all_members_of_a_team():
    plain, noisy = loop_of(longest=30).task, loop_of(longest=30, hide_symbols=0.4).task

    def share_of(step, team):
        return loop_of(longest=30, hide_symbols=0.4, team=team).task.batch(step).inputs

    for step in (0, 3):
        whole, found = plain.batch(step), noisy.batch(step)
        assert (found.inputs != whole.inputs).any()
        for name in ("targets", "lengths"):
            np.testing.assert_array_equal(getattr(found, name), getattr(whole, name))
        again = loop_of(longest=30, hide_symbols=0.4).task.batch(step)
        np.testing.assert_array_equal(again.inputs, found.inputs)
        parts = teams.run(2, partial(share_of, step))
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), found.inputs)


def test_a_writer_learns_from_texts_in_which_nothing_is_replaced():
    plain, noisy = loop_of(longest=30).task, loop_of(longest=30, hide_symbols=0.4).task
    writes = {"writer": 3, "counts": 0.3}
    with_writer = loop_of(longest=30, hide_symbols=0.4, model=writes).task
    for step in (0, 3):
        read, written = apart(with_writer.batch(step).inputs, with_writer.model.V, np)
        np.testing.assert_array_equal(read, noisy.batch(step).inputs)
        np.testing.assert_array_equal(written, plain.batch(step).inputs)


def test_symbols_are_left_out_if_there_is_an_unknown_one():
    pairs = [*pairs_of(60, longest=30), ("az", "A")]
    found = table_of(pairs, DataConfig(min_count=2, val_frac=0.0), 0)
    assert found.train.unknown is not None
    plan = TrainConfig(batch=8, steps=1)
    config = ModelConfig(task="classify", hidden=4)
    model = Classifier.fresh(config, len(found.vocabulary), 5, outputs=3)
    whole, less = (
        ClassifyTask(model, found.train, found.val, replace(plan, hide_symbols=rate)).batch(2)
        for rate in (0.0, 0.4)
    )
    assert less.lengths.sum() < whole.lengths.sum()
    np.testing.assert_array_equal(less.targets, whole.targets)


def test_a_resumed_run_needs_the_same_table(table, home):
    train(table, name="one", **SMALL, steps=4)
    (home / "letters.tsv").write_text("A\tabc\nB\tbca\n" * 20)
    with pytest.raises(Exception, match="not the one that the run was trained on"):
        begin(resume="one", steps=9)


def test_a_language_model_or_another_classifier_is_where_it_begins(table, home):
    (home / "t.txt").write_text("abc cab bca " * 40)
    shape = {"hidden": 8, "batch": 2, "seq_len": 4, "log_every": 1}
    train("t.txt", name="lm", **shape, steps=6)
    start = checkpoints.load(runs.HOME / "lm" / runs.BEST).model().weights
    session = begin(table, init_from="lm", task="classify", batch=8)
    weights = session.model.weights
    np.testing.assert_array_equal(weights["rnn.weight_hh_l0"], start["rnn.weight_hh_l0"])
    np.testing.assert_array_equal(
        weights["rnn.weight_ih_l0"], start["rnn.weight_ih_l0"][:, 1:]
    )  # without the blank
    assert weights["decoder.weight"].shape == (3, 8)
    assert "3 symbols of 3 keep their weights" in session.notes[0]
    (home / "other.tsv").write_text("C\tabc\nD\tbca\n" * 30)
    train(table, name="first", **SMALL, steps=6)
    start = checkpoints.load(runs.HOME / "first" / runs.BEST).model().weights
    session = begin("other.tsv", init_from="first")
    np.testing.assert_array_equal(
        session.model.weights["decoder.weight"][0], start["decoder.weight"][2]
    )
    assert "1 label of 2 keep theirs" in session.notes[0]
    with pytest.raises(UsageError, match="level char"):
        begin(table, init_from="first", level="word")


def test_classifiers_of_characters_have_ngrams_unless_told_otherwise():
    for level, given, expected in (("char", {}, 4), ("word", {}, 0), ("char", {"ngrams": 0}, 0)):
        request = Request(data={"level": level}, model={"task": "classify", **given})
        assert request.fresh_model().ngrams == expected
    assert Request().fresh_model().ngrams == 0


@pytest.mark.parametrize(("level", "longest"), [("char", 4), ("word", 0)])
def test_one_that_begins_as_a_language_model_has_the_ngrams_of_its_level(
    level, longest, table, home
):
    (home / "t.txt").write_text("abc cab bca " * 40)
    train("t.txt", name="lm", hidden=8, batch=2, seq_len=4, steps=2, level=level)
    assert begin(table, init_from="lm", task="classify").model.config.ngrams == longest


def test_ngrams_keep_their_weights_if_symbols_and_labels_are_the_same(table, home):
    train(table, name="first", **SMALL, steps=6, ngrams=2)
    old = checkpoints.load(runs.HOME / "first" / runs.BEST).model().weights[NGRAMS]
    assert old.any()
    same = begin(table, init_from="first").model
    assert same.config.ngrams == 2
    np.testing.assert_array_equal(same.weights[NGRAMS], old)
    (home / "other.tsv").write_text("A\tabc\nB\tbcd\nC\tcba\n" * 30)
    other = begin("other.tsv", init_from="first").model.weights[NGRAMS]
    assert other.shape == old.shape
    assert not other.any()


def test_counts_change_what_is_decided_but_not_what_is_learned(table):
    options = SMALL | {"steps": 12, "eval_every": 6, "optimizer": "adamw", "weight_decay": 0.1}
    (plain, before), (counting, after) = (
        train(table, name=f"c{share}", **options, counts=share) for share in (0.0, 0.5)
    )
    losses = [[record.loss for record in of(records, "step")] for records in (before, after)]
    assert losses[0] == losses[1]
    whole = counting.model.weights
    np.testing.assert_array_equal(whole.trained.flat, plain.model.weights.flat)
    assert of(after, "start")[0].parameters == of(before, "start")[0].parameters
    scored = [[record.val_loss for record in of(records, "eval")] for records in (before, after)]
    assert (np.array(scored[0]) > scored[1]).all()
    kept = checkpoints.load(counting.folder / runs.LAST)
    np.testing.assert_array_equal(kept.model().weights[WEIGHTS], whole[WEIGHTS])
    assert kept.moments["m"].size == whole.trained.flat.size


def test_only_the_texts_that_are_trained_on_are_counted(home):
    some, more = "A\tabab\nB\tbaab\nB\tbb\n", "A\tbbba\n"
    for name, text in (("some", some), ("more", more), ("all", some + more)):
        (home / f"{name}.tsv").write_text(text)
    ways = [
        ("some", {"val_frac": 0.0}),
        ("some", {"val": ["more.tsv"]}),
        ("all", {"val_frac": 0.0}),
    ]
    found = [
        begin(f"{name}.tsv", task="classify", **how).model.weights[CODES] for name, how in ways
    ]
    np.testing.assert_array_equal(found[0], found[1])
    counted = [(codes < 1 << 24).sum() for codes in found]
    assert 5 < counted[0] < counted[2]


def test_texts_that_are_too_many_to_count_are_counted_in_part(table, monkeypatch):
    whole = begin(table, task="classify").model.weights
    monkeypatch.setattr("charrnn.train.recipes.classify.SYMBOLS", 100)
    few = begin(table, task="classify").model.weights
    found = [(weights[CODES] < 1 << 24).sum() for weights in (few, whole)]
    assert 10 < found[0] < found[1]


def test_a_run_that_begins_with_another_counts_its_own_texts(table, home):
    train(table, name="first", **SMALL, steps=2)
    (home / "other.tsv").write_text("A\tabc\nB\tbcd\nC\tcba\n" * 30)
    found = begin("other.tsv", init_from="first").model
    expected = begin("other.tsv", task="classify").model
    for name in (CODES, WEIGHTS, PRIOR):
        np.testing.assert_array_equal(found.weights[name], expected.weights[name])
    (home / "t.txt").write_text("abc cab bca " * 40)
    train("t.txt", name="lm", hidden=8, batch=2, seq_len=4, steps=2)
    begun = begin("other.tsv", init_from="lm", task="classify").model
    np.testing.assert_array_equal(begun.weights[WEIGHTS], expected.weights[WEIGHTS])


def test_gradients_are_watched_by_layer_both_directions_together(table):
    options = SMALL | {"bidirectional": True, "layers": 2, "embed": 3}
    _, records = train(table, **options, steps=2, watch=1, clip_norm=0.0)
    watched = of(records, "watch")
    assert list(watched[0].grad_norms) == ["embedding", "l0", "l1", "decoder", "ngrams"]
    steps = of(records, "step")
    for one, step in zip(watched, steps, strict=True):
        total = np.sqrt(sum(norm**2 for norm in one.grad_norms.values()))
        assert total == pytest.approx(step.grad_norm, rel=1e-5)


def test_a_diverged_run_goes_back(table):
    session = begin(table, **SMALL | {"lr": 1e30}, steps=6, activation="relu", cell="rnn")
    with pytest.raises(DivergedError, match="after 3 rollbacks"):
        list(session.records())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_and_teams_compute_the_same(dtype):
    alone = loop_of(model={"dtype": dtype, "dropout": 0.3})
    list(alone.records())

    def member(team):
        loop = loop_of(team=team, model={"dtype": dtype, "dropout": 0.3})
        list(loop.records())
        return loop.task.weights.flat

    for weights in teams.run(2, member):
        tolerance = (
            {"rtol": 1e-3, "atol": 1e-4} if dtype == "float32" else {"rtol": 1e-8, "atol": 1e-10}
        )
        np.testing.assert_allclose(weights, alone.task.weights.flat, **tolerance)


def test_shards_give_the_gradient_of_one_window(rng, monkeypatch):
    config = ModelConfig(
        task="classify", hidden=6, dtype="float64", bidirectional=True, dropout=0.3, pool="mean"
    )
    model = Classifier.fresh(config, 5, 1, outputs=3)
    ids, labels = rng.integers(0, 5, (7, 6)), rng.integers(0, 3, 6)
    padding = Padding(np.array([7, 1, 3, 0, 5, 2]), 7, model.backend)
    found = []
    for count in (1, 3):
        monkeypatch.setattr("charrnn.model.shards.shards", lambda *_, count=count: count)
        grads = model.weights.like(np.full_like(model.weights.flat, np.nan))
        shards = Shards(model, 7, 6, Threads(model.backend))
        loss = shards.loss_and_gradient(ids, labels, grads, (1, 2), padding=padding, symbols=5)
        found.append((float(loss), grads.flat))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-13)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(
    "form",
    [
        "lstm",
        pytest.param("gru-after", marks=pytest.mark.slow),
        pytest.param("rnn-relu", marks=pytest.mark.slow),
    ],
)
def test_training_on_the_device_gives_the_same_bits(form, device):
    model = reference.FORMS[form] | {"bidirectional": True, "pool": "max", "dropout": 0.25}
    here, there = (
        loop_of(backend, model=model, eval_every=6) for backend in (None, select("cupy"))
    )
    mine, theirs = (
        [
            {k: v for k, v in record.to_json().items() if "second" not in k}
            for record in loop.records()
        ]
        for loop in (here, there)
    )
    assert mine == theirs
    np.testing.assert_array_equal(
        there.backend.get(there.task.weights.flat), here.task.weights.flat
    )


def test_scores_are_those_of_the_definitions():
    found = table_of(pairs_of(40), DataConfig(val_frac=0.0), 0)
    config = ModelConfig(task="classify", hidden=4, dtype="float64")
    model = Classifier.fresh(config, 3, 2, numpy_backend(), outputs=3)
    scores = LabelScores.of(Labeller(model), found.train)
    ids, lengths = found.train.padded(np.arange(40), 40)
    log_p = Labeller(model).of_batch(ids, lengths)
    right, given = found.train.labels, log_p.argmax(axis=0)
    assert scores.accuracy == pytest.approx(np.mean(right == given))
    assert scores.nats == pytest.approx(-log_p[right, np.arange(40)].mean(), rel=1e-12)
    f1 = []
    for label, one in enumerate(scores.labels):
        hits = np.sum((right == label) & (given == label))
        precision = hits / max(1, np.sum(given == label))
        recall = hits / np.sum(right == label)
        f1.append(2 * precision * recall / (precision + recall) if hits else 0.0)
        assert (one.precision, one.recall, one.f1) == pytest.approx((precision, recall, f1[-1]))
        assert one.support == np.sum(right == label)
        for other in range(3):
            assert scores.confusion[label, other] == np.sum((right == label) & (given == other))
    assert scores.macro_f1 == pytest.approx(np.mean(f1))
