"""Runs whose files are divided among ranks."""

import numpy as np
import pytest
from helpers import teams
from helpers.running import SMALL, TEXT, ask, assert_same_run, metrics, of

from charrnn.backend import numpy_backend
from charrnn.errors import CharRNNError, UsageError
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import heldout, runs
from charrnn.train.opening.request import Request
from charrnn.train.opening.sessions import open_session

NAMES = ("a.txt", "b.txt", "c.txt")
OPTIONS = SMALL | {"eval_every": 7, "save_every": 5, "dropout": 0.3, "dtype": "float64"}


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(NAMES):
        (tmp_path / name).write_text(TEXT[100 * number :] + "xyz"[number])
    return tmp_path


def train(size, name=None, *, stop=None, resume=None, files=NAMES, **options):
    """Train a run in a team; return the first member's records."""
    given = options if resume else OPTIONS | {"shard_files": True} | options

    def member(team):
        found = []

        def interrupted():
            return bool(found) and stop is not None and found[0].loop.progress.step >= stop

        request = ask(None, name, resume, **given)
        request.sources = () if resume else files
        found.append(open_session(request, numpy_backend(), interrupted, team=team))
        return list(found[0].records())

    return teams.run(size, member)[0]


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"sync_every": 3, "hold_out": "blocks"}])
def test_a_run_is_the_same_twice_and_goes_on_exactly(options):
    train(2, "whole", **options)
    train(2, "again", **options)
    assert_same_run(runs.HOME / "whole", runs.HOME / "again")
    train(2, "parts", stop=12, **options)
    train(2, resume="parts")
    assert metrics(runs.HOME / "whole") == metrics(runs.HOME / "parts")
    one, two = (checkpoints.load(runs.HOME / name / runs.LAST) for name in ("whole", "parts"))
    assert one.weights.tobytes() == two.weights.tobytes()


def test_the_run_tells_which_files_were_whose():
    (start,) = of(train(2, "run"), "start")
    names = [[name.rpartition("/")[2] for name in of_rank] for of_rank in start.files_of_ranks]
    assert names == [["a.txt", "c.txt"], ["b.txt"]]
    saved = checkpoints.load(runs.HOME / "run" / runs.LAST)
    assert saved.progress.ranks == 2
    assert [name.rpartition("/")[2] for name in saved.data.sources] == list(NAMES)
    text = heldout.read(saved.path, "val", len(saved.vocabulary))
    assert set("yz") <= set(saved.vocabulary.decode(np.asarray(text[:])))
    (start,) = of(train(2, "other", shard_files=False), "start")
    assert start.files_of_ranks is None


def test_other_numbers_of_ranks_are_refused_with_the_reason():
    train(2, "run", stop=12)
    line = "the files of the run are divided among 2 ranks, and each goes on in its own; "
    for size in (1, 3):
        with pytest.raises(CharRNNError, match=line + "start 2 ranks, or a new run from its weig"):
            train(size, resume="run")
    train(2, resume="run")


def test_another_text_is_refused(work):
    train(2, "run", stop=12)
    (work / "b.txt").write_text("another text\n" * 50)
    with pytest.raises(CharRNNError, match="the text is not the one that the run was trained on"):
        train(2, resume="run")


def test_what_cannot_be_divided_is_refused():
    with pytest.raises(CharRNNError, match="3 files cannot be divided among 4 ranks; name more"):
        train(4, "run")
    for more in ({"examples": "line"}, {"hold_out": "examples"}):
        with pytest.raises(CharRNNError, match="shard_files divides a text, but"):
            train(2, "run", **more)
    request = Request(NAMES, model={"task": "classify"}, data={"shard_files": True})
    with pytest.raises(UsageError, match="shard_files only applies to task lm"):
        request.check()
    with pytest.raises(CharRNNError, match="single process; start it with mpirun, or leave it out"):
        train(1, "run")
    assert not runs.HOME.exists()


def test_members_with_other_options_are_refused_before_they_read():
    def member(team):
        given = OPTIONS | ({"shard_files": True} if team.rank else {})
        request = ask(None, "run", **given)
        request.sources = NAMES
        open_session(request, numpy_backend(), team=team)

    with pytest.raises(CharRNNError, match="rank 1 has another set of options than rank 0"):
        teams.run(2, member)
