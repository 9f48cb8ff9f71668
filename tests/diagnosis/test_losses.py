"""A diagnosis of a run says what its losses say: unstable, overfitting, cut short, or nothing."""

import json

from helpers.commands import inside
from helpers.running import SMALL, train

from charrnn.backend import numpy_backend
from charrnn.diagnosis.examine import examine
from charrnn.diagnosis.losses import recorded
from charrnn.diagnosis.settings import Settings
from charrnn.diagnosis.subjects import of_checkpoint
from charrnn.storage import checkpoint as checkpoints

QUICK = Settings(windows=2, max_lag=8, anchors=8, targets=8, lyapunov_steps=50, exponents=1)


def told(folder, name="best.safetensors"):
    loaded = checkpoints.load(folder / name, finite=False)
    return {v.code: v for v in examine(of_checkpoint(loaded, numpy_backend()), QUICK).verdicts}


def end_with(folder, verdict, **more):
    """Write metrics of a run that goes wrong, overfits, is cut short, or does well."""
    losses = {
        "unstable": (2.0, 2.2, 3.4),
        "overfitting": (2.0, 2.2, 2.5),
        "cut-short": (3.0, 2.5, 2.0),
        "well": (2.05, 2.0, 2.0),
    }
    start = {"event": "start", "steps_per_epoch": 10, "val_chars": 10**6, "train_chars": 10**7}
    start |= more
    slope = 3 if verdict == "unstable" else -1
    lines = [start]
    for step, loss in zip((10, 20, 40), losses[verdict], strict=True):
        lines.append({"event": "step", "step": step, "smoothed": 2.5 + slope * step / 100})
        lines.append({"event": "eval", "step": step, "val_loss": loss})
    lines.append({"event": "end", "step": 40, "reason": "steps"})
    lines[-1]["train_loss"] = 3.8 if verdict == "unstable" else 1.9
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_the_verdicts_on_the_losses_of_a_run(text):
    folder = train(text, name="run", **SMALL)[0].folder
    end_with(folder, "well")
    assert not told(folder).keys() & {"unstable", "overfitting", "cut-short"}
    end_with(folder, "overfitting")
    verdict = told(folder)["overfitting"]
    assert verdict.basis == "measurement"
    assert "is 2.5 nats at step 40, after 2 at step 10, the training loss 1.9" in verdict.message
    assert "dropout" in verdict.remedy
    assert "network alone" not in verdict.message
    end_with(folder, "overfitting", grams=9)
    assert "loss 1.9 of the network alone" in told(folder)["overfitting"].message
    assert "cut-short" not in told(folder)
    end_with(folder, "cut-short")
    verdict = told(folder, "last.safetensors")["cut-short"]
    assert "ended after 4 epochs" in verdict.message
    assert "overfitting" not in told(folder)
    end_with(folder, "unstable")
    assert not told(folder).keys() & {"overfitting", "cut-short"}
    verdict = told(folder)["unstable"]
    assert verdict.message.startswith("training went wrong after step 10: the validation loss is ")
    assert "3.4 nats at step 40, after 2 at step 10, the training loss 3.8" in verdict.message
    assert verdict.remedy == "a lower lr or a lower clip_norm"


def test_metrics_that_are_missing_or_damaged_say_nothing(text):
    folder = train(text, name="run", **SMALL)[0].folder
    for content in ("", "?\n", '{"event": "eval"}\n'):
        (folder / "metrics.jsonl").write_text(content)
        assert recorded(folder / "best.safetensors") is None
    (folder / "metrics.jsonl").unlink()
    assert recorded(folder / "best.safetensors") is None
    assert recorded(None) is None


def test_the_command_names_options_and_fails_on_the_verdict(text):
    folder = train(text, name="run", **SMALL)[0].folder
    end_with(folder, "overfitting")
    quick = ("--windows", "2", "--max-lag", "8", "--anchors", "8", "--targets", "8")
    done = inside("diagnose", "run", *quick, "--fail-on", "overfitting")
    assert done.returncode == 3
    assert "learned the training text by heart" in " ".join(done.stdout.split())
    assert "--dropout" in done.stdout
