"""What the README says is so."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def test_the_tree_is_the_tree():
    tree = re.search(r"```\ncharrnn/\n(.*?)```", README, re.S)
    assert tree
    named = {line.split()[0].rstrip("/") for line in tree[1].splitlines() if line.startswith("  ")}
    package = ROOT / "charrnn"
    there = {
        p.name
        for p in package.iterdir()
        if not p.name.startswith(("__", ".")) and p.name != "py.typed"
    }
    assert named == there
    for line in tree[1].splitlines():
        if not line.startswith("  "):
            assert (ROOT / line.split()[0]).is_dir()


def test_every_command_and_corpus_is_named():
    from charrnn.cli.app import app
    from charrnn.text.builtin import NAMES

    commands = [command.name for command in app.registered_commands]
    for name in (*commands, "corpus"):
        assert f"`charrnn {name}" in README
    for name in NAMES:
        assert f"| `{name}` |" in README


@pytest.mark.parametrize("block", [b for b in re.findall(r"```python\n(.*?)```", README, re.S)
                                   if "torch" not in b])  # fmt: skip
def test_the_examples_run(block, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
