"""Training as a library: what is reported, what is kept, how it ends."""

import itertools
import json
import math

import numpy as np
import pytest
from helpers import reference
from helpers.running import SMALL, TEXT, begin, metrics, of, train

from charrnn.errors import CharRNNError, CheckpointError, CorpusError, UsageError, in_words
from charrnn.model.language import LanguageModel
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import container, heldout, runs
from charrnn.storage.metrics import read_metrics
from charrnn.train import loop as loops
from charrnn.train.records import Start


def test_the_metrics_hold_what_was_reported(text):
    session, records = train(text, **SMALL, eval_every=10, save_every=20)
    lines = list(read_metrics(session.folder))
    assert lines == [json.loads(json.dumps(record.to_json())) for record in records]
    steps = of(records, "step")
    assert [record.step for record in steps] == list(range(1, 41))
    assert [record.step for record in of(records, "eval")] == [10, 20, 30, 40]
    assert steps[-1].epoch == 39 // of(records, "start")[0].steps_per_epoch
    smoothed = steps[0].loss
    for record in steps[1:]:
        smoothed += 0.02 * (record.loss - smoothed)
        assert record.smoothed == pytest.approx(smoothed, rel=1e-5)
        assert record.chars_per_second > 0


def test_a_run_folder_holds_best_last_and_numbered_checkpoints(text):
    session, records = train(text, **SMALL, eval_every=5, save_every=10, keep=2, test_frac=0.2)
    folder = session.folder
    assert folder == runs.HOME / "text"
    names = {path.name for path in folder.iterdir()}
    numbered = {"step-00000030.safetensors", "step-00000040.safetensors"}
    assert names == {runs.BEST, runs.LAST, runs.METRICS, "val.npy", "test.npy"} | numbered
    evaluations = of(records, "eval")
    best = min(evaluations, key=lambda record: record.val_loss)
    assert [record.best for record in evaluations] == [
        record.val_loss < min([math.inf, *(r.val_loss for r in evaluations[:i])])
        for i, record in enumerate(evaluations)
    ]
    kept = checkpoints.load(folder / runs.BEST)
    assert (kept.step, kept.progress.val_loss) == (best.step, best.val_loss)
    assert checkpoints.load(folder / runs.LAST).step == 40
    assert checkpoints.load(folder / "step-00000030.safetensors").step == 30
    for split, ids in (("val", session.corpus.val), ("test", session.corpus.test)):
        found = heldout.read(folder / runs.BEST, split)
        assert len(ids) > 80
        np.testing.assert_array_equal(found, ids)


def test_saved_paths_are_reported_and_the_text_without_validation_has_no_best(text):
    session, records = train(text, **SMALL, val_frac=0.0, save_every=20)
    assert {record.path for record in of(records, "save")} == {str(session.folder / runs.LAST)}
    assert [record.step for record in of(records, "save")] == [20, 40, 40]
    assert not of(records, "eval")
    assert any("no validation text" in line for line in session.notes)
    assert runs.resolve("text").name == runs.LAST
    with pytest.raises(UsageError, match="needs validation data"):
        begin(text, **SMALL, val_frac=0.0, patience=2)


def test_training_stops_at_the_first_of_its_limits(text):
    _, records = train(text, name="a", **SMALL | {"steps": 3, "epochs": 2})
    assert (records[-1].step, records[-1].reason) == (3, "steps")
    _, records = train(text, name="b", **SMALL | {"steps": 100, "epochs": 1.5})
    period = records[0].steps_per_epoch
    assert (records[-1].step, records[-1].reason) == (math.ceil(1.5 * period), "epochs")
    assert records[-1].epoch == 1


@pytest.mark.parametrize(
    ("limits", "resumed", "advice", "more"),
    [
        ({"steps": 30}, {}, "a larger steps", {"steps": 31}),
        ({"epochs": 1}, {}, "a larger epochs", {"epochs": 2}),
        ({"steps": 100, "epochs": 1}, {}, "a larger epochs", {"epochs": 2}),
        ({"minutes": 1e-9}, {}, "a larger minutes", {"minutes": 9}),
        ({"patience": 2, "lr": 9.0}, {}, "patience 0 or above 2", {"patience": 3}),
        (
            {"patience": 2, "lr": 9.0},
            {"minutes": 1e-9},
            "a larger minutes and patience 0 or above 2",
            {"minutes": 9, "patience": 0},
        ),
    ],
)
def test_the_advice_to_a_run_that_has_finished_lets_it_continue(
    limits, resumed, advice, more, text
):
    options = {key: value for key, value in SMALL.items() if key != "steps"}
    train(
        text, name="run", **options | {"clip_norm": 0, "eval_every": 2, "max_rollbacks": 9} | limits
    )
    session = begin(resume="run", **resumed)
    assert session.finished
    assert in_words(session.loop.stop_remedy()) == advice
    assert begin(resume="run", **more).finished is None


def test_a_time_limit_ends_training_and_is_the_horizon_of_the_schedule(text, monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(loops, "perf_counter", lambda: float(next(clock)))
    options = {key: value for key, value in SMALL.items() if key != "steps"}
    _, records = train(text, **options, minutes=3, plan="none")
    assert records[-1].reason == "minutes"
    assert 170 < records[-1].seconds < 200  # with the last evaluation
    assert 10 < records[-1].step < 60
    assert records[0].total_steps is None
    rates = [record.lr / SMALL["lr"] for record in of(records, "step")]
    assert rates[0] > 0.98
    assert rates[-1] < 0.05
    assert all(a > b for a, b in itertools.pairwise(rates))


@pytest.mark.parametrize("form", reference.FORMS)
@pytest.mark.parametrize("alphabet", ["a", "ab"])
def test_the_smallest_sizes_of_everything_work(form, alphabet, home):
    (home / "tiny.txt").write_text(alphabet * 20)
    sizes = {"hidden": 1, "layers": 1, "batch": 1, "seq_len": 1, "embed": 1, "dropout": 0.5}
    session, records = train("tiny.txt", **SMALL | sizes, **reference.FORMS[form])
    assert records[-1].step == 40
    if alphabet == "a":
        assert {record.loss for record in of(records, "step")} == {0.0}
    loaded = checkpoints.load(session.folder / runs.LAST)
    np.testing.assert_array_equal(loaded.weights, session.model.weights.flat)


def test_a_little_text_lowers_batch_and_window_and_none_makes_no_folder(home):
    (home / "tiny.txt").write_text("abcabcabc")
    session, records = train("tiny.txt", **SMALL | {"steps": 2}, val_frac=0.0)
    assert (records[0].batch, records[0].seq_len) == (1, 8)
    assert any("using 1 stream × 8 steps instead" in line for line in session.notes)
    (home / "one.txt").write_text("a")
    with pytest.raises(CorpusError, match="at least 2"):
        begin("one.txt", **SMALL, val_frac=0.0)
    assert [path.name for path in runs.HOME.iterdir()] == ["tiny"]


def test_samples_are_shown_as_training_goes(text):
    session, records = train(text, **SMALL | {"steps": 9}, sample_every=4)
    shown = of(records, "sample")
    assert [record.step for record in shown] == [4, 8]
    assert all(isinstance(record.text, str) and record.text for record in shown)
    train(text, name="others", **SMALL | {"steps": 9})
    assert metrics(session.folder) == metrics(runs.HOME / "others")


def test_the_start_says_what_is_trained(text):
    _, records = train(text, **SMALL | {"steps": 1}, test_frac=0.25)
    start = records[0]
    assert isinstance(start, Start)
    symbols = len(set(TEXT))
    assert (start.vocabulary, start.step, start.resumed) == (symbols, 0, False)
    assert start.parameters == 24 * symbols + 24 * 6 + 24 + 7 * symbols
    assert start.train_chars + start.val_chars + start.test_chars == len(TEXT)
    assert start.steps_per_epoch == (start.train_chars - 1) // 4 // 8
    assert start.total_steps == 1


def test_a_full_disk_is_an_error_of_one_line(text, monkeypatch):
    session = begin(text, **SMALL, save_every=5)

    def fail(handle):
        raise OSError(28, "No space left on device")

    records = session.records()
    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(CharRNNError, match="No space left on device") as caught:
        list(records)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_names_the_task_that_was_trained(text, monkeypatch):
    session, _ = train(text, **SMALL | {"steps": 2})
    _, facts = container.read(session.folder / runs.LAST)
    assert facts["head"] == session.model.kind == "language-model"
    with monkeypatch.context() as patch:
        patch.setattr(LanguageModel, "kind", "parity")
        other, _ = train(text, name="other", **SMALL | {"steps": 2})
    with pytest.raises(CheckpointError, match="unknown head kind 'parity'"):
        checkpoints.load(other.folder / runs.LAST)
