"""What a new classifier gets because of its table: a writer, for short texts of many labels."""

import json
import shlex

import pytest
from helpers.commands import inside

import charrnn

TEXTS = ("ab", "cba", "a b c", "bb", "ca", "acca")
FEW = ("--steps", "1", "--backend", "numpy", "--task", "classify")
NOTE = "short texts and 5 labels: --writer 192 (--writer 0 for none)"


def table(labels, texts=TEXTS):
    return [(f"{text}{n}", f"label {n}") for n in range(labels) for text in texts]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    where = tmp_path_factory.mktemp("suited")
    long = [text * 8 for text in TEXTS]
    for name, rows in {"five": table(5), "four": table(4), "long": table(5, long)}.items():
        (where / name).write_text("".join(f"{label}\t{text}\n" for text, label in rows))
    return where


def told_of(run, place):
    return json.loads(inside("info", run, "--json", cwd=place).stdout)


@pytest.mark.parametrize(
    ("corpus", "given", "units"),
    [
        ("five", (), 192),
        ("four", (), 0),
        ("long", (), 0),
        ("five", ("--hidden", "8"), 0),
        ("five", ("--writer", "3"), 3),
        ("five", ("--counts", "0"), 0),
        ("five", ("--level", "word"), 0),
    ],
)
def test_short_texts_of_many_labels_get_a_writer(corpus, given, units, place):
    name = "-".join((corpus, *given)).replace("--", "")
    done = inside("train", corpus, *FEW, *given, "--name", name, cwd=place)
    assert done.returncode == 0, done.stderr
    assert told_of(name, place)["writer"] == units
    assert (NOTE in done.stderr) == (units == 192)


def test_a_run_without_one_is_repeated_without_one(place):
    done = inside("train", "five", *FEW, "--writer", "0", "--name", "none", cwd=place)
    assert done.returncode == 0, done.stderr
    command = shlex.split(told_of("none", place)["repeat"])
    assert command[command.index("--writer") + 1] == "0"
    done = inside(*command[1:], "--name", "again", cwd=place)
    assert done.returncode == 0, done.stderr
    both = [told_of(name, place)["weights_sha256"] for name in ("none", "again")]
    assert both[0] == both[1]


def test_a_new_run_from_a_run_has_what_that_one_has(place):
    done = inside("train", "five", *FEW, "--hidden", "8", "--name", "small", cwd=place)
    assert done.returncode == 0, done.stderr
    line = ("train", "five", "--init-from", "small", "--steps", "1", "--backend", "numpy")
    assert inside(*line, "--name", "next", cwd=place).returncode == 0
    assert told_of("next", place)["writer"] == 0


def test_fit_gives_one_too():
    assert charrnn.fit(table(5), task="classify", steps=1).network.config.writer == 192
    assert charrnn.fit(table(4), task="classify", steps=1).network.config.writer == 0
