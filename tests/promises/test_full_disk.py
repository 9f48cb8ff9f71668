"""A disk that is full while a table is read: one line that names the place, and no remains."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from helpers.commands import charrnn, inside

pytestmark = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="needs a device that is full"
)
ROWS = {
    "classify": "one\tthe cat\ntwo\tthe dog\n",
    "generate": "one\tthe cat\ntwo\tthe dog\n",
    "transduce": "the cat\tcat\nthe dog\tdog\n",
    "tag": "the\tD\ncat\tN\n\n",
}
SMALL = ("--hidden", "4", "--steps", "1", "--backend", "numpy", "--batch", "2")


def full(*_, dir=None, **__):
    return Path("/dev/full").open("r+b", buffering=0)


def told(folder):
    return (
        f"charrnn: error: cannot write the cache of encoded texts in {folder}: No space left on "
        "device; free space there, or set CHARRNN_CACHE to another folder\n"
    )


@pytest.mark.parametrize("task", ROWS)
@pytest.mark.parametrize("rows", [9, 20_000])
def test_while_a_table_is_read(task, rows, home, cache_folder, monkeypatch, capfd):
    """Few rows are written when the table has been read, many while it is."""
    (home / "t.txt").write_text(ROWS[task] * rows)
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    done = inside("train", "t.txt", "--task", task, *SMALL, "--name", "a")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", told(cache_folder))
    assert capfd.readouterr().err == ""  # of buffers that could not be written on closing
    assert not (home / "checkpoints").exists() or not list((home / "checkpoints").iterdir())
    assert [path for path in cache_folder.rglob("*") if path.is_file()] == []
    monkeypatch.undo()


@pytest.mark.parametrize("task", ["classify", "transduce", "tag"])
def test_while_examples_are_scored(task, home, cache_folder, monkeypatch):
    (home / "t.txt").write_text(ROWS[task] * 9)
    assert inside("train", "t.txt", "--task", task, *SMALL, "--name", "a").returncode == 0
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    done = inside("eval", "t.txt", "--run", "a")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", told(cache_folder))


SCRIPT = """
mount -t tmpfs -o size=64k none disk
export CHARRNN_CACHE="$PWD/disk/cache"
"$1" -m charrnn train t.txt --task classify --hidden 4 --steps 1 --backend numpy --name a
echo "$?"
mount -o remount,size=100m disk
"$1" -m charrnn train t.txt --task classify --hidden 4 --steps 1 --backend numpy --name a -q
echo "$?"
find disk -type f | wc -l
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs mounts")
def test_a_real_disk_that_is_full_and_then_has_room(home):
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("no namespace for mounts")
    (home / "t.txt").write_text(ROWS["classify"] * 5000)
    (home / "disk").mkdir()
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", SCRIPT, "sh", sys.executable],
        capture_output=True,
        text=True,
        cwd=home,
        timeout=300,
    )
    assert done.stdout.split() == ["1", "0", "0"], done.stderr
    assert done.stderr == told(home / "disk" / "cache")
    assert charrnn("predict", "a", "t.txt", cwd=home).returncode == 0
