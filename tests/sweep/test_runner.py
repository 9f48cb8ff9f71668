"""Trials are ordinary runs; they are shared, continued, stopped early, and the best one is kept."""

import json
from pathlib import Path

import pytest
from helpers.running import SMALL, TEXT, ask, assert_same_run, train

from charrnn.backend import select
from charrnn.errors import CharRNNError, UsageError
from charrnn.own import own
from charrnn.storage import runs
from charrnn.sweep.folder import Folder, find
from charrnn.sweep.records import SweepEnd, TrialEnd, TrialEval
from charrnn.sweep.runner import Runner
from charrnn.sweep.settings import SweepConfig
from charrnn.sweep.space import read
from charrnn.sweep.study import Study

pytest.importorskip("optuna")

SHARED = {**SMALL, "eval_every": 10, "hidden": 4}


@pytest.fixture(autouse=True)
def corpus(home):
    Path("text.txt").write_text(TEXT)


def runner(*tries, name="s", stopped=lambda: False, shared=SHARED, **config):
    names = {typed.partition("=")[0] for typed in tries}
    given = {key: value for key, value in shared.items() if key not in names}
    space, settings = read(tries, ask("text.txt", **given)), SweepConfig(**config)
    folder = Folder(runs.HOME / name)
    folder.settle(space.settings(space.search(settings)))
    return Runner(space, settings, folder, select("numpy"), stopped)


def run(*tries, **options):
    """Run a sweep to its end; return the last record."""
    *_, end = runner(*tries, **options).records()
    assert isinstance(end, SweepEnd)
    return end


def until(records, kind, count=1):
    """Take records until the ``count``-th of a kind."""
    for record in records:
        count -= isinstance(record, kind)
        if not count:
            return record
    raise AssertionError(f"there are fewer {kind.__name__}")


def test_each_trial_is_the_run_that_train_makes(home):
    end = run("hidden=4,6", keep_runs="all")
    assert [trial.state for trial in end.trials] == ["complete"] * 2
    for trial in end.trials:
        train("text.txt", name=f"alone-{trial.number}", **{**SHARED, **trial.options})
        assert_same_run(Path(trial.run), runs.HOME / f"alone-{trial.number}")
    assert end.best.loss == min(trial.loss for trial in end.trials)
    assert runs.resolve("s") == Path(end.best.run) / runs.BEST
    assert runs.resolve(str(runs.HOME / "s"), "last") == Path(end.best.run) / runs.LAST

    again = run("hidden=4,6")  # nothing is left to do but to clear up
    assert again.trials == end.trials
    kept = {path.parent.name for path in (runs.HOME / "s").rglob("*.safetensors")}
    assert kept == {Path(end.best.run).name}
    assert len(list((runs.HOME / "s").rglob("metrics.jsonl"))) == 2
    assert find("s").path == runs.HOME / "s"


def test_an_interrupted_trial_is_continued_exactly(home):
    stop = []
    first = runner("lr=0.01,0.03", stopped=lambda: bool(stop), keep_runs="all")
    records = first.records()
    until(records, TrialEval, 2)
    stop.append(True)
    *_, end = records
    assert (end.reason, [trial.state for trial in end.trials]) == ("interrupted", ["running"])
    assert 0 < end.trials[0].step < SHARED["steps"]
    assert runs.resolve("s") == Path(end.best.run) / runs.BEST

    done = run("lr=0.01,0.03", keep_runs="all")
    assert [trial.state for trial in done.trials] == ["complete"] * 2
    assert done.trials[0].options == end.trials[0].options
    train("text.txt", name="alone", **{**SHARED, **end.trials[0].options})
    assert_same_run(Path(end.trials[0].run), runs.HOME / "alone")


@pytest.mark.slow
def test_two_share_the_trials_and_one_that_left_is_replaced(home):
    tries = ("hidden=2,3,4", "lr=0.01,0.03")
    one = runner(*tries).records()
    until(one, TrialEval)  # it holds the first trial
    two = runner(*tries).records()
    assert until(two, TrialEnd).trial.number == 2
    assert until(one, TrialEnd).trial.number == 1
    assert until(one, TrialEval).trial.number == 3
    one.close()  # as if it were killed: its trial is unfinished, and nobody holds it
    *_, end = two
    assert sorted(trial.number for trial in end.trials) == [1, 2, 3, 4, 5, 6]
    assert all(trial.state in ("complete", "pruned") for trial in end.trials)
    assert len({tuple(trial.options.items()) for trial in end.trials}) == 6


@pytest.mark.slow
def test_what_is_left_to_others_is_not_waited_for(home):
    one = runner("lr=0.01,0.03").records()
    until(one, TrialEval)
    end = run("lr=0.01,0.03")
    assert [trial.state for trial in end.trials] == ["running", "complete"]
    one.close()


@pytest.mark.slow
@pytest.mark.parametrize("search", ["random", "tpe"])
def test_what_is_drawn_depends_on_the_seed_and_the_number(search, home):
    tries = ("lr=0.001..0.1:log", "hidden=2..6", "dropout=0..0.5")
    shared = {**SHARED, "steps": 3}
    whole = run(*tries, name="whole", search=search, trials=4, shared=shared)
    parts = [run(*tries, name="p", search=search, trials=k, shared=shared) for k in (1, 2, 4)]
    options = [trial.options for trial in whole.trials]
    assert [trial.options for trial in parts[-1].trials] == options
    assert len({drawn["lr"] for drawn in options}) == 4
    assert all(0.001 <= o["lr"] <= 0.1 and o["hidden"] in range(2, 7) for o in options)
    other = run(*tries, name="o", search=search, trials=1, shared={**shared, "seed": 1})
    assert other.trials[0].options != options[0]


@pytest.mark.slow
def test_poor_trials_are_stopped_early(home):
    tries = ("lr=0.03,0.04,0.05,0.06,1e-7,2e-7",)
    never = run(*tries, name="never", prune=False)
    assert {trial.state for trial in never.trials} == {"complete"}
    states = {}
    for seed in (0, 1):  # of which the order follows
        end = run(*tries, name=f"s{seed}", shared={**SHARED, "seed": seed})
        states |= {(seed, trial.number): trial for trial in end.trials}
    stopped = [trial for trial in states.values() if trial.state == "pruned"]
    assert stopped
    assert all(t.options["lr"] < 1e-6 and t.step < SHARED["steps"] for t in stopped)


@pytest.mark.slow
def test_a_trial_that_diverges_fails_alone(home):
    shared = {**SHARED, "max_rollbacks": 0}
    end = run("lr=0.01,1e30", shared=shared)
    (failed,) = (trial for trial in end.trials if trial.state == "failed")
    assert failed.options == {"lr": 1e30}
    assert failed.reason.startswith("training diverged")
    assert end.best.options == {"lr": 0.01}
    assert run("lr=0.01,1e30", shared=shared).trials == end.trials  # it is not repeated


@pytest.mark.slow
def test_a_trial_without_an_evaluation_fails_alone(home):
    end = run("minutes=none,1e-9", shared={**SHARED, "eval_every": 10})
    (failed,) = (trial for trial in end.trials if trial.state == "failed")
    assert (failed.options, failed.step) == ({"minutes": 1e-9}, 0)
    assert failed.reason == "it ended before it was evaluated"
    assert end.best.options == {"minutes": None}


@pytest.mark.slow
def test_a_model_that_does_not_fit_fails_alone(home):
    end = run("hidden=4,90000000")
    (failed,) = (trial for trial in end.trials if trial.state == "failed")
    assert "memory" in failed.reason
    assert end.best.options == {"hidden": 4}


@pytest.mark.slow
def test_another_sweep_in_the_folder_is_refused(home):
    run("lr=0.01,0.03")
    with pytest.raises(UsageError, match=r"holds a sweep with --try lr 0.01,0.03, not 0.01,0.02"):
        run("lr=0.01,0.02")
    with pytest.raises(UsageError, match="holds a sweep with --steps 40, not 41"):
        run("lr=0.01,0.03", shared={**SHARED, "steps": 41})
    with pytest.raises(UsageError, match="holds a sweep with no --seed"):
        run("lr=0.01,0.03", shared={**SHARED, "seed": 3})
    train("text.txt", name="run", **SHARED)
    with pytest.raises(UsageError, match="is not the folder of a sweep"):
        run("lr=0.01,0.03", name="run")


@pytest.mark.slow
def test_another_text_is_refused(home):
    run("lr=0.01,0.03", trials=1)
    Path("text.txt").write_text(TEXT[::-1])
    with pytest.raises(CharRNNError, match="not the one that the sweep began with"):
        run("lr=0.01,0.03", trials=2)


@pytest.mark.slow
def test_without_validation_text_there_is_no_sweep(home):
    with pytest.raises(UsageError, match="needs validation text"):
        run("lr=0.01,0.03", shared={**SMALL, "val_frac": 0.0})


@pytest.mark.slow
def test_time_ends_a_sweep_which_goes_on_later(home):
    end = run("lr=0.01,0.03", total_minutes=1e-9)
    assert (end.reason, end.trials) == ("total-minutes", [])
    assert len(run("lr=0.01,0.03").trials) == 2


def test_a_search_without_an_end_is_refused(home):
    with pytest.raises(UsageError, match="has no end"):
        runner("lr=0.01..0.03")
    with pytest.raises(UsageError, match="has no end"):
        runner("lr=0.01,0.03", search="random")


@pytest.mark.slow
@pytest.mark.parametrize("damage", [b"", b"{", b'{"charrnn_sweep": 2, "settings": {}}', b"[1]"])
def test_damaged_settings_are_an_error(damage, home):
    run("lr=0.01,0.03", trials=1)
    (runs.HOME / "s/sweep.json").write_bytes(damage)
    with pytest.raises(CharRNNError, match=r"cannot read .*sweep.json"):
        run("lr=0.01,0.03")


@pytest.mark.slow
def test_a_damaged_journal_is_an_error(home):
    run("lr=0.01,0.03", trials=1)
    journal = runs.HOME / "s/journal.jsonl"
    journal.write_bytes(b"nonsense\n" + journal.read_bytes())
    with pytest.raises(CharRNNError, match=r"journal.jsonl' is damaged"):
        run("lr=0.01,0.03")


@pytest.mark.slow
def test_half_a_line_at_the_end_of_the_journal_is_cut_off(home):
    one = run("lr=0.01,0.03", trials=1)
    with (runs.HOME / "s/journal.jsonl").open("ab") as journal:
        journal.write(b'{"op_code":4,"worker')
    two = run("lr=0.01,0.03")
    assert two.trials[0] == one.trials[0]
    assert [trial.state for trial in two.trials] == ["complete"] * 2


@pytest.mark.parametrize("name", ["../other", "/etc", "0001/..", "1", "", "0" * 12])
def test_the_name_of_the_best_run_leads_nowhere_else(name, home):
    folder = runs.HOME / "s"
    folder.mkdir(parents=True)
    (folder / "best-run").write_text(name + "\n")
    assert runs.best_of_sweep(folder) is None


@pytest.mark.slow
def test_the_files_of_a_sweep_are_not_text(home):
    run("lr=0.01,0.03", trials=1)
    names = {path.name for path in (runs.HOME / "s").iterdir() if path.is_file()}
    assert own(runs.HOME / "s", names) == names == {"sweep.json", "journal.jsonl", "best-run"}
    assert json.loads((runs.HOME / "s/sweep.json").read_text())["settings"]["--search"] == "grid"


@pytest.mark.slow
@pytest.mark.parametrize(
    "attr",
    [
        {"progress": "x"},
        {"progress": [1, 2]},
        {"progress": ["a", 1, 1]},
        {"options": 3},
        {"progress": [None, 1e400, 0]},
    ],
)
def test_a_damaged_trial_is_an_error(attr, home):
    run("lr=0.01,0.03", trials=1)
    journal = runs.HOME / "s/journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        if line.get("user_attr", {}).keys() == attr.keys():
            line["user_attr"] = attr
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(CharRNNError, match=r"'checkpoints/s/journal.jsonl'"):
        Study(runs.HOME / "s", find("s").run).trials()
