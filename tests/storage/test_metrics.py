"""The metrics of a run: appended, cut to what a checkpoint counts on, read by lines."""

import json

from charrnn.storage import runs
from charrnn.storage.metrics import Metrics, read_metrics


def make(name):
    folder = runs.HOME / name
    folder.mkdir(parents=True)
    return folder


def test_metrics_are_appended_and_cut(home):
    folder = make("run")
    metrics = Metrics(folder, 0)
    metrics.write({"step": 1, "text": "é\n\x1b"})
    length = metrics.flush()
    assert length == (folder / runs.METRICS).stat().st_size
    metrics.write({"step": 2})
    metrics.close()
    with (folder / runs.METRICS).open("a") as file:
        file.write('{"step": 3')
    assert [line["step"] for line in read_metrics(folder)] == [1, 2]
    metrics = Metrics(folder, length)
    metrics.write({"step": 4})
    assert metrics.flush() == (folder / runs.METRICS).stat().st_size
    metrics.close()
    assert list(read_metrics(folder)) == [{"step": 1, "text": "é\n\x1b"}, {"step": 4}]
    for line in (folder / runs.METRICS).read_text(encoding="utf-8").splitlines():
        json.loads(line)


def test_a_run_without_metrics_has_none(home):
    assert list(read_metrics(make("run"))) == []
