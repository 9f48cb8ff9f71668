"""Runs of a team: one folder, one checkpoint for any number of members, one decision."""

import itertools
import threading

import numpy as np
import pytest
from helpers import teams
from helpers.running import OFTEN, SMALL, TEXT, ask, metrics, of

from charrnn.backend import numpy_backend
from charrnn.errors import CharRNNError
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs
from charrnn.train.opening import sessions
from charrnn.train.opening.sessions import open_session
from charrnn.train.records import Rollback

NAMES = {"last.safetensors", "best.safetensors", "metrics.jsonl", "val.npy"}


def seldom(value):
    return pytest.param(value, marks=pytest.mark.slow)


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT)
    return tmp_path


def train(size, *args, stop=None, change=lambda team, options: None, look=None, **options):
    """Train in a team; return each member's records."""
    options = SMALL | OFTEN | {"dtype": "float64"} | options if args else options

    def member(team):
        found, own = [], dict(options)
        change(team, own)

        def interrupted():
            return bool(found) and stop is not None and found[0].loop.progress.step >= stop

        request = ask(*args, **own)
        found.append(open_session(request, numpy_backend(), interrupted, team=team))
        records = []
        for record in found[0].records():
            records.append(record)
            if look:
                look(team, found[0], record)
        return records

    return teams.run(size, member)


def assert_close(name, other):
    """The metrics and checkpoints of two runs are equal up to rounding."""
    for mine, theirs in zip(metrics(runs.HOME / name), metrics(runs.HOME / other), strict=True):
        assert mine.keys() == theirs.keys()
        for key, value in mine.items():
            if isinstance(value, float):
                assert value == pytest.approx(theirs[key], rel=1e-9), key
            else:
                assert value == theirs[key], key
    for file in (runs.LAST, runs.BEST):
        one, two = (checkpoints.load(runs.HOME / run / file) for run in (name, other))
        np.testing.assert_allclose(one.weights, two.weights, rtol=1e-8, atol=1e-10)
        for part in ("moments", "states"):
            mine, theirs = getattr(one, part), getattr(two, part)
            assert mine.keys() == theirs.keys()
            for key, array in mine.items():
                np.testing.assert_allclose(array, theirs[key], rtol=1e-7, atol=1e-10)
        assert one.step == two.step


@pytest.mark.parametrize(
    "options",
    [
        {},
        seldom({"cell": "gru", "hold_out": "blocks", "watch": 3, "keep": 2}),
        seldom({"cell": "rnn", "examples": "line", "batch": 5}),
    ],
)
def test_a_team_writes_the_run_that_one_process_writes(options):
    train(1, "text.txt", "one", **options)
    first, *others = train(3, "text.txt", "three", **options)
    assert_close("three", "one")
    assert [path.name for path in runs.HOME.iterdir()].count("three") == 1
    assert {path.name for path in (runs.HOME / "three").iterdir()} >= NAMES
    assert first[0].ranks == 3
    for records in others:
        assert [(r.event, r.step) for r in records] == [(r.event, r.step) for r in first]


def test_the_same_team_writes_the_same_bytes():
    for name in ("a", "b"):
        train(2, "text.txt", name)
    one, two = (checkpoints.load(runs.HOME / name / runs.LAST) for name in ("a", "b"))
    assert one.weights.tobytes() == two.weights.tobytes()
    assert metrics(runs.HOME / "a") == metrics(runs.HOME / "b")


@pytest.mark.parametrize("sizes", [(2, 3), *map(seldom, [(2, 1), (1, 2), (3, 4)])])
def test_a_run_goes_on_with_another_number_of_members(sizes):
    first, second = sizes
    train(1, "text.txt", "whole")
    train(first, "text.txt", "parts", stop=17)
    train(second, resume="parts")
    assert_close("parts", "whole")


def test_a_divergence_takes_all_members_to_the_file_of_the_first(monkeypatch):
    """The others cannot read the run's folder: they are given the file."""
    read, own, spoilt = checkpoints.load, threading.local(), []

    def load(path, **options):
        assert own.rank == 0 or runs.HOME not in path.parents
        return read(path, **options)

    def spoil(team, session, record):
        own.rank = team.rank
        if team.rank == 1 and record.step == 12 and not spoilt:
            spoilt.append(record)
            session.loop.task.weights.flat[3] = np.nan

    monkeypatch.setattr(checkpoints, "load", load)
    found = train(2, "text.txt", "run", look=spoil)
    (back,) = of(found[0], "rollback")
    assert isinstance(back, Rollback)
    assert back.to_step == 10
    assert [r.step for r in of(found[1], "rollback")] == [back.step]
    monkeypatch.setattr(checkpoints, "load", read)
    assert checkpoints.load(runs.HOME / "run" / runs.LAST).step == SMALL["steps"]


def test_members_with_another_text_or_options_are_refused(work):
    (work / "other.txt").write_text(TEXT[:-1] + "!")

    def other_rate(team, options):
        options |= {"lr": 0.5} if team.rank == 1 else {}

    with pytest.raises(CharRNNError, match="rank 1 has another set of options than rank 0"):
        train(2, "text.txt", "a", change=other_rate)

    def member(team):
        request = ask(("text.txt", "other.txt")[team.rank], "b", **SMALL)
        return open_session(request, numpy_backend(), team=team)

    with pytest.raises(CharRNNError, match="rank 1 has another text than rank 0"):
        teams.run(2, member)
    assert not runs.HOME.exists()


def test_a_member_of_another_version_is_refused(monkeypatch):
    versions = itertools.count()

    class Version(str):
        def encode(self, *rest):
            return f"0.{next(versions)}".encode()

    monkeypatch.setattr(sessions, "__version__", Version("0"))
    with pytest.raises(CharRNNError, match="rank 1 has another version of charrnn than rank 0"):
        train(2, "text.txt", "run")


def test_what_one_member_cannot_read_is_an_error_on_all(work):
    def member(team):
        request = ask(("text.txt", "nowhere.txt")[team.rank], "run", **SMALL)
        with pytest.raises(CharRNNError) as caught:
            open_session(request, numpy_backend(), team=team)
        return caught.value.line()

    assert teams.run(2, member) == ["rank 1: nowhere.txt does not exist; check the path"] * 2


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"batch": 2}, "2 streams cannot be divided among 3 ranks; start fewer ranks"),
        ({"batch": 400, "seq_len": 700}, "1 stream cannot be divided among 3 ranks"),
    ],
)
def test_too_few_streams_are_refused(options, line):
    with pytest.raises(CharRNNError, match=line):
        train(3, "text.txt", "run", **options)


def test_standard_input_is_refused():
    with pytest.raises(CharRNNError, match="standard input reaches only one of the ranks"):
        train(2, "-", "run")


def test_a_run_that_has_finished_says_so_on_all_members():
    train(2, "text.txt", "run", minutes=10.0)

    def member(team):
        return open_session(ask(resume="run"), numpy_backend(), team=team).finished

    assert teams.run(2, member) == ["steps"] * 2
