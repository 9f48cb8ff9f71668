"""An interrupted run continues as if it had not been interrupted, or says why it cannot."""

import shutil
from contextlib import closing

import pytest
from helpers import reference
from helpers.running import OFTEN, SMALL, TEXT, assert_same_run, begin, metrics, of, train

from charrnn.errors import CharRNNError, CheckpointError, CorpusError, UsageError
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs
from charrnn.train.optimizers import OPTIMIZERS
from charrnn.train.schedules.base import FLOOR

USUAL = (("lstm", 0), ("lstm", 3), ("gru-before", 0), ("rnn-tanh", 0))


@pytest.mark.parametrize(
    ("form", "embed"),
    [
        pytest.param(form, embed, marks=() if (form, embed) in USUAL else pytest.mark.slow)
        for form in reference.FORMS
        for embed in (0, 3)
    ],
)
def test_interrupted_and_resumed_equals_never_interrupted(form, embed, text):
    """At the start, within an epoch, at its end, when a record is due, before the last step."""
    options = SMALL | OFTEN | {"embed": embed} | reference.FORMS[form]
    whole, records = train(text, name="whole", **options)
    assert 12 < of(records, "start")[0].steps_per_epoch < 40
    first, records = train(text, name="parts", stop=0, **options)
    assert records[-2].event == "save"
    assert records[-1].reason == "interrupted"
    for stop in (3, 7, of(records, "start")[0].steps_per_epoch, 21, 35, 39, None):
        session, records = train(resume="parts", stop=stop)
        assert session.finished is None
        assert of(records, "start")[0].resumed
    assert records[-1].reason == "steps"
    assert_same_run(whole.folder, first.folder)


@pytest.mark.parametrize("eval_every", [0, 8, 9])
def test_interrupted_after_the_last_step_the_last_evaluation_is_still_made(eval_every, text):
    options = SMALL | {"eval_every": eval_every}
    whole, _ = train(text, name="whole", **options)
    parts, records = train(text, name="parts", stop=40, **options)
    assert records[-1].reason == "interrupted"
    train(resume="parts")
    assert_same_run(whole.folder, parts.folder)
    assert begin(resume="parts").finished == "steps"


def test_a_killed_run_is_not_ended_by_an_earlier_stop(text):
    """A typing error in --steps must not make a run that goes on count as one that has ended."""
    train(text, name="parts", stop=30, **SMALL)
    session = begin(resume="parts", steps=3)
    assert session.finished == "steps"
    assert "steps" in session.loop.stop_remedy()
    session, records = train(resume="parts")
    assert (session.finished, records[-1].step) == (None, SMALL["steps"])


def test_an_evaluation_out_of_turn_leaves_patience_and_best_alone(text):
    """The last step is measured although no evaluation is due; its weights may be kept as best."""
    session, records = train(text, **SMALL | {"eval_every": 9})
    evaluations = {record.step: record.val_loss for record in of(records, "eval")}
    assert list(evaluations) == [9, 18, 27, 36, 40]
    progress = checkpoints.load(session.folder / runs.LAST).progress
    assert evaluations[40] < evaluations[36] < evaluations[27]
    assert (progress.best_step, progress.best_scheduled_loss) == (36, evaluations[36])
    assert progress.to_json()["best_val_loss"] == evaluations[36]
    assert (progress.evaluated, progress.stale) == (36, 0)
    assert progress.val_loss == progress.kept_val_loss == evaluations[40]
    assert checkpoints.load(session.folder / runs.BEST).step == 40


@pytest.mark.parametrize("schedule", ["plateau", "cosine"])
def test_patience_and_plateau_do_not_notice_an_interruption(schedule, text):
    options = SMALL | {
        "lr": 0.4,
        "eval_every": 4,
        "patience": 3,
        "schedule": schedule,
        "steps": 200,
    }
    whole, records = train(text, name="whole", **options)
    assert records[-1].reason == "patience"
    ended = records[-1].step
    rates = {record.lr for record in of(records, "step")}
    if schedule == "plateau":
        assert 0.2 in rates
    _, records = train(text, name="parts", stop=2, **options)
    for stop in (4, 5, 9, 12, 16, ended - 1, ended, None):
        _, records = train(resume="parts", stop=stop)
    assert_same_run(whole.folder, runs.HOME / "parts")
    assert begin(resume="parts").finished == "patience"


@pytest.mark.parametrize("optimizer", OPTIMIZERS.names())
@pytest.mark.parametrize("state", ["carry", "reset"])
def test_every_optimizer_resumes(optimizer, state, text):
    options = {"optimizer": optimizer, "state": state, "weight_decay": 0.1, "clip_value": 0.05}
    options |= SMALL | {"warmup": 9, "schedule": "step"}
    whole, _ = train(text, name="whole", **options)
    parts, _ = train(text, name="parts", stop=13, **options)
    train(resume="parts")
    assert_same_run(whole.folder, parts.folder)


def test_a_run_that_was_killed_goes_on_from_its_last_save(text):
    """Killed at any record: what was written after the last save is dropped and made again."""
    whole = begin(text, name="whole", **SMALL | OFTEN)
    snapshots = []
    for number, _ in enumerate(whole.records()):
        folder = runs.HOME / f"killed-{number}"
        shutil.copytree(whole.folder, folder)
        snapshots.append(folder)
    assert len(snapshots) > 30
    resumed = 0
    for folder in snapshots[::3]:
        with (folder / runs.METRICS).open("a") as file:
            file.write('{"event": "step", "step": 999}\n{"event": "st')
        if not (folder / runs.LAST).exists():
            with pytest.raises(CharRNNError, match="no checkpoint yet"):
                begin(resume=str(folder))
            continue
        last = checkpoints.load(folder / runs.LAST).step
        _, records = train(resume=str(folder))
        if records:
            assert records[0].step == last
            assert_same_run(whole.folder, folder)
            resumed += 1
    assert resumed > 8


def test_a_run_goes_on_from_a_numbered_checkpoint(text):
    """Back to an earlier step: what came after it is dropped, and comes again."""
    whole, _ = train(text, name="whole", **SMALL | OFTEN, keep=9)
    copy = runs.HOME / "copy"
    shutil.copytree(whole.folder, copy)
    session, records = train(resume=str(copy / "step-00000015.safetensors"))
    assert session.folder == copy
    assert records[0].step == 15
    assert_same_run(whole.folder, copy)


def test_a_run_that_goes_back_keeps_the_last_checkpoints_that_it_makes_there(text):
    session, _ = train(text, name="run", **SMALL | {"save_every": 5, "keep": 9})
    train(resume=str(session.folder / runs.number(10)), stop=26, keep=2)
    assert list(runs.numbered(session.folder)) == [20, 25, 30, 35, 40]
    train(resume="run")
    assert list(runs.numbered(session.folder)) == [35, 40]


@pytest.mark.slow
def test_a_run_whose_reader_went_away_is_saved_where_it_was(text):
    """The iterator is closed at any record: no step, no evaluation and no best model is lost."""
    whole, records = train(text, name="whole", **SMALL | OFTEN)
    for number in range(0, len(records), 4):
        session = begin(text, name=f"closed-{number}", **SMALL | OFTEN)
        iterator = session.records()
        for _ in range(number + 1):
            step = next(iterator).step
        iterator.close()
        assert checkpoints.load(session.folder / runs.LAST).step == step
        train(resume=session.folder.name)
        assert_same_run(whole.folder, session.folder)


def test_a_lowered_batch_is_the_same_when_resumed(home):
    (home / "tiny.txt").write_text("abcabdabc" * 4)
    whole, _ = train("tiny.txt", name="whole", **SMALL)
    parts, _ = train("tiny.txt", name="parts", stop=9, **SMALL)
    train(resume="parts")
    assert_same_run(whole.folder, parts.folder)


def assert_at_floor(steps):
    rates = [record.lr / SMALL["lr"] for record in steps]
    assert rates == pytest.approx([FLOOR] * len(steps))


def test_a_later_stop_keeps_the_horizon_of_the_cosine_and_says_so(text):
    first, _ = train(text, name="run", **SMALL)
    assert begin(resume="run").finished == "steps"
    session, records = train(resume="run", steps=55)
    assert any("floor" in line and "40" in line for line in session.notes)
    assert [record.step for record in of(records, "step")] == list(range(41, 56))
    assert_at_floor(of(records, "step"))
    assert checkpoints.load(first.folder / runs.LAST).train.horizon == 40


def test_a_later_stop_in_the_middle_of_a_cosine_does_not_change_it(text):
    train(text, name="whole", **SMALL)
    train(text, name="run", stop=25, **SMALL)
    session, records = train(resume="run", steps=60)
    assert [line for line in session.notes if "floor" in line]
    steps = of(records, "step")
    whole = [line["lr"] for line in metrics(runs.HOME / "whole", ("step",))]
    assert [record.lr for record in steps[:15]] == whole[25:]
    assert len(steps) == 35
    assert_at_floor(steps[15:])


@pytest.mark.parametrize("limits", [{"steps": 100, "epochs": 1}, {"steps": 25, "epochs": 3}])
def test_the_horizon_is_that_of_the_limit_that_came_first(limits, text):
    _, records = train(text, name="run", **SMALL | limits)
    ended = records[-1].step
    assert ended == min(limits["steps"], limits["epochs"] * records[0].steps_per_epoch)
    _, records = train(resume="run", steps=ended + 5)
    assert len(of(records, "step")) == 5
    assert_at_floor(of(records, "step"))


def test_a_horizon_of_ones_own_stays(text):
    train(text, name="run", **SMALL, horizon=50, stop=10)
    train(resume="run", steps=60, stop=20)
    assert checkpoints.load(runs.HOME / "run" / runs.LAST).train.horizon == 50


CONFLICTS = {
    "cell": "gru",
    "layers": 2,
    "hidden": 8,
    "embed": 1,
    "dropout": 0.5,
    "dtype": "float64",
    "init": "xavier",
    "level": "byte",
    "val_frac": 0.3,
    "min_count": 3,
    "seq_len": 9,
    "batch": 3,
    "state": "reset",
    "optimizer": "sgd",
    "lr": 0.5,
    "schedule": "step",
    "warmup": 2,
    "weight_decay": 0.1,
    "clip_norm": 2.0,
    "clip_value": 2.0,
    "seed": 7,
    "eval_chars": 10,
}


def test_options_that_conflict_with_the_checkpoint_are_errors(text):
    session, _ = train(text, name="run", stop=3, **SMALL)
    before = (session.folder / runs.LAST).read_bytes()
    for option, value in CONFLICTS.items():
        with pytest.raises(UsageError) as caught:
            begin(resume="run", **{option: value})
        assert str(caught.value).startswith(f"{option} ")
        assert "conflicts with the checkpoint" in caught.value.message
        assert caught.value.exit_code == 2
    assert (session.folder / runs.LAST).read_bytes() == before
    same = {key: value for key, value in SMALL.items() if key not in ("steps", "log_every")}
    with closing(begin(text, resume="run", **same, cell="lstm", dropout=0.0)) as again:
        assert again.finished is None
    free = {"steps": 50, "log_every": 9, "eval_every": 2, "save_every": 3, "keep": 1, "patience": 4}
    assert begin(resume="run", **free).loop.config.eval_every == 2


def test_another_text_cannot_be_resumed_on(text, home):
    train(text, name="run", stop=1, **SMALL)
    (home / "other.txt").write_text(TEXT[:-1], encoding="utf-8")
    with pytest.raises(CorpusError, match="not the one"):
        begin("other.txt", resume="run")
    (home / "copy.txt").write_text(TEXT, encoding="utf-8")
    assert begin("copy.txt", resume="run").loop.progress.step == 1


def test_a_run_is_resumed_from_another_folder_without_naming_its_text(text, home, monkeypatch):
    session, _ = train("text.txt", name="run", stop=1, **SMALL)
    folder = session.folder.absolute()
    (home / "elsewhere").mkdir()
    monkeypatch.chdir(home / "elsewhere")
    _, records = train(resume=str(folder), stop=3)
    assert records[-1].step == 3


@pytest.mark.parametrize("lacks", ["moments", "states"])
def test_a_checkpoint_that_lacks_what_training_needs_is_refused(lacks, text):
    session, _ = train(text, name="run", **SMALL)
    path = session.folder / runs.LAST
    found = checkpoints.load(path)
    getattr(found, lacks).popitem()
    checkpoints.save(path, found)
    with pytest.raises(CheckpointError, match="lacks the moments or states"):
        begin(resume="run", steps=SMALL["steps"] + 1)
