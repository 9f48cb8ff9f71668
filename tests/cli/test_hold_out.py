"""What is held out can be drawn over the whole text."""

import json
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import inside

SMALL = ("--hidden", "4", "--batch", "4", "--seq-len", "8", "--backend", "numpy", "--quiet")


@pytest.fixture(autouse=True)
def _text(home, cache_folder):
    text = "".join(f"{n:04} {'abc'[n % 3] * (n % 7)}\n" for n in range(700))
    Path("t.txt").write_text(text)


def run(*arguments, code=0):
    done = inside(*arguments)
    assert done.returncode == code, done.stderr
    return done


@pytest.mark.parametrize("hold_out", ["blocks", pytest.param("examples", marks=pytest.mark.slow)])
def test_a_resumed_run_holds_out_the_same(hold_out):
    options = ("--hold-out", hold_out, "--seed", "3", "--test-frac", "0.1", *SMALL)
    run("train", "t.txt", *options, "--steps", "30", "--horizon", "30", "--name", "cut")
    run("train", "t.txt", *options, "--steps", "12", "--horizon", "30", "--name", "two")
    run("train", "--resume", "two", "--steps", "30", "--quiet", "--backend", "numpy")
    for split in ("val", "test"):
        scores = [run("eval", "--split", split, "--run", n, "--json") for n in ("cut", "two")]
        assert len({json.loads(score.stdout)["nats"] for score in scores}) == 1
        held = np.load(f"checkpoints/cut/{split}.npy")
        np.testing.assert_array_equal(held, np.load(f"checkpoints/two/{split}.npy"))
        assert abs(len(held) - Path("t.txt").stat().st_size / 10) < 100
    said = run("info", "two").stdout
    assert f"--hold-out {hold_out}" in said
    refused = run("train", "--resume", "two", "--hold-out", "tail", "--steps", "40", code=2).stderr
    assert "--hold-out tail conflicts with the checkpoint" in refused


@pytest.mark.parametrize("more", [("--val", "t.txt"), ("--val-frac", "0")])
def test_a_hold_out_of_nothing_is_refused(more):
    refused = run("train", "t.txt", "--hold-out", "blocks", *more, code=2).stderr
    assert (
        "--hold-out blocks only applies to a fraction of the text, but none is held out" in refused
    )
    tested = ("--hold-out", "blocks", "--test-frac", "0.1", "--hidden", "4", "--dry-run", "--json")
    run("train", "t.txt", *more, *tested)
