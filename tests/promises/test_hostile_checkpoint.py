"""Checkpoints made to do harm: refused in one line, without the memory that they ask for."""

import os
import subprocess
import sys

import numpy as np
import pytest
from helpers.checkpoints import checkpoint_of, header_of, parts, seal
from helpers.commands import inside
from helpers.memory import told_by

from charrnn.errors import CheckpointError
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import container

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")
MB = 10**6
PEAK = """
import sys
from pathlib import Path
from charrnn.storage import checkpoint
from charrnn.errors import CharRNNError
small, path = sys.argv[1:]
checkpoint.load(Path(small))
base = peak()
try:
    checkpoint.load(Path(path))
    outcome = "loaded"
except CharRNNError as problem:
    outcome = str(problem)
print(peak() - base, outcome)
"""


def peak_of_loading(path, tmp_path):
    """Return the bytes above the process's base that loading took, and what came of it."""
    small = tmp_path / "small.safetensors"
    checkpoints.save(small, checkpoint_of())
    taken, _, outcome = told_by(PEAK, small, path).partition(" ")
    print(f"{path.stat().st_size / MB:.1f} MB took {int(taken) / MB:.1f} MB: {outcome[-60:]}")
    return int(taken), outcome


@posix
@pytest.mark.slow
@pytest.mark.parametrize("moments", [True, False])
def test_loading_takes_less_than_twice_the_size_of_the_file(tmp_path, moments):
    path = tmp_path / "large.safetensors"
    large = checkpoint_of(hidden=1100 if moments else 2000, layers=2)
    large.moments = large.moments if moments else {}
    large.states = {}
    checkpoints.save(path, large)
    size = path.stat().st_size
    assert size > 100 * MB
    taken, outcome = peak_of_loading(path, tmp_path)
    assert outcome == "loaded"
    assert taken < 2 * size + 8 * MB
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    taken, outcome = peak_of_loading(path, tmp_path)
    assert "digest" in outcome
    assert taken < 2 * size + 8 * MB


def million(item):
    return ",".join([item] * 1_000_000)


BOMBS = {
    "symbols": lambda: '\\"vocabulary\\":[' + million('\\"a\\"') + "]",
    "empty lists": lambda: '\\"a\\":[' + million("[]") + "]",
    "numbers": lambda: '\\"a\\":[' + million("1e9") + "]",
    "names": lambda: '\\"a\\":{' + ",".join(f'\\"{i:x}\\":0' for i in range(500_000)) + "}",
    "one text": lambda: '\\"a\\":\\"' + "x" * 8 * MB + '\\"',
}


@pytest.mark.slow
@posix
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_a_header_full_of_small_objects_takes_no_more(bomb, tmp_path):
    path = tmp_path / "bomb.safetensors"
    facts = '{\\"digest\\":\\"' + "0" * 64 + '\\",' + bomb() + "}"
    path.write_bytes(seal(header_of("", facts)))
    taken, outcome = peak_of_loading(path, tmp_path)
    assert outcome.startswith((str(path), "cannot use " + str(path)))
    assert taken < 2 * path.stat().st_size + 14 * MB


def test_a_million_entries_of_tensors_are_refused(tmp_path):
    path = tmp_path / "bomb"
    entries = ",".join(
        f'"{i:x}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for i in range(200_000)
    )
    path.write_bytes(seal(header_of("," + entries)))
    with pytest.raises(CheckpointError, match="lists more than"):
        container.read(path)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are kept on Linux")
def test_a_file_that_claims_a_terabyte_and_has_holes_is_refused(tmp_path):
    """Nothing on disk, but of the size that its header says."""
    path = tmp_path / "sparse"
    size = 1 << 40
    shape = f'"shape":[{size // 4}],"data_offsets":[0,{size}]'
    path.write_bytes(seal(header_of(',"a":{"dtype":"F32",' + shape + "}")))
    try:
        os.truncate(path, path.stat().st_size + size)
    except OSError:
        pytest.skip("no sparse files of this size here")
    limited = (
        "import resource, sys; from pathlib import Path; from charrnn.storage import container\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        "try: container.read(Path(sys.argv[1]))\n"
        "except container.CheckpointError as problem: print(problem)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, str(path)], capture_output=True, text=True, timeout=60
    )
    assert "not enough memory" in done.stdout


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path):
    paths = [tmp_path]
    if os.name == "posix":
        os.mkfifo(tmp_path / "fifo")
        paths += [tmp_path / "fifo", *map(type(tmp_path), ("/dev/zero", "/dev/null"))]
        (tmp_path / "link").symlink_to(tmp_path / "fifo")
        paths.append(tmp_path / "link")
    for path in paths:
        with pytest.raises(CheckpointError, match="not a regular file"):
            checkpoints.load(path)
    for name in ("", "a\0b", "x" * 5000, "none/such"):
        with pytest.raises(CheckpointError):
            checkpoints.load(tmp_path / name)


def test_a_link_to_a_checkpoint_is_the_checkpoint(tmp_path):
    checkpoints.save(tmp_path / "real", checkpoint_of())
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert checkpoints.load(tmp_path / "link").step == 12


def test_a_file_that_shrinks_while_it_is_read_is_told(tmp_path, monkeypatch):
    path = tmp_path / "file"
    checkpoints.save(path, checkpoint_of())
    whole = container._layout

    def shrink(*arguments):
        os.truncate(path, path.stat().st_size - 50)
        return whole(*arguments)

    monkeypatch.setattr(container, "_layout", shrink)
    with pytest.raises(CheckpointError, match="truncated while being read"):
        container.read(path)


WRONG = {
    ("model", "hidden"): (10**12, 0, -3, 2.5, "3", None, True, [3], 2**63, 10**30),
    ("model", "layers"): (-1, 0, 10**9, 1.0, None),
    ("model", "embed"): (-1, 10**12, 1.0),
    ("model", "dropout"): (7, 1, -0.1, "0", None, 10**400),
    ("model", "forget_bias"): ("1", None, 10**400, [1.0]),
    ("model", "cell"): ("os", "../lstm", "_base", "lstm\n", "", None, 3, "x" * 10**5),
    ("model", "ngrams"): (65, 2 * 10**9, -1, 1.5),
    ("model", "dtype"): ("float16", "object", 32, None),
    ("model", "init"): ("zeros", None),
    ("train", "batch"): (0, -1, 1.5, 10**30, "32", None),
    ("train", "seq_len"): (0, 10**40, 0.5),
    ("train", "seed"): (0.5, "0", None, 2**64, True),
    ("train", "lr"): (0, -1.0, "fast", 10**400, None),
    ("train", "momentum"): (1, 7, -1),
    ("train", "steps"): (0, -5, 1.5, 10**20),
    ("train", "keep"): (-1, 1.5),
    ("train", "state"): ("forget", None),
    ("data", "level"): ("byte", "glyph", None, 0),
    ("data", "errors"): ("ignore", None),
    ("data", "val_frac"): (1, -1, 2.0, "0"),
    ("data", "sources"): ("text", [1], {"a": 1}, ["a\0b"], None),
    ("data", "min_count"): (0, 1.0, 10**20),
    ("progress", "step"): (-1, 0.5, 2**63, "1", None, True),
    ("progress", "seconds"): (-1.0, "1", None, 10**400),
    ("progress", "val_loss"): (-1.0, "1", 10**400),
    ("progress", "metrics_bytes"): (-1, 1.0, 2**64),
    ("progress", "started_from"): (1, 0.5, True, ["a"], {}),
    ("vocabulary", "symbols"): ([], "abcd", ["a", "a", "b", "c"], ["ab", "c", "d", "e"], [1]),
    ("vocabulary", "unknown"): (4, -1, "a", 0, 1.0, True),
    ("vocabulary", "level"): ("byte", "word\n", None, ["char"]),
    ("format",): (2, "1", 1.0, True, None, "\x1b]0;x\x07" * 100),
    ("head",): ("classifier", None, "\x1b[31m" * 1000),
    ("version",): (1, None, "\x1b[31m", "v" * 1000),
    ("corpus_sha256",): (None, 5, "\x07"),
    ("data",): ([], "x", 0, False),
    ("train",): ([], "", 7),
    ("progress",): (None, [], 3),
    ("vocabulary",): (None, [], "abc"),
    ("model",): (None, [], {}),
    ("extra",): (None,),
}


@pytest.mark.parametrize(
    ("where", "value"),
    [(where, value) for where, values in WRONG.items() for value in values],
    ids=lambda part: ".".join(part) if isinstance(part, tuple) else ascii(part)[:20],
)
def test_every_field_is_checked_in_type_and_range(where, value, tmp_path):
    path = tmp_path / "last.safetensors"
    checkpoints.save(path, checkpoint_of())
    tensors, facts = parts(path)
    *outer, last = where
    place = facts
    for key in outer:
        place = place[key]
    place[last] = value
    container.write(path, tensors, facts)
    with pytest.raises(CheckpointError) as caught:
        checkpoints.load(path)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < len(str(path)) + 250


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_none_are_refused_in_any_place(text, tmp_path):
    path = tmp_path / "file"
    entry = ',"a":{"dtype":"F32","shape":[2],"data_offsets":[0,' + text + "]}"
    path.write_bytes(seal(header_of(entry), b"\0" * 8))
    with pytest.raises(CheckpointError, match="is not a number"):
        container.read(path)
    facts = '{\\"digest\\":\\"' + "0" * 64 + '\\",\\"a\\":' + text + "}"
    path.write_bytes(seal(header_of("", facts)))
    with pytest.raises(CheckpointError, match="is not a number"):
        container.read(path)


@pytest.mark.parametrize("name", ["rnn.weight_hh_l1", "optimizer.v", "state.c_l0"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_tensor_that_is_not_finite_is_refused_and_named(name, bad, tmp_path):
    path = tmp_path / "file"
    checkpoints.save(path, checkpoint_of())
    tensors, facts = parts(path)
    spoilt = tensors[name].copy()
    spoilt.reshape(-1)[-1] = bad
    container.write(path, tensors | {name: spoilt}, facts)
    with pytest.raises(CheckpointError, match=f"tensor '{name}' holds a value that is not a fin"):
        checkpoints.load(path)
    assert checkpoints.load(path, finite=False).step == 12


@pytest.mark.parametrize("name", ["optimizer.m", "state.h_l0", "rnn.bias_hh_l0"])
def test_a_tensor_of_another_type_is_refused(name, tmp_path):
    path = tmp_path / "file"
    checkpoints.save(path, checkpoint_of())
    tensors, facts = parts(path)
    container.write(path, tensors | {name: tensors[name].astype(np.float64)}, facts)
    with pytest.raises(CheckpointError):
        checkpoints.load(path)


def test_minus_zero_comes_back(tmp_path):
    saved = checkpoint_of()
    saved.weights[...] = -0.0
    checkpoints.save(tmp_path / "file", saved)
    assert np.signbit(checkpoints.load(tmp_path / "file").weights).all()


def test_no_command_shows_a_traceback_for_a_hostile_file(tmp_path):
    path = tmp_path / "evil.safetensors"
    checkpoints.save(path, checkpoint_of())
    tensors, facts = parts(path)
    facts["model"]["hidden"] = 10**12
    facts["version"] = "\x1b[2J"
    container.write(path, tensors, facts)
    (tmp_path / "text").write_text("aaaa")
    commands = (
        ["info", str(path)],
        ["sample", str(path)],
        ["eval", "text", "--run", str(path)],
        ["diagnose", str(path)],
        ["train", "--resume", str(path)],
        ["train", "text", "--init-from", str(path)],
    )
    for command in commands:
        done = inside(*command, cwd=tmp_path)
        assert done.returncode == 1, command
        assert done.stdout == ""
        (error,) = done.stderr.splitlines()
        assert error.startswith("charrnn: error: cannot use")
        assert error.isprintable()


def test_weights_of_any_size_give_no_warning(tmp_path):
    huge = checkpoint_of("rnn-relu", hidden=4)
    huge.weights[...] = np.finfo(np.float32).max
    huge.weights[::2] *= -1
    huge.states = {}
    path = tmp_path / "huge.safetensors"
    checkpoints.save(path, huge)
    (tmp_path / "text").write_text("a\na\na" * 20)
    for command, codes in (
        (["sample", str(path), "--length", "5"], (0, 1)),
        (["eval", "text", "--run", str(path)], (0,)),
        (["diagnose", str(path), "--corpus", "text"], (0, 1)),
    ):
        done = inside(*command, cwd=tmp_path)
        assert done.returncode in codes
        assert "Warning" not in done.stderr
        assert done.stderr.count("\n") <= 1
