"""A run's metrics: appended, cut, flushed, read back."""

import json
import os

import pytest

from charrnn.errors import CharRNNError
from charrnn.storage.metrics import METRICS, Metrics, is_shorter, read_metrics

fifo = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def test_metrics_are_appended_and_cut(folder):
    metrics = Metrics(folder, 0)
    metrics.write({"step": 1, "text": "é\n\x1b"})
    length = metrics.flush()
    assert length == (folder / METRICS).stat().st_size
    metrics.write({"step": 2})
    metrics.close()
    with (folder / METRICS).open("a") as file:
        file.write('{"step": 3')
    assert [line["step"] for line in read_metrics(folder)] == [1, 2]
    metrics = Metrics(folder, length)
    metrics.write({"step": 4})
    assert metrics.flush() == (folder / METRICS).stat().st_size
    metrics.close()
    assert list(read_metrics(folder)) == [{"step": 1, "text": "é\n\x1b"}, {"step": 4}]
    for line in (folder / METRICS).read_text(encoding="utf-8").splitlines():
        json.loads(line)


def test_a_run_without_metrics_has_none(folder):
    assert list(read_metrics(folder)) == []


def test_metrics_shorter_than_a_checkpoint_counts_on_are_noticed(folder):
    assert is_shorter(folder, 1)
    assert not is_shorter(folder, 0)
    (folder / METRICS).write_bytes(b"{}\n")
    assert is_shorter(folder, 4)
    assert not is_shorter(folder, 3)


@pytest.mark.parametrize("line", [b"[1]", b"{", b"\xff", b"[" * 9000, b'"' + b"x" * (1 << 20)])
def test_a_line_that_is_not_an_object_is_named(line, folder):
    (folder / METRICS).write_bytes(b"{}\n" + line + b"\n")
    records = read_metrics(folder)
    assert next(records) == {}
    with pytest.raises(CharRNNError, match="its line 2 is not a JSON object"):
        next(records)


@fifo
def test_a_fifo_is_neither_waited_for_nor_written(folder):
    os.mkfifo(folder / METRICS)
    assert list(read_metrics(folder)) == []
    with pytest.raises(CharRNNError, match="is not a regular file"):
        Metrics(folder, 0)


@fifo
def test_a_link_is_not_written_through(folder):
    (folder / "precious").write_text("kept\n")
    (folder / METRICS).symlink_to("precious")
    with pytest.raises(CharRNNError, match="is not a regular file"):
        Metrics(folder, 0)
    assert (folder / "precious").read_text() == "kept\n"


def test_a_name_that_is_not_utf_8_is_escaped(tmp_path):
    metrics = Metrics(tmp_path, 0)
    metrics.write({"event": "start", "run": "o\udcff", "text": "é"})
    metrics.close()
    data = (tmp_path / METRICS).read_bytes()
    assert data == b'{"event": "start", "run": "o\\udcff", "text": "\xc3\xa9"}\n'
    assert json.loads(data)["run"] == "o\udcff"
