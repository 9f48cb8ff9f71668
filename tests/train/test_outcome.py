"""The end of a run says what its losses mean; a run that overfits is told so before its end."""

import json
from dataclasses import replace
from math import log

import numpy as np
import pytest
from helpers.commands import inside
from helpers.running import SMALL, begin, of, train

from charrnn.config import ModelConfig, TrainConfig
from charrnn.evaluate import Validation, training_loss
from charrnn.evaluate.course import Course, Point
from charrnn.evaluate.sampled import Spread
from charrnn.model.language import LanguageModel
from charrnn.report.outcome import knows_its_text
from charrnn.storage.metrics import read_metrics
from charrnn.tasks.language import LanguageTask
from charrnn.text import corpus_from_text
from charrnn.text.layout import Layout

RNG = np.random.default_rng(3)
NOISE = "".join("abcdefgh"[i] for i in RNG.integers(0, 8, 600))
"""There is nothing to learn from it but the text itself."""
MEMORISING = {"hidden": 32, "batch": 4, "seq_len": 16, "lr": 0.03, "steps": 100, "dropout": 0.0}
OFTEN = {"eval_every": 10, "log_every": 5, "val_frac": 0.4}


@pytest.fixture
def noise(home):
    (home / "noise.txt").write_text(NOISE)
    return "noise.txt"


def test_a_run_that_overfits_is_told_so(noise):
    session, records = train(noise, name="run", **MEMORISING, **OFTEN)
    end, told = records[-1], of(records, "overfitting")
    assert end.verdict == "overfitting"
    assert end.best_step < end.step
    assert end.train_loss < 0.5 * end.val_loss
    assert end.epochs == 100 / session.loop.task.windows_per_epoch
    assert len(told) == 1
    assert told[0].best_val_loss < told[0].val_loss
    lines = [line for line in read_metrics(session.folder) if line["event"] == "overfitting"]
    assert lines == [told[0].to_json()]


def test_a_run_that_goes_wrong_is_told_so_wherever_its_verdict_stands(home):
    words = np.array(["the ", "river ", "sings ", "of ", "stone ", "and ", "sun ", "while "])
    (home / "t.txt").write_text("".join(np.random.default_rng(1).choice(words, 800)))
    options = "--hidden 32 --batch 4 --seq-len 16 --eval-every 20 --log-every 5 --dropout 0"
    options += " --steps 200 --cell rnn --schedule constant --val-frac 0.2 --backend numpy"
    options += " --clip-norm 0 --warmup 200"
    for lr, codes in (("0.2", ["unstable"]), ("0.01", ["well", "cut-short"])):
        said = inside("train", "t.txt", "--name", lr, *options.split(), "--lr", lr).stderr
        told = json.loads(inside("info", lr, "--json").stdout)["verdict"]
        assert told["code"] in codes
        assert told["message"] in said
        helps = f"; a lower --lr than {lr} or --clip-norm helps"
        assert told["message"].endswith(helps) is (codes == ["unstable"])
    quick = "--windows 2 --max-lag 8 --anchors 8 --targets 8 --fail-on unstable"
    assert inside("diagnose", "0.01", *quick.split()).returncode == 0
    found = inside("diagnose", "0.2", *quick.split())
    assert found.returncode == 3
    assert "training went wrong after step" in " ".join(found.stdout.split())


def test_a_resumed_run_is_judged_as_if_it_had_not_stopped(noise):
    whole = train(noise, name="whole", **MEMORISING, **OFTEN)[1]
    at = of(whole, "overfitting")[0].step
    folder = train(noise, name="run", **MEMORISING, **OFTEN, stop=at + 5)[0].folder
    session, records = train(resume=str(folder))
    assert of(records, "overfitting") == []
    assert sum(line["event"] == "overfitting" for line in read_metrics(session.folder)) == 1
    for name in ("verdict", "train_loss", "best_step", "epochs", "xz_bits_per_char"):
        assert getattr(records[-1], name) == getattr(whole[-1], name), name


def test_a_damaged_line_of_the_metrics_does_not_stop_a_resumed_run(noise):
    folder = train(noise, name="run", **MEMORISING, **OFTEN, stop=70)[0].folder
    path = folder / "metrics.jsonl"
    first, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(b"?" * len(first) + b"\n" + rest)
    assert train(resume=str(folder))[1][-1].verdict == "overfitting"


def test_a_run_that_is_cut_short_is_told_so(text):
    end = train(text, name="run", **SMALL | {"steps": 10, "hidden": 24}, val_frac=0.3)[1][-1]
    assert (end.verdict, end.best_step) == ("cut-short", 10)
    assert abs(end.train_loss - end.val_loss) < 0.2


def test_a_run_with_nothing_left_to_learn_is_not_called_cut_short():
    course = Course()
    course.points = [Point(step, 0.32 / step, None) for step in (2, 4, 8, 16, 32, 64)]
    assert course.outcome("steps", 0.005).code == "well"
    course.points = [Point(step, 32 / step, None) for step in (2, 4, 8, 16, 32, 64)]
    assert course.outcome("steps", 0.5).code == "cut-short"


@pytest.mark.parametrize("options", [{"val_frac": 0.0}, {"stop": 5}])
def test_nothing_is_said_without_a_validation_text_or_an_end(options, text):
    end = train(text, name="run", **SMALL | options)[1][-1]
    for name in ("verdict", "train_loss", "epochs", "best_step", "bits_per_char"):
        assert getattr(end, name) is None


@pytest.mark.parametrize("examples", [None, "line"])
def test_the_training_text_is_scored_as_the_validation_text_is(examples):
    how = {"val_frac": 0.5, "layout": Layout(examples=examples)}
    corpus = corpus_from_text("a river sings of stone\n" * 400, **how)
    config = ModelConfig(hidden=7, dropout=0.4, dtype="float64")
    model = LanguageModel.fresh(config, len(corpus.vocabulary), 0)
    model.weights.flat[...] *= 3
    plan = TrainConfig(batch=2, seq_len=8)
    task = LanguageTask(model, corpus.train, corpus.val, plan)
    # The text repeats itself, so that both are as hard.
    assert task.training_loss() == pytest.approx(task.evaluate(lambda: False), abs=0.01)


@pytest.mark.parametrize("length", [2, 3, 33, 1000, 5000, 100_000])
def test_a_sample_is_spread_over_the_text(length):
    ids = RNG.integers(0, 5, length).astype(np.uint8)
    sample = Spread(ids, 16 * 1024)
    batches = list(sample)
    assert sum(batch.targets.size for batch in batches) == sample.targets <= 16 * 1024
    assert sample.targets >= min(0.9 * (length - 1), 15 * 1024)
    assert batches[0].reset.all()
    assert all(batch.reset is None for batch in batches[1:])
    first = np.concatenate([batch.inputs for batch in batches])
    each = (length - 1) // sample.batch
    for stream in range(sample.batch):
        start = stream * each
        np.testing.assert_array_equal(first[:, stream], ids[start : start + len(first)])
    model = LanguageModel.fresh(ModelConfig(hidden=3, dtype="float64"), 5, 0)
    if length == 33:
        both = training_loss(model, ids), Validation(model, ids).loss()
        assert both[0] == pytest.approx(both[1], rel=1e-12)


def test_the_sentences(noise):
    small = [f"--{name.replace('_', '-')} {value}" for name, value in (MEMORISING | OFTEN).items()]
    options = (*" ".join(small).split(), "--backend", "numpy")
    said = inside("train", noise, "--name", "run", *options).stderr.splitlines()
    line = next(line for line in said if "overfitting:" in line)
    assert line.endswith("while the training loss falls; the best checkpoint is kept")
    assert said[-3].startswith("that is ")
    assert " bits per character of the validation text; a bigram model needs " in said[-3]
    assert " by heart" in said[-2]
    events = inside("train", noise, "--name", "json", *options, "--json").stdout.splitlines()
    end = json.loads(events[-1])
    assert end["bits_per_char"] == pytest.approx(end["best_val_loss"] / log(2))
    assert end["xz_bits_per_char"] is None  # the text is too short
    assert end["unigram_bits_per_char"] == pytest.approx(3, abs=0.1)


def test_classifiers_are_judged_without_bits(home):
    rows = ["cold\tice and snow", "warm\tsun and sand"] * 60
    (home / "table.tsv").write_text("\n".join(rows) + "\n")
    small = {"hidden": 6, "steps": 30, "batch": 8, "task": "classify", "lr": 0.02, "counts": 0.0}
    end = begin_and_end("table.tsv", **small)
    assert end.verdict in ("well", "cut-short")
    assert end.train_loss == pytest.approx(end.val_loss, rel=1e-4)  # the same two texts
    assert end.bits_per_char is None
    for train_loss, known in ((0.74, True), (0.76, False), (None, False)):  # of 1: a quarter less
        assert knows_its_text(replace(end, train_loss=train_loss, val_loss=1.0)) is known


def begin_and_end(*args, **options):
    return list(begin(*args, **options).records())[-1]
