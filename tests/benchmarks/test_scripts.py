"""Every script of the benchmarks runs."""

import json
import os
import subprocess
import sys

import pytest
from helpers import mpirun
from helpers.benchmarks import FOLDER, HAVE_TORCH, SCRIPTS, needs_torch


def script(name, *arguments, **keywords):
    return subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py"), "--quick", "--threads", "1", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        **keywords,
    )


def arguments_of(name, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over it\n" * 60, "utf-8")
    return {
        "shakespeare": [str(text), "--cell", "gru"],  # the losses agree at every step
        "scaling": ["--axes", "window", "hidden"],
        "train_step": ["--cells", "lstm", "--embed", "0", "3"],
        "sampling": ["--cells", "gru"],
        "memory": ["--cells", "rnn"],
        "examples": ["--cells", "gru"],
    }.get(name, [])


def check(name, done, file):
    assert done.returncode == 0, done.stderr
    saved = json.loads(file.read_text("utf-8"))
    assert saved["markdown"] in done.stdout
    assert saved["benchmark"] == name
    assert saved["options"]["threads"] == 1
    assert saved["rows"]
    assert "mean nothing" in saved["markdown"]
    return saved


@pytest.mark.parametrize(
    "name",
    [n if n == "encoding" else pytest.param(n, marks=pytest.mark.slow) for n in SCRIPTS],
)
def test_every_script_runs_without_its_peer(name, tmp_path):
    file = tmp_path / "out.json"
    extra = arguments_of(name, tmp_path)
    done = script(name, "--no-peer", "--json", str(file), *extra, cwd=tmp_path)
    saved = check(name, done, file)
    for row in saved["rows"]:
        assert row.get("ratio") is None and row.get("peer_peak") is None
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ["out.json"] + (["text.txt"] if (tmp_path / "text.txt").exists() else [])
    )


@pytest.mark.slow
@pytest.mark.skipif(bool(mpirun.MISSING), reason=mpirun.MISSING)
def test_ranks_are_measured(tmp_path):
    file = tmp_path / "out.json"
    saved = check("parallel", script("parallel", "--json", str(file), cwd=tmp_path), file)
    for row in saved["rows"]:
        assert row["calls"] > 0
        assert 0 < row["sum"] < row["step"]


def test_steps_on_more_machines_are_extrapolated():
    from parallel import extrapolate

    # 1 MB at 1 Mbyte/s, twice, but for a machine's own half: 1 s; 3 gathers and 2 messages of 0.1 s
    assert extrapolate(2.0, 1_000_000, 3, 2, 8e6, 0.1) == pytest.approx(2 + 1 + 0.5)
    assert extrapolate(2.0, 1_000_000, 3, 4, 8e6, 0.1) == pytest.approx(2 + 1.5 + 1.2)


@needs_torch
@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["train_step", "sampling", "startup", "memory", "shakespeare", "examples"]
)
def test_every_script_runs_beside_its_peer(name, tmp_path):
    file = tmp_path / "out.json"
    done = script(name, "--json", str(file), *arguments_of(name, tmp_path), cwd=tmp_path)
    saved = check(name, done, file)
    if name == "startup":
        assert any("torch" in row["command"] for row in saved["rows"])
        return
    keys = dict.fromkeys(("train_step", "sampling", "examples"), "ratio")
    keys["memory"] = "peer_peak"
    for row in saved["rows"]:
        assert row[keys.get(name, "peer_seconds")] > 0
    if name == "shakespeare":
        last = saved["rows"][-1]
        assert last["loss"] == pytest.approx(last["peer_loss"], rel=1e-5)


@needs_torch
@pytest.mark.slow
@pytest.mark.parametrize("level", ["char", "word"])
@pytest.mark.parametrize("kind", ["classify", "transduce"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_both_sides_of_a_task_are_the_same_network(cell, kind, level, tmp_path):
    from tasks import charrnn_examples, torch_examples

    table = tmp_path / "table.tsv"
    rows = [f"{k % 3}\t{'ab ' * (k % 5)}c{'d' * (k % 7)}" for k in range(60)]
    table.write_text("\n".join(rows), "utf-8")
    plan = {"kind": kind, "table": str(table), "cell": cell, "steps": 4, "seed": 1}
    plan |= {"hidden": 8, "level": level, "threads": 1}
    ours, theirs = charrnn_examples.Learn(**plan), torch_examples.Learn(**plan)
    found, wanted = ours.scores(), theirs.scores()
    assert found["loss"] == pytest.approx(wanted["loss"], rel=1e-5)
    assert found["accuracy"] == wanted["accuracy"]


def test_encoding_notices_a_changed_file_and_knows_the_second_start(tmp_path):
    file = tmp_path / "out.json"
    saved = check("encoding", script("encoding", "--json", str(file), cwd=tmp_path), file)
    assert [row["level"] for row in saved["rows"]] == ["char", "byte", "word", "char"]
    assert "encoded again" in saved["notes"][0]
    for row in saved["rows"]:
        assert row["second_ms"] < 1000  # however small the text and busy the machine


def test_wrong_options_are_refused(tmp_path):
    done = script("scaling", "--rounds", "0", cwd=tmp_path)
    assert done.returncode == 2
    assert "--rounds" in done.stderr


def test_run_all_fills_the_readme_it_is_given(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- begin encoding -->\n<!-- end encoding -->\nafter\n", "utf-8")
    command = [sys.executable, str(FOLDER / "run_all.py"), "--quick", "--only", "encoding"]
    subprocess.run(
        [*command, "--readme", str(readme), "--json", str(tmp_path)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    text = readme.read_text("utf-8")
    saved = json.loads((tmp_path / "encoding.json").read_text("utf-8"))
    assert saved["markdown"].strip() in text and saved["head"] in text
    assert text.startswith("before\n") and text.endswith("\nafter\n")


def test_run_all_says_what_failed(tmp_path):
    command = [sys.executable, str(FOLDER / "run_all.py"), "--quick", "--only", "shakespeare"]
    done = subprocess.run(
        [*command, "--text", "no-such-file", "--json", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert "shakespeare: FAILED" in done.stderr


@pytest.mark.slow
def test_the_gpu_script_runs_on_a_processor_to_see_that_it_does(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over it\n" * 60, "utf-8")
    arguments = ["--quick", "--cpu", "--out", "out", "--run", "runs", "--cells", "gru"]
    arguments += ["--text", str(text), "--minutes", "0.01"]
    arguments += [] if HAVE_TORCH else ["--no-peer"]
    command = [sys.executable, str(FOLDER / "gpu.py"), *arguments, "--train", "--hidden", "8"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=300)
    assert done.returncode == 0, done.stderr
    names = {path.stem for path in (tmp_path / "out").iterdir()}
    assert names == {"gpu_train", "gpu_sample", "gpu_learn"}
    for name in names:
        saved = json.loads((tmp_path / "out" / f"{name}.json").read_text("utf-8"))
        assert saved["markdown"] in done.stdout
        assert "mean nothing" in saved["markdown"]
        assert saved["rows"]


def test_the_gpu_script_says_in_one_line_that_there_is_none(tmp_path):
    (tmp_path / "cupy.py").write_text("raise ModuleNotFoundError('no', name='cupy')", "utf-8")
    done = subprocess.run(
        [sys.executable, str(FOLDER / "gpu.py")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("no GPU to measure on: CuPy is not installed")
    assert done.stderr.count("\n") == 1
