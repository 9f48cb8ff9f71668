"""A model no better than a guess, and a validation text of another kind, are said."""

import json
import math

import numpy as np
import pytest
from helpers.commands import inside
from helpers.running import SMALL, train

from charrnn.evaluate.guess import Guess, differences, guess
from charrnn.report.training import conclusion
from charrnn.text import corpus_from_text, open_corpus
from charrnn.text.builtin import generate
from charrnn.train.records import End


def test_the_losses_of_the_guesses():
    corpus = corpus_from_text("aaab" * 20 + "ab" * 10, val_frac=0.2)
    found = guess(corpus)
    assert found.uniform == math.log(2)
    p = np.array([61.0, 21.0]) / 82
    assert found.unigram == pytest.approx(-0.5 * np.log(p).sum())
    of_train = guess(corpus_from_text("aaab" * 20, val_frac=0))
    assert of_train.unigram == pytest.approx(-(0.75 * math.log(61 / 82) + 0.25 * math.log(21 / 82)))


def test_the_worse_guess_is_named():
    losses = Guess(uniform=3.0, unigram=2.0)
    assert [losses.no_worse_than(x) for x in (1.9, 2.0, 2.9, 3.0)] == [
        None,
        "unigram",
        "unigram",
        "uniform",
    ]


@pytest.mark.parametrize("val_frac", [0.1, 0.0])
def test_the_end_of_a_run_says_it(val_frac, text):
    small = SMALL | {"val_frac": val_frac}
    for options, name in (
        ({"lr": 4.0, "steps": 30}, "uniform"),
        ({"hidden": 24, "steps": 300}, None),
    ):
        session, records = train(text, name=str(name), **small | options)
        end = records[-1]
        assert end.no_better_than == name, end
        known = guess(session.corpus)
        assert end.guess_loss == (name and getattr(known, name))
        assert end.to_json()["no_better_than"] == name


def test_an_interrupted_run_is_not_judged(text):
    assert train(text, name="run", **SMALL, stop=1)[1][-1].no_better_than is None


def test_the_note_names_the_guess_and_what_to_do(text):
    small = (
        "--hidden",
        "4",
        "--steps",
        "2",
        "--batch",
        "4",
        "--backend",
        "numpy",
        "--name",
        "my run",
    )
    done = inside("train", text, *small)
    *_, line, last = done.stderr.splitlines()
    assert line.startswith("the model is no better than a guess ")
    assert line.endswith("see charrnn diagnose 'checkpoints/my run'")
    assert last.startswith("to sample: ")
    events = inside("train", text, *small[:-1], "json", "--json").stdout.splitlines()
    assert json.loads(events[-1])["no_better_than"]
    assert inside("train", text, *small[:-1], "quiet", "--quiet").stderr == ""


def test_a_model_with_nothing_left_to_learn_is_not_judged(home):
    (home / "one.txt").write_text("a" * 500)
    end = train("one.txt", name="one", **SMALL)[1][-1]
    assert (end.best_val_loss, end.no_better_than, end.guess_loss) == (0.0, None, None)


def test_a_text_learned_by_heart_needs_no_longer_training():
    facts = {"step": 9, "reason": "steps", "epoch": 3, "val_loss": 7.1, "best_val_loss": 7.1}
    facts |= {"seconds": 1.0, "run": "r", "no_better_than": "uniform", "guess_loss": 3.2}
    line = conclusion(End(**facts, smoothed=0.1)).splitlines()[1]
    assert "except on the training text (0.1000 nats), which it has learned by heart" in line
    assert "longer text" in line
    assert "train for longer" not in line
    for smoothed in (3.0, None):
        line = conclusion(End(**facts, smoothed=smoothed)).splitlines()[1]
        assert "train for longer or with another --lr" in line
    line = conclusion(End(**facts | {"best_val_loss": None}, smoothed=0.1)).splitlines()[1]
    assert "by heart" not in line


PROSE = b"".join(generate("python-docs")).decode()


@pytest.mark.parametrize(
    ("train_text", "val_text", "level", "differs"),
    [
        (PROSE[:200_000], PROSE[200_000:260_000], "char", False),
        (PROSE[:200_000], PROSE[200_000:260_000], "word", False),
        (PROSE[:200_000], PROSE[200_000:260_000], "byte", False),
        (PROSE[:200_000], PROSE[200_000:260_000].upper(), "char", True),
        (PROSE[:200_000], "Проверка текста на другом языке. " * 90, "char", True),
        (PROSE[:200_000], "Проверка текста на другом языке. " * 120, "word", True),
        (PROSE[:200_000], "01" * 2000, "char", True),
        (PROSE[:200_000], "01" * 200, "char", False),  # too short to be judged
    ],
)
def test_a_validation_text_of_another_kind(train_text, val_text, level, differs, home):
    (home / "a").write_text(train_text, encoding="utf-8")
    (home / "b").write_text(val_text, encoding="utf-8")
    found = differences(open_corpus("a", val="b", level=level))
    assert len(found) == differs
    if differs:
        assert "the validation text is of another kind" in found[0]


def test_a_run_notes_it_once(home):
    (home / "a").write_text(PROSE[:20_000], encoding="utf-8")
    (home / "b").write_text(PROSE[:2_000].upper(), encoding="utf-8")
    small = ("--hidden", "4", "--steps", "1", "--schedule", "constant")
    small = (*small, "--batch", "16", "--backend", "numpy", "--quiet")
    done = inside("train", "a", "--val", "b", *small)
    assert done.stderr.count("note: the validation text is of another kind") == 1
    again = inside("train", "--resume", "a", "--steps", "2", "--backend", "numpy", "--quiet")
    assert (again.returncode, again.stderr) == (0, "")
    assert inside("train", "a", *small).stderr == ""
