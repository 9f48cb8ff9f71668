"""The curves of a run, from its records."""

import json
from math import inf, nan

import pytest

from charrnn.errors import UsageError
from charrnn.evaluate.curves import (
    AXES,
    SMOOTHED,
    TRAIN,
    VAL,
    Curves,
    check_axis,
    comparable,
    differing,
    top_of_losses,
)
from charrnn.train.loop import SMOOTHING

START = {"event": "start", "step": 0, "batch": 4, "seq_len": 8, "steps_per_epoch": 10,
         "train_chars": 300, "task": "lm", "level": "char"}  # fmt: skip


def step(number, loss=1.0, seconds=1.0, smoothed=None):
    kept = loss if smoothed is None else smoothed
    return {"event": "step", "step": number, "loss": loss, "smoothed": kept, "lr": 0.1,
            "grad_norm": 1.0, "seconds": seconds}  # fmt: skip


def evaluated(number, loss, **more):
    return {"event": "eval", "step": number, "val_loss": loss, "best": True, "seconds": 3.0, **more}


def test_a_smoothed_loss_is_drawn_where_its_mean_is():
    """Of losses that fall on a straight line, the average is on the line at its mean step."""
    losses = [3 - 0.01 * n for n in range(1, 301)]
    smoothed, records = losses[0], [START]
    for n, loss in enumerate(losses, 1):
        smoothed += (1 - SMOOTHING) * (loss - smoothed)
        records.append(step(n, loss, smoothed=smoothed))
    drawn = Curves.of("r", records).trained("steps")
    assert len(drawn) == 300
    assert [y for _, y in drawn] == pytest.approx([3 - 0.01 * x for x, _ in drawn])
    assert drawn[0][0] == 1
    assert 300 - drawn[-1][0] == pytest.approx(49, abs=0.2)


def test_what_a_rollback_undid_is_gone():
    records = [START, step(5), evaluated(10, 2.0), step(15, 9.0), evaluated(20, 9.0)]
    records += [{"event": "rollback", "step": 23, "to_step": 10, "lr_factor": 0.5}, step(15, 1.5)]
    curves = Curves.of("r", records)
    assert [(p.event, p.step) for p in curves.points] == [
        ("step", 5), ("eval", 10), ("rollback", 10), ("step", 15),
    ]  # fmt: skip
    assert curves.line(TRAIN, "steps")[-1] == (15, 1.5)
    (back,) = curves.rollbacks
    assert (back.values, back.seconds) == ({"diverged_at": 23, "lr_factor": 0.5}, 3.0)
    assert curves.to_json()[2]["diverged_at"] == 23


def test_a_run_that_is_continued_goes_on_from_where_it_was_saved():
    records = [START, step(5), step(10), {**START, "step": 5, "resumed": True}, step(7), step(10)]
    assert [p.step for p in Curves.of("r", records).points] == [5, 7, 10]


@pytest.mark.parametrize(
    ("task", "characters"), [("lm", 20 * 4 * 8), ("classify", 2 * 300), ("transduce", 2 * 300)]
)
def test_axes(task, characters):
    curves = Curves.of("r", [{**START, "task": task}, step(20, seconds=90.0)])
    (point,) = curves.points
    places = {axis: curves.place(point, axis) for axis in AXES}
    assert places == {"steps": 20, "characters": characters, "minutes": 1.5, "epochs": 2}
    check_axis([curves], "characters")


@pytest.mark.parametrize("axis", ["characters", "epochs"])
def test_an_axis_that_the_records_do_not_tell_is_refused(axis):
    with pytest.raises(UsageError, match=f"old do not tell its {axis}; use x steps"):
        check_axis([Curves.of("old", [step(5)])], axis)


def test_what_is_invalid_is_left_out():
    hostile = [{}, {"event": "step"}, {"event": ["step"]}, step("5"), step(-1), step(1 << 99),
               step(2, loss=nan), step(3, loss=10**400), evaluated(4, "x", accuracy=inf),
               {"event": "rollback", "step": 9, "to_step": "?"}, {**START, "step_size": {}},
               evaluated(8, 1.0, accuracy=True)]  # fmt: skip
    curves = Curves.of("r", hostile)
    assert curves.line(VAL, "steps") == [(8, 1.0)]
    assert curves.line(TRAIN, "steps") == []
    assert json.dumps(curves.to_json(), allow_nan=False)


def test_evaluations_keep_all_that_they_measure():
    curves = Curves.of("r", [START, evaluated(4, 1.0, accuracy=0.5, macro_f1=0.25)])
    assert curves.measures == ["accuracy", "macro_f1"]
    row = {"run": "r", "event": "eval", "step": 4, "minutes": 0.05, "epochs": 0.4}
    found = {"characters": 128, "val_loss": 1.0, "accuracy": 0.5, "macro_f1": 0.25}
    assert curves.to_json() == [row | found]


def test_the_axis_of_losses_ends_after_the_beginning():
    falling = Curves.of("r", [START, step(1, 9.0), evaluated(49, 5.0), evaluated(1000, 1.0)])
    rising = Curves.of("s", [START, evaluated(50, 2.0), evaluated(600, 2.5)])
    assert top_of_losses([falling], "steps") == 1.0
    assert top_of_losses([falling, rising], "steps") == 2.5
    assert top_of_losses([Curves("none")], "steps") is None


def test_what_differs_is_found():
    a = Curves.of("a", [{**START, "lr": 0.1, "hidden": 8, "gru_reset": "after"}, step(1)])
    b = Curves.of("b", [{**START, "lr": 0.2, "hidden": 8}, step(1)])
    assert differing([a, b]) == {"lr": [0.1, 0.2], "gru_reset": ["after", None]}
    assert comparable([a, b])
    assert not comparable([a, Curves.of("c", [{**START, "level": "byte"}])])
    assert Curves.of("r", [START, step(5)]).having(SMOOTHED)
