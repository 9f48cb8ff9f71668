"""SIGKILL at any moment: every checkpoint loads, and the resumed run ends as an undisturbed one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked and killed")


def killed(trials, seed):
    """Run trials in a separate process; return its figures."""
    script = Path(__file__).parents[1] / "helpers" / "killing.py"
    done = subprocess.run(
        [sys.executable, str(script), "--trials", str(trials), "--seed", str(seed)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_killed_a_few_times():
    figures = killed(2, 3)
    assert figures["equal"] == figures["trials"] == 2
    assert figures["kills inside a save"] > 0


@pytest.mark.slow
def test_killed_many_times():
    trials = int(os.environ.get("CHARRNN_KILLS", "60"))
    figures = killed(trials, 2)
    print(figures)
    assert figures["equal"] == figures["trials"] == trials
    assert figures["kills inside a save"] >= trials / 2
    assert figures["kills before the first save"] > 0
