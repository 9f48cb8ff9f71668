"""A classifier with a writer on the command line: trained, resumed, started from, and asked."""

import json

import pytest
from helpers.classifiers import classifying, write_table
from helpers.commands import inside

ROWS = [("cat", "the cat sat"), ("dog", "A dog ate it!"), ("cow", "moo"), ("dog", "dog!")]
TRAIN = classifying(steps=20)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with tables, lines, and runs that differ in their writer: ``writes``, ``plain``."""
    where = tmp_path_factory.mktemp("writer")
    write_table(where / "pets.tsv", ROWS)
    write_table(where / "more.tsv", [(label, "z" + text) for label, text in ROWS])
    (where / "lines.txt").write_text("the cat\n\ndog!\n")
    for name, units in (("writes", "6"), ("plain", "0")):
        done = inside("train", "pets.tsv", "--name", name, "--writer", units, *TRAIN, cwd=where)
        assert done.returncode == 0, done.stderr
    return where


def units_of(run, place):
    return json.loads(inside("info", run, "--json", cwd=place).stdout)["writer"]


def test_it_needs_counts(place):
    line = ("train", "pets.tsv", "--name", "unasked", "--writer", "4", "--counts", "0", *TRAIN)
    done = inside(*line, cwd=place)
    assert done.returncode == 2
    only = "charrnn: error: --writer only applies together with --counts; leave it out\n"
    assert done.stderr == only


def test_it_is_in_what_is_decided_and_told(place):
    assert (units_of("writes", place), units_of("plain", place)) == (6, 0)
    found = {}
    for run in ("writes", "plain"):
        done = inside("predict", run, "lines.txt", "--json", cwd=place)
        assert done.returncode == 0, done.stderr
        found[run] = [json.loads(line) for line in done.stdout.splitlines()]
        assert all(sum(each["labels"].values()) == pytest.approx(1) for each in found[run])
    assert len(found["writes"]) == len(found["plain"]) == 3
    assert found["writes"] != found["plain"]


def test_a_run_goes_on_with_it(place):
    done = inside("train", "--resume", "writes", "--steps", "25", cwd=place)
    assert done.returncode == 0, done.stderr
    assert units_of("checkpoints/writes/last.safetensors", place) == 6


@pytest.mark.parametrize("source", ["writes", "plain"])
@pytest.mark.parametrize("table", ["pets.tsv", "more.tsv"])
def test_a_new_run_from_one_has_it_as_that_one_or_as_it_is_given(source, table, place):
    line = ("train", table, "--init-from", source, "--steps", "2", "--backend", "numpy")
    for given in ((), ("--writer", "3")):
        name = f"{source}-{table[:4]}{len(given)}"
        done = inside(*line, "--name", name, *given, cwd=place)
        assert done.returncode == 0, done.stderr
        assert units_of(name, place) == (3 if given else units_of(source, place))
