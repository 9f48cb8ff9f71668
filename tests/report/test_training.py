"""The reports of training in words."""

import pytest

from charrnn.report.training import conclusion, describe
from charrnn.train.records import End, Start

START = Start(
    step=0,
    run="checkpoints/poems",
    resumed=False,
    cell="lstm",
    layers=1,
    hidden=4,
    embed=0,
    dtype="float32",
    parameters=1,
    vocabulary=1,
    level="char",
    train_chars=1,
    val_chars=0,
    test_chars=0,
    batch=1,
    seq_len=1,
    steps_per_epoch=1,
    total_steps=1,
    minutes=1.0,
    backend="numpy",
    matmul="fp32",
    core=None,
    seed=0,
    version="0",
)


def test_one_thing_is_not_a_plural():
    said = describe(START)
    assert "1 parameter, float32" in said
    assert "\n1 character to train on; 1 symbol; 1 step per epoch, until 1 step or 1 minute" in said


def test_several_things_are():
    several = {"train_chars": 1200, "vocabulary": 2, "steps_per_epoch": 3, "minutes": 2.5}
    said = describe(Start(**{**vars(START), **several, "total_steps": None}))
    assert "\n1,200 characters to train on; 2 symbols; 3 steps per epoch, until 2.5 minutes" in said


@pytest.mark.parametrize("again", ["", " --core numpy --matmul bf16"])
def test_an_interrupted_run_is_continued_with_what_computed_it(again):
    facts = {"step": 9, "epoch": 3, "val_loss": None, "best_val_loss": None, "seconds": 1.0}
    end = End(**facts, run="r", reason="interrupted", smoothed=1.0)
    said = conclusion(end, START, again)
    assert said.endswith(f"saved; to continue: charrnn train --resume r{again}")
