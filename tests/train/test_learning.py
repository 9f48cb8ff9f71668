"""Training finds what there is to learn, and survives what happens to real processes."""

import json
import math
import os
import random
import signal

import pytest
from helpers import commands
from helpers.running import assert_same_run

from charrnn.config import ModelConfig, TrainConfig
from charrnn.model.language import LanguageModel
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs
from charrnn.tasks.language import LanguageTask
from charrnn.text import builtin, corpus_from_text
from charrnn.train.loop import Loop

LN2 = math.log(2)


def fit(text, cell="lstm", hidden=32, val_frac=0.2, **options):
    """Return the validation loss after training on a text, in nats per character."""
    corpus = corpus_from_text(text, val_frac=val_frac)
    model = LanguageModel.fresh(ModelConfig(cell=cell, hidden=hidden), len(corpus.vocabulary), 1)
    loop = Loop(
        LanguageTask(model, corpus.train, corpus.val, TrainConfig(**{"eval_every": 0} | options)),
        TrainConfig(**{"eval_every": 0} | options),
    )
    return list(loop.records())[-1].val_loss


def made(name, chars, **options):
    return b"".join(builtin.generate(name, chars, 3, **options)).decode()


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_hello_is_learned(cell):
    assert fit("hello" * 200, cell, 16, steps=150, lr=0.03, batch=8, seq_len=10) < 0.02


@pytest.mark.slow
def test_the_reber_grammar_is_learned():
    """To within 0.01 nats of 7/13 bits per character; the other cells for comparison."""
    text, entropy = made("reber", 400_000), 7 / 13 * LN2
    options = {"val_frac": 0.25, "steps": 1500, "lr": 1e-2, "batch": 32, "seq_len": 40}
    losses = {cell: fit(text, cell, **options) for cell in ("lstm", "gru", "rnn")}
    print({cell: round(loss, 4) for cell, loss in losses.items()})
    assert abs(losses["lstm"] - entropy) < 0.01
    assert all(math.isfinite(loss) and loss > entropy - 0.01 for loss in losses.values())


@pytest.mark.slow
def test_a_lag_inside_the_window_is_learned_and_one_beyond_a_reset_window_is_not():
    text = made("copy-lag", 300_000, lag=6, flip=0.1)
    entropy = -(0.1 * math.log(0.1) + 0.9 * math.log(0.9))
    options = {"steps": 600, "lr": 1e-2, "batch": 32}
    assert fit(text, seq_len=24, **options) == pytest.approx(entropy, abs=0.02)
    blind = fit(text, seq_len=5, state="reset", **options)
    assert blind == pytest.approx(LN2, abs=0.01)


def start(*arguments):
    return commands.start("train", *arguments, "--json", "--backend", "numpy")


def stop_at(process, step, number):
    """Send a signal once the process has reported a step; return what it had to say."""
    for line in process.stdout:
        record = json.loads(line)
        if record["event"] == "step" and record["step"] >= step:
            process.send_signal(number)
            break
    rest, errors = process.communicate(timeout=60)
    return rest, errors


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_process_that_is_interrupted_and_killed_ends_as_one_that_is_not(cell, home):
    (home / "text.txt").write_text(made("markov", 90_000))
    options = ["--cell", cell, "--layers", "2", "--hidden", "48", "--dropout", "0.2", "--steps"]
    options += ["400", "--batch", "16", "--seq-len", "32", "--log-every", "1", "--save-every", "30"]
    options += ["--eval-every", "70", "--eval-chars", "2000"]
    whole = start("text.txt", "--name", "whole", *options)
    _, errors = whole.communicate(timeout=120)
    assert whole.returncode == 0, errors
    chance = random.Random(cell)
    folder = runs.HOME / "parts"
    arguments = ["text.txt", "--name", "parts", *options]
    step, interrupts, kills = 0, 0, 0
    for _ in range(6):
        step += chance.randint(30, 50)
        number = chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGKILL])
        process = start(*arguments)
        _, errors = stop_at(process, step, number)
        if number == signal.SIGKILL:
            kills += 1
            assert process.returncode == -number
        else:
            interrupts += 1
            assert process.returncode == 128 + number, errors
            assert "Traceback" not in errors
            assert checkpoints.load(folder / runs.LAST).step >= step
        assert not list(folder.glob("step-*"))
        arguments = ["text.txt", "--resume", "parts"]
    assert kills
    assert interrupts
    last = start(*arguments)
    _, errors = last.communicate(timeout=120)
    assert last.returncode == 0, errors
    assert_same_run(runs.HOME / "whole", folder)
    again = start(*arguments)
    out, errors = again.communicate(timeout=60)
    assert again.returncode == 0
    assert out == ""
    assert "finished" in errors
