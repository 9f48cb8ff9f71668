"""What is said of a sweep: its beginning, each trial, the table and the end."""

import pytest

from charrnn.report.sweep import conclusion, line, status, table
from charrnn.sweep.records import SweepEnd, SweepStart, Trial, TrialEnd, TrialEval

BEST = Trial(2, "complete", {"lr": 0.01, "tied": True}, "s/2", 1.25, 1_000, 61.0)
WORSE = Trial(1, "pruned", {"lr": 0.1, "tied": False}, "s/1", 2.5, 200, 5.0)
FAILED = Trial(3, "failed", {"lr": 9.0, "embed": 4}, "s/3", reason="no\nmemory")
OPEN = Trial(4, "running", {"lr": 0.02}, "s/4", 1.25, 7, 1.0)


@pytest.mark.parametrize(
    ("trials", "total", "said"),
    [
        (0, None, "grid search: lr=0.1,0.2 hidden=8"),
        (0, 4, "grid search of 4 trials: lr=0.1,0.2 hidden=8"),
        (1, 4, "grid search of 4 trials, 1 begun: lr=0.1,0.2 hidden=8"),
    ],
)
def test_a_sweep_begins_with_its_folder_and_what_is_tried(trials, total, said):
    start = SweepStart("sweeps/one\n", "grid", ["lr=0.1,0.2", "hidden=8"], trials, total)
    assert line(start) == f"sweep sweeps/one\\n\n{said}"


@pytest.mark.parametrize(
    ("trial", "said"),
    [
        (BEST, "trial 2, lr=0.01 tied=true: validation loss 1.2500 nats, step 1,000, 1 m 01 s"),
        (WORSE, "trial 1, lr=0.1 tied=false: stopped early, validation loss 2.5000 nats, step 200"),
        (FAILED, r"trial 3, lr=9.0 embed=4: failed: no\nmemory"),
        (OPEN, "trial 4, lr=0.02: unfinished, validation loss 1.2500 nats, step 7, "),
        (Trial(5, "running", {"lr": 1}, "s/5"), "trial 5, lr=1: unfinished, step 0, "),
    ],
)
def test_a_trial_ends_with_a_line(trial, said):
    assert line(TrialEnd(trial)).startswith(said)
    assert line(TrialEval(trial, 1.0, 0.5)) == ""


def test_the_status_says_what_is_known():
    assert status(TrialEval(OPEN, 1.5, 0.25), 8, 1.25) == (
        "trial 4 of 8, 25%, val 1.5000, best 1.2500: lr=0.02"
    )
    assert status(TrialEval(OPEN, 1.5, 0.0), None, None) == "trial 4, 0%, val 1.5000: lr=0.02"
    assert status(TrialEval(OPEN, 1.5, None), 8, None) == "trial 4 of 8, val 1.5000: lr=0.02"


def test_the_table_has_the_best_first_and_a_column_for_each_setting():
    head, *rows = [row.split("  ") for row in table([WORSE, BEST, FAILED, OPEN]).splitlines()]
    head, *rows = [[cell.strip() for cell in row if cell.strip()] for row in (head, *rows)]
    assert head == ["trial", "lr", "tied", "embed", "loss", "steps", "time", "state"]
    assert [row[0] for row in rows] == ["2", "4", "1", "3"]
    assert rows[0][1:5] == ["0.01", "true", "1.2500", "1,000"]
    assert [row[-1] for row in rows] == [
        *("complete", "unfinished", "stopped early", r"failed: no\nmemory")
    ]


def test_the_end_counts_trials_and_names_the_best_and_what_goes_on():
    best = (
        "best: trial 2, lr=0.01 tied=true, validation loss 1.2500 nats; the sweep's name stands "
        "for it: charrnn info 'my sweep'"
    )
    trials = [WORSE, BEST, FAILED, BEST]
    end = SweepEnd("complete", BEST, trials, 9.0)
    assert conclusion(end, "my sweep") == f"2 complete, 1 stopped early, 1 failed\n{best}"
    end = SweepEnd("total-minutes", BEST, [BEST, OPEN], 9.0)
    assert conclusion(end, "my sweep").splitlines() == [
        *("time limit reached, 1 complete, 1 unfinished", best, "the same command goes on")
    ]
    end = SweepEnd("interrupted", None, [], 9.0)
    assert conclusion(end, "s") == "interrupted\nthe same command goes on"
    assert conclusion(SweepEnd("complete", None, [], 9.0), "s") == "no trials"
