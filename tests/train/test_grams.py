"""Training with counted n-grams beside the network (``--grams``)."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.commands import charrnn as command
from helpers.running import OFTEN, SMALL, TEXT, assert_same_run, begin, of, train

import charrnn
from charrnn.config import ModelConfig
from charrnn.errors import UsageError
from charrnn.model.language import LanguageModel
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs
from charrnn.tasks.shards.part import Part
from charrnn.train import recipes

GRAMS = 500


@pytest.fixture
def text(home):
    (home / "text.txt").write_text(TEXT)
    return "text.txt"


def best(session):
    return checkpoints.load(session.folder / runs.BEST)


def test_they_lower_the_loss_and_leave_the_network_as_it_is(text):
    plain, losses = train(text, name="plain", **SMALL)
    both, mixed = train(text, name="both", grams=GRAMS, **SMALL)
    alone = both.model.alone()
    np.testing.assert_array_equal(alone.weights.flat, plain.model.weights.flat)
    assert [step.loss for step in of(losses, "step")] == [s.loss for s in of(mixed, "step")]
    (end,), (other) = of(losses, "end"), of(mixed, "end")[0]
    assert other.val_loss < end.val_loss - 0.2
    assert other.train_loss == end.train_loss  # of the network: the n-grams are of this very text
    assert best(both).parameters == best(plain).parameters


def test_a_resumed_run_is_the_same_and_counts_nothing_again(text, monkeypatch):
    options = SMALL | OFTEN | {"grams": GRAMS}
    whole, _ = train(text, name="whole", **options)
    first, _ = train(text, name="parts", stop=13, **options)

    def refused(*args):
        raise AssertionError("counted again")

    monkeypatch.setattr("charrnn.model.counted.counting.table", refused)
    train(resume=str(first.folder))
    assert_same_run(whole.folder, first.folder)


def test_a_run_from_the_weights_of_another_keeps_its_ngrams_beside_its_own(text, home):
    first, _ = train(text, name="first", grams=GRAMS, **SMALL)
    (home / "other.txt").write_text("quick brown foxes jump over lazy dogs " * 20)
    tuned = begin("other.txt", init_from="first", name="tuned", steps=1)
    size = len(tuned.corpus.train)
    assert tuned.model.config.grams == GRAMS + 2 * size
    assert "its n-grams are kept beside those of this text" in " ".join(tuned.notes)
    fresh = begin("other.txt", name="fresh", grams=2 * size, **SMALL)
    numbers = {}
    for session in (tuned, fresh, first):
        symbols = session.corpus.vocabulary.symbols
        numbers[session] = np.array([tuned.corpus.vocabulary.symbols.index(s)
            if s in tuned.corpus.vocabulary.symbols else -1 for s in symbols])  # fmt: skip
    tables = [s.model.counted.known(s.model.weights, ids) for s, ids in numbers.items()]
    both, this, other = (set(table.keys.tolist()) for table in tables)
    assert both == this | other
    assert other - this
    assert this - other
    given = begin("other.txt", init_from="first", name="given", steps=1, grams=60)
    assert given.model.weights["counts.symbol"].shape == (60,)
    without = begin("other.txt", init_from="first", name="without", steps=1, grams=0)
    assert without.model.counted is None
    assert "n-grams" not in " ".join(without.notes)


def test_after_fine_tuning_a_model_still_knows_what_only_the_first_text_said(home):
    """Its network has not had the time to forget it."""
    (home / "long.txt").write_text(TEXT)
    (home / "short.txt").write_text("the moon is a stone\n" * 12)
    train("long.txt", name="first", grams=4000, **SMALL)
    losses = {}
    for grams in ({}, {"grams": 0}):
        tuned, _ = train("short.txt", init_from="first", name=f"{len(grams)}", steps=2, **grams)
        model = charrnn.load(tuned.folder)
        known = "".join(c for c in TEXT[:300] if c in model.vocabulary.symbols)
        losses[len(grams)] = model.evaluate(known).nats_per_char
    assert losses[0] < losses[1] - 0.2


def test_a_plan_counts_unless_it_is_told_not_to(text):
    planned = begin(text, name="planned", hidden=6, dropout=0.0)
    assert planned.model.config.grams == 2 * len(planned.corpus.train)
    assert planned.model.counted
    assert begin(text, name="none", hidden=6, grams=0).model.counted is None
    assert begin(text, name="steps", hidden=6, steps=3).model.counted is None
    assert charrnn.fit(TEXT, hidden=4, epochs=1, plan="auto").network.counted
    assert charrnn.fit(TEXT, hidden=4, steps=2, grams=99).evaluate(TEXT).nats_per_char > 0


def test_examples_are_counted_too(home):
    lines = [f"{a} {b}" for a in ("red", "blue", "green") for b in ("moon", "tree", "sun")] * 5
    (home / "lines.txt").write_text("\n".join(lines) + "\n")
    how = SMALL | {"examples": "line", "lr": 1e-4}
    losses = [
        of(train("lines.txt", name=f"run{grams}", grams=grams, **how)[1], "end")[0].val_loss
        for grams in (0, GRAMS)
    ]
    assert losses[1] < losses[0] - 0.3


def test_texts_that_are_divided_among_ranks_are_not_counted(text):
    ids = np.arange(6) % 3
    part = Part(ids, np.arange(3), [6], 0)
    model = LanguageModel.fresh(ModelConfig(hidden=2, grams=9), 3, 0)
    with pytest.raises(UsageError, match="grams counts one text, but shard_files divides it"):
        recipes.of("lm").counted(model, SimpleNamespace(train=part))


def test_other_tasks_have_none(text):
    with pytest.raises(UsageError, match="grams only applies to task lm"):
        begin(text, task="classify", grams=5)


def test_what_is_written_and_said(text):
    told = command("train", text, "--grams", "500", "--hidden", "6", "--steps", "40", "--name", "a")
    assert " of the network alone, validation loss " in told.stderr
    assert json.loads(command("info", "a", "--json").stdout)["grams"] == 500
    assert re.search(r"^grams +500$", command("info", "a").stdout, re.MULTILINE)
    command("train", text, "--hidden", "6", "--steps", "2", "--name", "b")
    assert "grams" not in command("info", "b").stdout
    made = command("export", "a", "--to", "torch", "--out", "a.safetensors")
    assert "counted n-grams are left out" in made.stderr
    assert Path("a.safetensors").stat().st_size < 20_000
