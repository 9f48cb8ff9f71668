"""The tasks of separate examples in a team: as alone, however few examples a batch has."""

import pytest
from helpers import teams
from helpers.running import ask, metrics

from charrnn.architecture import TASKS as ALL
from charrnn.backend import numpy_backend
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs
from charrnn.train.opening.sessions import open_session

LINES = "".join(f"{'ab'[k % 2]}\t{'xyz'[k % 3] * (1 + k % 5)}{'ab'[k % 2]}\n" for k in range(60))
OPTIONS = {"hidden": 5, "dtype": "float64", "steps": 12, "log_every": 1, "eval_every": 6}
TASKS = tuple(task for task in ALL if task != "lm")
WHAT = {"tag": {"format": "lines"}}


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "table.tsv").write_text(LINES)
    tagged = (text for _, text in (line.split("\t") for line in LINES.splitlines()))
    (tmp_path / "tagged.tsv").write_text("".join(f"{t}\t{t[::-1]}\n" for t in tagged))


def train(size, name, **options):
    """Train in a team; return the metrics and the weights at the end."""

    def member(team):
        tags = options["task"] == "tag"
        request = ask("tagged.tsv" if tags else "table.tsv", name, **OPTIONS | options)
        for _ in open_session(request, numpy_backend(), team=team).records():
            pass

    teams.run(size, member)
    weights = checkpoints.load(runs.HOME / name / runs.LAST).weights.tobytes()
    return metrics(runs.HOME / name), weights


@pytest.mark.parametrize("task", TASKS)
def test_members_without_an_example_wait_for_the_others(task):
    options = {"task": task, "batch": 2, "dropout": 0.3} | WHAT.get(task, {})
    (alone, _), (three, _) = train(1, "alone", **options), train(3, "three", **options)
    for mine, theirs in zip(alone, three, strict=True):
        for key in {"loss", "val_loss", "grad_norm"} & mine.keys():
            assert mine[key] == pytest.approx(theirs[key], rel=1e-9), key


@pytest.mark.parametrize("task", TASKS)
def test_members_may_average_their_weights(task):
    options = {"task": task, "batch": 4, "sync_every": 3} | WHAT.get(task, {})
    one, two = (train(2, name, **options) for name in ("one", "two"))
    assert one == two
    assert [line["step"] for line in one[0] if line["event"] == "step"] == [3, 6, 9, 12]
