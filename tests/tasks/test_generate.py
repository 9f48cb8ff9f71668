"""Generators: learnt, measured, interrupted and continued, and begun from other runs."""

from math import exp, log

import numpy as np
import pytest
from helpers import reference, teams
from helpers.running import assert_same_run, begin, of, train

import charrnn as package
from charrnn.backend import select
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.errors import CorpusError, UsageError
from charrnn.evaluate import score_lines
from charrnn.evaluate.generated import TextScores
from charrnn.model.sequences.generator import LABELS, Generator
from charrnn.model.sequences.padding import Padding
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import heldout, runs
from charrnn.storage.given import given
from charrnn.tasks.generate import GenerateTask
from charrnn.text import builtin
from charrnn.text.labelled.batches import SimilarLengths
from charrnn.text.labelled.dataset import read_more, read_table, table_of
from charrnn.text.layout import DOCUMENTS, END
from charrnn.train.loop import Loop
from charrnn.train.recipes import of as recipe_of

SMALL = {"task": "generate", "hidden": 10, "batch": 8, "log_every": 1, "lr": 0.03, "dropout": 0.0}
TEXTS = DataConfig(examples="document")


def pairs_of(count, seed=0, longest=6):
    """Return texts of one letter each, which is the label's."""
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, 3, count).tolist()
    return [("abc"[k] * int(rng.integers(1, longest + 1)), "ABC"[k]) for k in drawn]


@pytest.fixture
def table(home):
    (home / "letters.tsv").write_text("".join(f"{l}\t{t}\n" for t, l in pairs_of(120)))
    return "letters.tsv"


def loop_of(backend=None, team=None, model=None, **more):
    found = table_of(pairs_of(60), TEXTS, 0)
    config = ModelConfig(**{"task": "generate", "hidden": 6, "dtype": "float64"} | (model or {}))
    network = Generator.fresh(config, len(found.vocabulary), 5, backend, outputs=3)
    plan = TrainConfig(**{"batch": 8, "lr": 0.03, "steps": 12, "log_every": 3} | more)
    start = DOCUMENTS.start(found.vocabulary)
    task = GenerateTask(network, found.train, found.val, plan, team, start=start)
    return Loop(task, plan, team=team)


def test_it_learns_the_texts_of_each_label_nearly_to_their_entropy(table):
    session, records = train(table, **SMALL, steps=200, eval_every=50)
    (start,) = of(records, "start")
    assert (start.examples, start.labels, start.level) == (108, 3, "char")
    best = min(record.val_loss for record in of(records, "eval"))
    entropy = log(6) / 4.5  # of a length from 1 to 6; a text has 3.5 letters and an end
    assert best < entropy + 0.15  # without the label it would be ln 3 / 4.5 more
    loaded = checkpoints.load(session.folder / runs.BEST)
    assert loaded.labels == ("A", "B", "C")
    vocabulary = loaded.vocabulary
    for label, letter in zip("ABC", "abc", strict=True):
        alone = given(loaded, label)
        ids = vocabulary.encode(END)
        window = alone.model().window(1, 1, backward=False)
        (nats,) = alone.language_model().surprisal(
            window, ids[:, None], vocabulary.encode(letter)[:, None]
        )
        assert exp(-nats[0]) > 0.75


def test_a_text_ends_with_a_symbol_that_is_scored_unless_it_was_cut():
    data = DataConfig(examples="document", max_length=4, val_frac=0.0)
    pairs = [("ab", "x"), ("abab", "y"), ("ababa", "x"), ("", "y")]
    found = table_of(pairs, data)
    texts = [found.vocabulary.decode(ids) for ids in found.train.each()]
    assert texts == ["ab" + END, "abab" + END, "abab"]
    assert found.notes == ("cut 1 text after 4 symbols", "left out 1 empty text")
    with pytest.raises(CorpusError, match=r"pair 0 holds the control character U\+0003"):
        table_of([("a" + END + "b", "x"), ("b", "y")], data)
    with pytest.raises(UsageError, match="min_count 5 folds the end of a text, too"):
        table_of([("aaaaaa", "x"), ("aa", "y")], data.changed(min_count=5))


@pytest.mark.parametrize("level", ["byte", "word"])
def test_texts_end_at_every_level(level):
    data = DataConfig(level=level, examples="document", val_frac=0.0)
    found = table_of([("to be, or", "x"), ("né", "y")], data)
    end = found.vocabulary.encode(found.vocabulary.text(END))
    assert len(end) == 1
    assert all(ids[-1] == end[0] for ids in found.train.each())
    assert found.train.lengths.tolist() == [
        {"byte": 10, "word": 7}[level],
        {"byte": 4, "word": 2}[level],
    ]


def test_a_line_with_the_end_inside_is_named_or_passed_over(home):
    (home / "t.tsv").write_text(f"x\tab\ny\ta{END}b\ny\tba\n")
    data = DataConfig(examples="document", sources=("t.tsv",), val_frac=0.0)
    with pytest.raises(CorpusError, match=r"t\.tsv line 2 holds the control character U\+0003"):
        read_table(data)
    found = read_table(data.changed(errors="skip"))
    assert len(found.train) == 2
    assert found.notes == ("passed over 1 line that are not examples",)
    (home / "more.tsv").write_text("x\taqb\ny\tb\n")
    more = read_more(["more.tsv"], data, found.vocabulary, found.labels)
    assert (more.left_out, more.texts.lengths.tolist()) == (1, [3, 2])


def test_scores_are_those_of_the_language_model_of_each_label():
    found = table_of(pairs_of(40), TEXTS.changed(val_frac=0.0), 0)
    config = ModelConfig(task="generate", hidden=4, dtype="float64")
    model, vocabulary = Generator.fresh(config, 4, 2, outputs=3), found.vocabulary
    start = DOCUMENTS.start(vocabulary)
    scores = TextScores.of(model, found.train, vocabulary, found.labels, start)
    total = 0.0
    for label, name in enumerate(found.labels):
        mine = found.train.of(np.flatnonzero(found.train.labels == label))
        lines = [(vocabulary.decode(ids), ids) for ids in mine.each()]
        alone = sum(one.score.nats for one in score_lines(model.given(label), lines, start=start))
        examples, score = scores.labels[name]
        assert (examples, score.chars, score.bytes) == (len(mine), mine.symbols, mine.symbols)
        assert score.nats == pytest.approx(alone, rel=1e-12)
        total += alone
    assert scores.nats_per_char == pytest.approx(total / found.train.symbols, rel=1e-12)
    record = scores.to_json()
    assert record["nats"] == pytest.approx(total)
    assert sum(one["examples"] for one in record["labels"].values()) == record["examples"] == 40


def test_each_symbol_counts_alike_whatever_the_length_of_its_text():
    found = table_of(pairs_of(61, longest=12), TEXTS.changed(val_frac=0.0), 0)
    config = ModelConfig(task="generate", hidden=4, dtype="float64")
    model, start = Generator.fresh(config, 4, 2, outputs=3), DOCUMENTS.start(found.vocabulary)
    plan = TrainConfig(batch=8)
    task = GenerateTask(model, found.train, found.train.of(np.arange(0)), plan, start=start)
    total, losses = np.zeros(model.weights.flat.size), 0.0
    for step in range(task.windows_per_epoch):
        batch = task.batch(step)
        grads = model.weights.like(np.empty_like(model.weights.flat))
        losses += float(task.loss_and_gradient(batch, step, grads)) * batch.symbols
        total += grads.flat
    whole = SimilarLengths(found.train.lengths, 61, None).at(0).numbers
    targets, lengths = found.train.padded(whole, 61)
    ids = model.inputs(targets, found.train.labels_of(whole, 61), start)
    expected = model.weights.like(np.empty_like(model.weights.flat))
    padding = Padding(lengths, len(ids), model.backend)
    window = model.window(*ids.shape)
    loss = model.loss_and_gradient(window, ids, targets, expected, padding=padding)
    assert losses / found.train.symbols == pytest.approx(float(loss), rel=1e-12)
    scale = round(task.symbols_per_batch) / found.train.symbols
    np.testing.assert_allclose(total * scale, expected.flat, rtol=1e-9, atol=1e-12)


def test_the_run_keeps_its_held_out_texts_and_labels(table):
    session, records = train(table, **SMALL, steps=20, eval_every=10, test_frac=0.1)
    loaded = checkpoints.load(session.folder / runs.BEST)
    symbols = len(loaded.vocabulary)
    assert len(heldout.read_labelled(loaded.path, "test", symbols, 3)) == 12
    texts = heldout.read_labelled(loaded.path, "val", symbols, 3)
    start = DOCUMENTS.start(loaded.vocabulary)
    scores = TextScores.of(loaded.model(), texts, loaded.vocabulary, loaded.labels, start)
    best = min(record.val_loss for record in of(records, "eval"))
    assert scores.nats_per_char == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize("stop", [17])
def test_a_run_that_was_interrupted_ends_as_if_it_had_not_been(stop, table):
    more = {"steps": 24, "eval_every": 7, "save_every": 5, "embed": 3, "layers": 2}
    options = SMALL | more | {"dropout": 0.3}
    whole, _ = train(table, name="whole", **options)
    train(table, name="cut", stop=stop, **options)
    train(resume="cut")
    assert_same_run(whole.folder, runs.HOME / "cut")


def test_short_samples_are_of_several_labels(table):
    _, records = train(table, **SMALL, steps=2, sample_every=2)
    (sample,) = of(records, "sample")
    assert [line.partition("\t")[0] for line in sample.text.split("\n")] == ["C", "A", "B"]
    assert END not in sample.text


@pytest.mark.parametrize("embed", [0, 4])
def test_a_language_model_a_classifier_or_another_generator_is_where_it_begins(embed, table, home):
    (home / "t.txt").write_text("abc\ncab\nbca\nd\n" * 40)
    shape = {"hidden": 10, "embed": embed, "steps": 4}
    small = {k: v for k, v in SMALL.items() if k != "task"} | shape
    train("t.txt", name="lm", **small | {"seq_len": 4})
    train(table, name="labels", **small | {"task": "classify"})
    train(table, name="first", **SMALL | shape)
    first = "rnn.weight_ih_l0"
    for name in ("lm", "labels", "first"):
        start = checkpoints.load(runs.HOME / name / runs.BEST)
        old, session = start.model().weights, begin(table, init_from=name, task="generate")
        new, symbols = session.model.weights, session.corpus.vocabulary.symbols
        np.testing.assert_array_equal(new["rnn.weight_hh_l0"], old["rnn.weight_hh_l0"])
        known = start.vocabulary.symbols.index("b")
        here = symbols.index("b")
        if embed:
            np.testing.assert_array_equal(
                new["embedding.weight"][here], old["embedding.weight"][known]
            )
            np.testing.assert_array_equal(new[first][:, :embed], old[first][:, :embed])
        else:
            np.testing.assert_array_equal(new[first][:, here], old[first][:, known])
        same = np.array_equal(new["decoder.weight"][here], old["decoder.weight"][known])
        assert same == (name != "labels")
    assert "3 labels of 3 keep theirs" in session.notes[0]
    np.testing.assert_array_equal(new.flat, old.flat)
    for name, task in (("first", "classify"), ("first", "transduce")):
        (home / "p.tsv").write_text("ab\tb\nba\ta\n" * 9)
        there = begin(table if task == "classify" else "p.tsv", init_from=name, task=task)
        np.testing.assert_array_equal(
            there.model.weights["rnn.weight_hh_l0"], old["rnn.weight_hh_l0"]
        )
        assert "label" not in there.notes[0].split(":", 1)[1]
    with pytest.raises(UsageError, match="level char"):
        begin(table, init_from="first", level="word")


def test_the_end_of_a_text_begins_as_the_newline_of_a_language_model(table, home):
    (home / "t.txt").write_text("abc\ncab\n" * 40)
    small = {k: v for k, v in SMALL.items() if k != "task"}
    train("t.txt", name="lm", **small | {"seq_len": 4, "steps": 3})
    start = checkpoints.load(runs.HOME / "lm" / runs.BEST)
    session = begin(table, init_from="lm", task="generate")
    end, newline = DOCUMENTS.start(session.corpus.vocabulary), start.vocabulary.newline
    new, old = session.model.weights, start.model().weights
    np.testing.assert_array_equal(new["decoder.weight"][end], old["decoder.weight"][newline])
    assert np.abs(new[LABELS]).max() > 0


def test_gradients_are_watched_by_layer(table):
    options = SMALL | {"layers": 2, "embed": 3}
    _, records = train(table, **options, steps=2, watch=1, clip_norm=0.0)
    names = ["label_embedding", "embedding", "l0", "l1", "decoder"]
    assert list(of(records, "watch")[0].grad_norms) == names


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_teams_compute_the_same(dtype):
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


@pytest.mark.parametrize("form", ["lstm", pytest.param("gru-after", marks=pytest.mark.slow)])
def test_training_on_the_device_gives_the_same_bits(form, device):
    model = reference.FORMS[form] | {"dropout": 0.25, "embed": 3}
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


def test_a_model_no_better_than_a_guess_is_told_so():
    found = table_of([("aaaab", "x"), ("aaaaa", "y")] * 30, TEXTS, 0)
    recipe = recipe_of("generate")
    assert recipe.no_better_than(found, 9.0) == ("uniform", log(3))
    name, guess = recipe.no_better_than(found, log(3) - 1e-6)
    assert name == "unigram"
    assert recipe.no_better_than(found, guess - 0.01) == (None, None)


@pytest.fixture(scope="module")
def walks():
    """Pairs of a walk and its label."""
    text = b"".join(builtin.generate("walks", 400_000, 3)).decode()
    rows = [line.split("\t") for line in text.split("\n")[:-1]]
    return [(walk, label) for label, walk in rows]


LEARNT = {"hidden": 64, "steps": 1500, "lr": 0.01, "dropout": 0.0, "backend": "numpy"}


@pytest.mark.slow
def test_the_best_loss_is_reached_with_the_label_and_not_without(walks):
    best = builtin.create("walks").text_entropy()
    shuffled = [
        (walk, label) for (walk, _), (_, label) in zip(walks, walks[1:] + walks[:1], strict=True)
    ]
    losses = []
    for pairs in (walks, shuffled):
        found = []
        package.fit(pairs, task="generate", **LEARNT, report=found.append)
        losses.append(min(record.val_loss for record in of(found, "eval")))
    assert best - 0.02 < losses[0] < best + 0.02
    assert losses[1] > losses[0] + 0.06


@pytest.mark.slow
def test_samples_of_a_label_are_classified_as_that_label(walks):
    long = [(walk, label) for walk, label in walks if len(walk) > 4]
    writer = package.fit(long, task="generate", **LEARNT)
    reader = package.fit(long, task="classify", **LEARNT | {"steps": 600})
    for label in writer.labels:
        made = [one.text for one in writer.samples(50, label=label, seed=7)]
        right = [one.label == label for one in reader.predict(made)]
        assert np.mean(right) > 0.9
