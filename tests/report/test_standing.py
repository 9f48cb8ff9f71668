"""How a run is doing: in a line, from its metrics and its lock."""

import json

import pytest

from charrnn.report.standing import standing

START = {"event": "start", "step": 0, "task": "lm", "total_steps": 200, "minutes": None,
         "steps_per_epoch": 100, "train_chars": 9000, "val_chars": 1000}  # fmt: skip
STEP = {"event": "step", "step": 50, "smoothed": 2.0, "seconds": 30.0}
EVAL = {"event": "eval", "step": 40, "val_loss": 2.5, "best": True, "seconds": 20.0}
END = {"event": "end", "step": 200, "reason": "steps", "epoch": 2, "val_loss": 2.5,
       "best_val_loss": 2.5, "seconds": 60.0, "verdict": "well", "train_loss": 2.4, "epochs": 2.0,
       "best_step": 40, "no_better_than": None, "guess_loss": 4.0}  # fmt: skip


def of(*lines, running=False):
    found = standing("checkpoints/r", lines, running)
    assert found is not None
    assert json.dumps(found.to_json())
    return found


def test_a_run_that_is_training_says_how_far_it_is():
    code, words, message = of(START, STEP, EVAL, running=True)
    assert (code, words) == ("running", "running, 25%")
    place = "running, at step 50 of 200 (25%), 1 m 30 s left"
    said = f"{place}; validation loss 2.5, the best 2.5 at step 40"
    assert message == said
    told = of(START, STEP, EVAL, {"event": "overfitting", "step": 40}, running=True)
    assert told.message == f"{said}; it overfits"
    timed = {**START, "total_steps": None, "minutes": 1}
    assert of(timed, STEP, running=True).message == "running, at step 50 (50%), 30 s left"
    assert of(START, running=True).message == "running, at step 0 of 200 (0%)"


def test_a_run_that_was_stopped_says_how_to_go_on():
    code, words, message = of(START, STEP)
    assert (code, words) == ("stopped", "stopped at 25%")
    resume = "; to continue: charrnn train --resume checkpoints/r"
    assert message == f"ended by a kill or a failure at step 50 of 200 (25%){resume}"
    end = {**END, "reason": "interrupted", "step": 60, "verdict": None}
    assert of(START, STEP, end).message == f"interrupted at step 60 of 200 (30%){resume}"
    resumed = {**START, "step": 60, "resumed": True, "total_steps": 100}
    assert of(START, STEP, end, resumed, {**STEP, "step": 70}).words == "stopped at 70%"


@pytest.mark.parametrize(
    ("recorded", "command"),
    [
        ({"again": ["--backend", "numpy", "--threads", "1"]},
         "charrnn train --resume checkpoints/r --backend numpy --threads 1"),
        ({"ranks": 3, "sync_every": 4}, "mpirun -n 3 charrnn train --resume checkpoints/r"),
        ({"ranks": 2, "shard_files": True}, "mpirun -n 2 charrnn train --resume checkpoints/r"),
        ({"ranks": 2, "sync_every": 1}, "charrnn train --resume checkpoints/r"),
        # what nobody gave: a file that somebody else wrote
        ({"again": ["--plugin", "evil.py", "--core", "a; b", ["--core"], 1, "--threads"]},
         "charrnn train --resume checkpoints/r --core 'a; b'"),
        ({"again": "--core"}, "charrnn train --resume checkpoints/r"),
        ({"ranks": "2; b", "sync_every": "9"}, "charrnn train --resume checkpoints/r"),
    ],
)  # fmt: skip
def test_it_goes_on_with_what_it_was_computed_with(recorded, command):
    assert of({**START, **recorded}, STEP).message.endswith(f"; to continue: {command}")


@pytest.mark.parametrize(
    ("end", "code", "words", "message"),
    [
        ({}, "well", "doing well", "training loss 2.4, validation loss 2.5: no sign of"),
        ({"train_loss": 1.8}, "well", "short of text", "knows the training text much better"),
        ({"verdict": "cut-short"}, "cut-short", "cut short", "still improving when it ended"),
        ({"verdict": "overfitting"}, "overfitting", "learned by heart", "--dropout or a smaller"),
        ({"verdict": "unstable"}, "unstable", "went wrong", "training went wrong after step 40; "),
        ({"verdict": None, "no_better_than": "unigram"}, "no-better", "no better than a guess",
         "no better than a guess by the frequencies of the symbols (4.0000 nats)"),
    ],
)  # fmt: skip
def test_a_run_that_has_ended_has_the_verdict_of_its_end(end, code, words, message):
    found = of(START, STEP, EVAL, {**END, **end})
    assert found[:2] == (code, words)
    assert message in found.message


def test_a_run_that_went_wrong_is_told_the_rate_that_it_had():
    evals = [{**EVAL, "step": step, "val_loss": loss} for step, loss in ((40, 2.5), (200, 3.4))]
    wrong = [evals[0], {**STEP, "smoothed": 3.3}, evals[1], {**END, "verdict": "unstable"}]
    for limit, helps in ((1.0, "a lower --clip-norm"), (0.0, "--clip-norm"), ("?", "--clip-norm")):
        told = of({**START, "lr": 0.008, "clip_norm": limit}, STEP, *wrong).message
        assert "validation loss 3.4 (the best, 2.5 at step 40, is kept): training went" in told
        assert told.endswith(f"after step 40; a lower --lr than 0.008 or {helps} helps")
    bare = [{key: END[key] for key in ("event", "step", "reason", "train_loss")}]
    judged = of(START, STEP, *wrong[:3], {**bare[0], "train_loss": 3.2})
    assert judged.code == "unstable"  # a version without it wrote this run


def test_a_run_without_validation_has_no_verdict():
    bare = {**END, "verdict": None, "val_loss": None, "best_val_loss": None}
    assert of(START, STEP, bare).code == "ended"


def test_records_of_a_version_without_verdicts_are_judged():
    evals = [{**EVAL, "step": n, "val_loss": 2 + abs(n - 80) / 50} for n in range(20, 220, 20)]
    steps = [{**STEP, "step": n, "smoothed": 3 - n / 100} for n in range(20, 220, 20)]
    lines = [line for both in zip(steps, evals, strict=True) for line in both]
    old = {name: END[name] for name in ("event", "step", "reason")}
    found = of(START, *lines, old)
    assert (found.code, "the best, 2 at step 80" in found.message) == ("overfitting", True)


def test_what_is_invalid_is_passed_over():
    assert standing("r", [], False) is None
    assert standing("r", [{"event": "step", "step": 3}], True) is None
    hostile = [{**START, "total_steps": "x", "minutes": {}}, {**STEP, "step": None, "seconds": "y"}]
    assert of(*hostile, running=True).message == "running, at step 0"
    broken = {**END, "verdict": ["x"], "no_better_than": 3, "val_loss": "?", "reason": 5}
    assert of(START, broken).code == "ended"
    assert of(START, EVAL, {**broken, "verdict": "well"}).code == "well"
