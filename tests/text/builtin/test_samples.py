"""The samples in corpora/ and what their README says of them."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from charrnn.cli.corpus import app
from charrnn.text import builtin

CORPORA = Path(__file__).parents[3] / "corpora"
ROW = re.compile(
    r"\| `(?P<file>[\w.-]+)` \| `charrnn corpus (?P<command>[^`]+)` \| (?P<nats>[\d.]+)"
)
ROWS = [found.groupdict() for found in ROW.finditer((CORPORA / "README.md").read_text("utf-8"))]


def test_every_sample_is_in_the_readme():
    samples = {path.name for path in CORPORA.iterdir()} - {"README.md"}
    generated = {f"{n}.txt" for n in builtin.NAMES if not n.startswith("python-")}
    assert {row["file"] for row in ROWS} == samples == generated


@pytest.mark.parametrize("row", ROWS, ids=[row["file"] for row in ROWS])
def test_the_command_makes_the_sample_and_the_entropy_is_right(row, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, shlex.split(row["command"]))
    assert result.exit_code == 0
    made = (tmp_path / row["file"]).read_bytes()
    assert made == (CORPORA / row["file"]).read_bytes()
    name = row["file"].removesuffix(".txt")
    assert builtin.info(name).entropy == pytest.approx(float(row["nats"]), abs=5.1e-7)
