"""A dry run reports the resources of training, and changes nothing."""

import itertools
import json

import pytest
from helpers.commands import inside
from helpers.running import SMALL, begin, train

from charrnn.train import dry_run


def tree(folder):
    return {
        path: path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if path.name != ".lock"
    }


def test_a_dry_run_tells_and_writes_nothing(text, home):
    before = tree(home)
    options = (text, "--hidden", "24", "--batch", "4", "--seq-len", "8", "--dry-run")
    done = inside("train", *options, "--backend", "numpy")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("model   lstm 1×24, one-hot, float32: ")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["model", "memory", "time"]
    assert "for evaluation, 47.2 MB for the program; " in done.stdout  # so that parts make the sum
    told = json.loads(
        inside("train", *options, "--backend", "numpy", "--steps", "77", "--json").stdout
    )
    assert told["parameters"] == told["memory"]["parameters"] > 24 * 24 * 4
    assert told["steps_left"] == 77
    assert told["seconds_left"] == pytest.approx(77 * told["step_seconds"])
    assert told["epoch_seconds"] == pytest.approx(told["steps_per_epoch"] * told["step_seconds"])
    assert told["chars_per_second"] == pytest.approx(32 / told["step_seconds"])
    assert 0 < told["memory"]["total"] < told["available"]
    assert tree(home) == before


def test_words_are_counted_as_words(text):
    done = inside("train", text, "--level", "word", "--hidden", "4", "--minutes", "0.001")
    assert " word/s read the text " in done.stderr
    assert " word/s; " in inside("train", text, "--level", "word", "--dry-run").stdout
    small = ("--hidden", "4", "--steps", "1", "--log-every", "1")
    done = inside("train", text, "--level", "word", *small)
    assert " word/s" in done.stderr
    assert "char/s" not in done.stderr


def test_a_dry_run_of_a_run_that_goes_on_leaves_it_as_it_is(text, home):
    session, _ = train(text, name="run", **SMALL, stop=13)
    before = tree(home)
    told = json.loads(
        inside("train", "--resume", "run", "--backend", "numpy", "--dry-run", "--json").stdout
    )
    assert told["steps_left"] == 27
    told = json.loads(
        inside(
            "train", text, "--init-from", "run", "--backend", "numpy", "--dry-run", "--json"
        ).stdout
    )
    assert told["steps_left"] == 5000
    assert told["parameters"] == session.model.weights.flat.size
    assert tree(home) == before


def test_a_dry_run_does_not_care_where_training_would_lead(text):
    session = begin(text, **SMALL | {"lr": 1e30})
    found = dry_run.measure(session.loop, session.needed, seconds=0.1)
    assert found.step_seconds > 0
    assert found.steps_left == 40


def test_a_dry_run_ends_after_its_time(text, monkeypatch):
    """Where the clock shows 0.3 s more at each look: after three steps with two looks each."""
    session = begin(text, **SMALL)
    clock = itertools.count(step=0.3)
    monkeypatch.setattr(dry_run, "perf_counter", lambda: next(clock))
    dry_run.measure(session.loop, session.needed, seconds=2)
    assert session.loop.progress.step == 3


def test_what_counting_ngrams_needs_is_a_part_of_the_memory(home):
    (home / "long.txt").write_text("one word, another one, " * 4000)
    options = ("train", "long.txt", "--hidden", "2", "--dry-run")
    counting = inside(*options, "--grams", "1000").stdout
    assert "for counting n-grams, 47.2 MB for the program; " in counting
    memory = json.loads(inside(*options, "--grams", "1000", "--json").stdout)["memory"]
    plain = json.loads(inside(*options, "--grams", "0", "--json").stdout)["memory"]
    assert memory["counting"] > 0 == plain["counting"]
    assert memory["total"] > plain["total"]
