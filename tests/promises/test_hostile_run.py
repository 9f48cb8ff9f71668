"""Whatever else a run folder holds, damaged or made to do harm, is told in one line."""

import json
import os

import pytest
from helpers.checkpoints import checkpoint_of
from helpers.commands import inside

from charrnn.storage import checkpoint as checkpoints

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    checkpoints.save(folder / "last.safetensors", checkpoint_of())
    return folder


def npy(header, body=b""):
    header = header.encode().ljust(118, b" ") + b"\n"
    return b"\x93NUMPY\x01\0" + len(header).to_bytes(2, "little") + header + body


def described(shape, descr="'|u1'", order="False"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


TEXTS = {
    "an id beyond the vocabulary": npy(described("(4,)"), b"\0\1\2\4"),
    "nothing": b"",
    "longer than said": npy(described("(3,)"), b"\0\1\2\3"),
    "shorter than said": npy(described("(9,)"), b"\0\1\2\3"),
    "enormous": npy(described("(999999999999999999,)"), b"\0" * 4),
    "too large for a number": npy(described("(" + "9" * 40 + ",)"), b"\0" * 4),
    "negative": npy(described("(-4,)"), b"\0" * 4),
    "of two dimensions": npy(described("(2, 2)"), b"\0" * 4),
    "of objects": npy(described("(1,)", "'|O'"), b"cos\nsystem\n(S'id'\ntR."),
    "of real numbers": npy(described("(1,)", "'<f4'"), b"\0" * 4),
    "an expression": npy("(" * 90, b"\0" * 4),
    "of columns": npy(described("(4,)", order="True"), b"\0" * 4),
}


@pytest.mark.parametrize("content", TEXTS.values(), ids=TEXTS.keys())
def test_a_held_out_text_that_is_none_is_one_line(content, run, tmp_path):
    (run / "val.npy").write_bytes(content)
    for command in (["eval", "--split", "val", "--run", "run"], ["diagnose", "run"]):
        done = inside(*command, cwd=tmp_path)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1
        assert "does not hold" in done.stderr


@posix
def test_a_run_folder_of_pipes_is_not_waited_for(run, tmp_path):
    os.mkfifo(run / "val.npy")
    os.mkfifo(run / "metrics.jsonl")
    for command in (["eval", "--split", "val", "--run", "run"], ["diagnose", "run", "--history"]):
        done = inside(*command, cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1


STEP = {"event": "step", "step": 1, "grad_norm": 1.0, "loss": 1.0}
WATCH = {"event": "watch", "step": 1, "grad_norms": {}, "update_ratios": {}, "clip_rate": 0.0}
METRICS = {
    "no JSON": "{oops}\n",
    "no object": "[1, 2]\n",
    "deep": "[" * 100_000 + "\n",
    "not text": "\ud800\n",
    "one huge line": '{"event": "' + "x" * (2 << 20) + '"}\n',
    "one huge line without an end": "x" * (2 << 20),
    "a step without a norm": json.dumps({"event": "step", "step": 1}) + "\n",
    "a step that is a text": json.dumps(STEP | {"step": "\x1b[31m"}) + "\n",
    "a norm that is a list": json.dumps(STEP | {"grad_norm": [1]}) + "\n",
    "norms that are a list": json.dumps(WATCH | {"grad_norms": [1]}) + "\n",
    "a layer with a control sequence": json.dumps(WATCH | {"grad_norms": {"\x1b[31m": 1}}) + "\n",
    "an endless number": json.dumps(STEP).replace("1.0", "9" * 5000) + "\n",
    "nothing": "",
}


@pytest.mark.parametrize("content", METRICS.values(), ids=METRICS.keys())
def test_damaged_metrics_are_one_line(content, run, tmp_path):
    (run / "metrics.jsonl").write_bytes(content.encode("utf-8", "surrogatepass"))
    done = inside("diagnose", "run", "--history", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.strip().isprintable()


def test_numbers_of_metrics_that_are_none_are_left_out(run, tmp_path):
    lines = [STEP | {"step": i, "grad_norm": v} for i, v in enumerate((1, None, 2.5, 10**400))]
    text = "".join(json.dumps(line) + "\n" for line in lines) + json.dumps(STEP)[:-5]
    (run / "metrics.jsonl").write_text(text.replace("2.5", "NaN"))
    done = inside("diagnose", "run", "--history", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["grad_norm"]["values"] == [1.0, None, None, None]
