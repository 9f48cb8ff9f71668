"""Tagging as a task: it learns, keeps what it holds out, resumes, and begins from other runs."""

import numpy as np
import pytest
from helpers import reference, teams
from helpers.running import assert_same_run, begin, of, train

import charrnn
from charrnn.backend import select
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.errors import CorpusError, UsageError
from charrnn.evaluate.tags import TagScorer
from charrnn.model.sequences.tagger import Tagger
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import heldout, runs
from charrnn.tasks.tag import TagTask
from charrnn.text.tagged.dataset import tagged_of
from charrnn.train.loop import Loop

SMALL = {"task": "tag", "hidden": 8, "batch": 8, "log_every": 1, "lr": 0.03, "dropout": 0.0}


def pairs_of(count, seed=0, longest=9):
    """Return texts of a, b and c, in which each letter is labelled with the one after it."""
    rng = np.random.default_rng(seed)
    drawn = ["".join(rng.choice(list("abc"), rng.integers(1, longest + 1))) for _ in range(count)]
    return [(text, text[1:].upper() + "E") for text in drawn]


@pytest.fixture
def table(home):
    path = home / "letters.tsv"
    path.write_text("".join(f"{text}\t{labels}\n" for text, labels in pairs_of(120)))
    return str(path)


def loop_of(backend=None, team=None, model=None, **more):
    found = tagged_of(pairs_of(60), DataConfig(format="lines"), 0)
    config = ModelConfig(**{"task": "tag", "hidden": 6, "dtype": "float64"} | (model or {}))
    network = Tagger.fresh(config, len(found.vocabulary), 5, backend, outputs=4)
    plan = TrainConfig(**{"batch": 8, "lr": 0.03, "steps": 12, "log_every": 3} | more)
    return Loop(TagTask(network, found.train, found.val, plan, team), plan, team=team)


def test_it_learns_what_only_both_directions_can_know(table):
    _, records = train(table, **SMALL, bidirectional=True, steps=150, eval_every=50)
    last = of(records, "eval")[-1].to_json()
    assert last["accuracy"] > 0.95
    assert last["macro_f1"] > 0.95
    (start,) = of(records, "start")
    assert (start.examples, start.labels, start.settings["format"]) == (108, 4, "lines")


def test_the_run_keeps_its_held_out_sequences(table):
    session, records = train(table, **SMALL, steps=20, eval_every=10, test_frac=0.1)
    loaded = checkpoints.load(session.folder / runs.BEST)
    assert loaded.labels == ("A", "B", "C", "E")
    assert loaded.data.format == "lines"
    for split in ("val", "test"):
        found = heldout.read_tagged(loaded.path, split, len(loaded.vocabulary), 4)
        assert len(found) == 12
    val = heldout.read_tagged(loaded.path, "val", len(loaded.vocabulary), 4)
    scores = TagScorer(loaded.model()).of(val)
    best = min(of(records, "eval"), key=lambda record: record.val_loss)
    assert scores.nats == pytest.approx(best.val_loss, rel=1e-5)
    assert scores.accuracy == pytest.approx(best.measures["accuracy"])


@pytest.mark.parametrize("stop", [1, 9, 17])
def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(stop, table):
    more = {"steps": 24, "eval_every": 7, "save_every": 5, "bidirectional": True, "dropout": 0.2}
    options = SMALL | more
    whole, _ = train(table, name="whole", **options)
    train(table, name="cut", stop=stop, **options)
    train(resume="cut")
    assert_same_run(whole.folder, runs.HOME / "cut")


def test_a_language_model_or_another_tagger_is_where_it_begins(table, home):
    (home / "t.txt").write_text("abc cab bca " * 40)
    train("t.txt", name="lm", hidden=8, batch=2, seq_len=4, log_every=1, steps=6)
    start = checkpoints.load(runs.HOME / "lm" / runs.BEST).model().weights
    session = begin(table, init_from="lm", task="tag", batch=8, bidirectional=True)
    weights = session.model.weights
    np.testing.assert_array_equal(weights["rnn.weight_hh_l0"], start["rnn.weight_hh_l0"])
    assert weights["decoder.weight"].shape == (4, 16)
    (home / "other.tsv").write_text("abc\tABD\nba\tDA\n" * 30)
    train(table, name="first", **SMALL, steps=6)
    start = checkpoints.load(runs.HOME / "first" / runs.BEST).model().weights
    session = begin("other.tsv", init_from="first")
    np.testing.assert_array_equal(
        session.model.weights["decoder.weight"][:2], start["decoder.weight"][:2]
    )
    assert "2 labels of 3 keep theirs" in session.notes[0]


def test_teams_compute_the_same():
    alone = loop_of(model={"dropout": 0.3})
    list(alone.records())

    def member(team):
        loop = loop_of(team=team, model={"dropout": 0.3})
        list(loop.records())
        return loop.task.weights.flat

    for weights in teams.run(2, member):
        np.testing.assert_allclose(weights, alone.task.weights.flat, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("form", ["lstm", pytest.param("gru-after", marks=pytest.mark.slow)])
def test_training_on_the_device_gives_the_same_bits(form, device):
    model = reference.FORMS[form] | {"bidirectional": True, "dropout": 0.25}
    here, there = (loop_of(each, model=model, eval_every=6) for each in (None, select("cupy")))
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


def test_from_python(tmp_path):
    how = {"task": "tag", "hidden": 16, "batch": 8, "lr": 0.03, "steps": 150, "eval_every": 0}
    model = charrnn.fit(pairs_of(120), bidirectional=True, dropout=0, backend="numpy", **how)
    assert isinstance(model, charrnn.Tagger)
    model.save(tmp_path / "tagger.safetensors")
    again = charrnn.load(tmp_path / "tagger.safetensors", backend="numpy")
    for one in (model, again):
        first, empty = one.predict(["abcab", ""])
        assert "".join(first.tags) == "BCABE"
        assert min(first.p) > 0.5
        assert empty.tags == []
    scores = again.evaluate(pairs_of(30, seed=1))
    assert scores.accuracy > 0.95
    assert scores.tokens == sum(len(text) for text, _ in pairs_of(30, seed=1))
    with pytest.raises(CorpusError, match="unknown"):
        again.evaluate([("ab", "AZ")])
    with pytest.raises(UsageError, match="single ones"):
        again.predict([["ab", "c"]])
    with pytest.raises(UsageError, match="cannot be examined"):
        charrnn.diagnose(again, pairs_of(3))


def test_tokens_from_python():
    pairs = [(["the", "cat"], ["D", "N"]), (["a", "dog", "x"], ["D", "N", "O"])] * 20
    how = {"task": "tag", "hidden": 16, "batch": 8, "lr": 0.03, "steps": 60, "backend": "numpy"}
    model = charrnn.fit(pairs, bidirectional=True, dropout=0, **how)
    assert model.data.format == "columns"
    assert [one.tags for one in model.predict([["the", "dog"], "a cat"])] == [["D", "N"]] * 2
    words = charrnn.fit(pairs, level="word", **how)
    assert words.predict([["the", "dog"]])[0].tags == ["D", "N"]
    for wrong, message in (
        ([("ab", "A")], "2 tokens, but 1 label"),
        ([("ab", 3)], "must be a string or a list"),
        ("ab", "must be a list"),
        ([("a", "A")], "fewer than two labels"),
    ):
        with pytest.raises(charrnn.CharRNNError, match=message):
            charrnn.fit(wrong, **how)
    with pytest.raises(UsageError, match="not bytes"):
        charrnn.fit(pairs, level="byte", **how)
