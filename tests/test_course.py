"""What the losses of a run say: each class is recognised, and none is taken for another."""

from math import sqrt

import pytest

from charrnn.evaluate.course import CUT_SHORT, OVERFITTING, UNSTABLE, WELL, Course

START = {"event": "start", "steps_per_epoch": 100, "val_chars": 40_000, "train_chars": 400_000}
FALLING = {100: 2.4, 200: 2.1, 300: 1.95, 400: 1.85, 600: 1.75, 800: 1.7}
"""A run that is cut short; its loss at a quarter and at half of its steps differs by an eighth."""
FLAT = {100: 1.9, 200: 1.62, 300: 1.6, 400: 1.59, 600: 1.575, 800: 1.57}
RISING = {100: 1.9, 200: 1.6, 300: 1.65, 400: 1.7, 600: 1.75, 800: 1.8}


def course(losses, smoothed=lambda step: 3 - step / 1000, **start):
    lines = [{**START, **start}]
    for step, loss in losses.items():
        if smoothed is not None:
            lines.append({"event": "step", "step": step, "smoothed": smoothed(step)})
        lines.append({"event": "eval", "step": step, "val_loss": loss})
    return Course.of(lines)


@pytest.mark.parametrize(
    ("losses", "train_loss", "reason", "code"),
    [
        (RISING, 0.9, "steps", OVERFITTING),
        (RISING, 0.9, "minutes", OVERFITTING),
        (RISING, 0.9, "patience", WELL),  # that is how patience ends a run
        (RISING, None, "steps", OVERFITTING),
        (RISING, 1.75, "steps", WELL),  # nothing is known by heart: the training text is no easier
        (FLAT, 1.2, "steps", WELL),
        (FLAT, 1.55, "steps", WELL),  # as good on both, and no longer improving
        (FLAT, 0.7, "steps", OVERFITTING),  # by heart, though the loss does not rise
        (FLAT, None, "steps", WELL),
        (FALLING, 1.66, "steps", CUT_SHORT),
        (FALLING, 1.75, "epochs", CUT_SHORT),  # the training text may be the harder one
        (FALLING, 1.66, "minutes", CUT_SHORT),
        (FALLING, 1.66, "patience", WELL),
        (FALLING, 1.5, "steps", CUT_SHORT),
        (FALLING, 1.1, "steps", WELL),  # there is little more to learn from this text
        (FALLING, None, "steps", WELL),
        ({400: 1.8}, 1.75, "steps", CUT_SHORT),  # four epochs
        ({600: 1.8}, 1.75, "steps", WELL),  # six, and nothing tells that it was still falling
        ({400: 1.8}, float("nan"), "steps", WELL),
        ({800: 0.1}, 0.03, "steps", WELL),  # nothing is left to learn
    ],
)
def test_the_class_of_a_run(losses, train_loss, reason, code):
    found = course(losses).outcome(reason, train_loss)
    assert found.code == code
    assert found.best.loss == min(losses.values())
    assert (found.last.step, found.epochs) == (max(losses), max(losses) / 100)


WRONG = {100: 2.1, 200: 2.05, 300: 2.9, 400: 3.5, 600: 3.3, 800: 3.4}
"""A run that went wrong after 200 steps, and the training losses of it."""
WRONG_TOO = {100: 2.0, 200: 1.8, 300: 2.8, 400: 3.4, 600: 3.3, 800: 3.4}.get


@pytest.mark.parametrize("reason", ["steps", "epochs", "minutes", "patience", "interrupted"])
def test_a_run_whose_losses_rose_together_went_wrong(reason):
    trained = None if reason == "interrupted" else 3.36
    found = course(WRONG, WRONG_TOO, plan={"by_passes": True}).outcome(reason, trained)
    assert (found.code, found.best.step) == (UNSTABLE, 200)


@pytest.mark.parametrize(
    ("losses", "smoothed", "train_loss"),
    [
        (WRONG, WRONG_TOO, 1.9),  # a hard passage of the text: the rest of it is known as before
        (WRONG, {**dict.fromkeys(WRONG, 1.8), 800: 2.0}.get, 3.4),  # a jump in the last steps
        (WRONG, None, 3.36),  # nothing tells what it was
        (RISING, lambda step: 3 - step / 1000, 0.9),
        (RISING, lambda step: 1 + step / 1000, 1.7),  # 12 %
        ({100: 2.2, 200: 2.0, 400: 2.15, 800: 2.2}, {200: 1.9, 800: 2.1}.get, 2.05),  # a restart
        ({**WRONG, 800: 2.1}, {**dict.fromkeys(WRONG, 3.0), 200: 1.8, 800: 2.5}.get, 2.4),
        ({200: 0.02, 800: 0.1}, {200: 0.02, 800: 0.1}.get, 0.1),  # still next to nothing
    ],
)
def test_no_other_run_is_said_to_have_gone_wrong(losses, smoothed, train_loss):
    for reason in ("steps", "patience"):
        assert course(losses, smoothed).outcome(reason, train_loss).code != UNSTABLE


def test_a_rise_within_the_chance_of_a_short_text_is_not_called_wrong():
    losses, trained = {200: 2.0, 800: 2.6}, {200: 1.9, 800: 2.5}.get
    for symbols, code in ((40_000, UNSTABLE), (60, WELL)):
        assert course(losses, trained, val_chars=symbols).outcome("steps", 2.6).code == code


@pytest.mark.parametrize(("later", "train_loss", "code"), [(2.5, 2.5, UNSTABLE), (1.15, 1, WELL)])
def test_a_rise_after_the_first_steps_is_seen(later, train_loss, code):
    early = {20: 1.0, 200: later}  # the smoothed loss still has most of the first one in it at 20
    lines = [START, {"event": "step", "step": 1, "smoothed": 3.5}]
    s = 3.5
    for step in range(2, 201):
        s = 0.98 * s + 0.02 * (1.0 if step <= 20 else later)
        lines.append({"event": "step", "step": step, "smoothed": s})
        if step in early:
            lines.append({"event": "eval", "step": step, "val_loss": early[step]})
    made = Course.of(lines)
    assert made.points[0].smoothed > made.points[1].smoothed
    assert made.points[0].trained == pytest.approx(1.0)
    assert made.outcome("steps", train_loss).code == code  # it did not fall, either


def test_after_a_rollback_the_training_loss_is_that_before_it():
    made = course(WRONG, WRONG_TOO)
    made.take({"event": "rollback", "to_step": 200})
    made.take({"event": "eval", "step": 250, "val_loss": 2.6})
    assert made.points[-1].smoothed == 1.8
    assert made.outcome("steps", 2.6).code != UNSTABLE
    for step, loss in ((300, 2.0), (400, 1.9)):
        made.take({"event": "step", "step": step, "smoothed": loss})
        made.take({"event": "eval", "step": step, "val_loss": loss})
    assert made.outcome("patience", 1.85).code == WELL


def test_a_rise_within_chance_is_not_overfitting():
    for symbols, code in ((40_000, OVERFITTING), (300, WELL)):
        assert 1 / sqrt(40_000) < 1.68 - 1.02 * 1.6
        rose = {200: 1.6, 800: 1.68}
        assert course(rose, val_chars=symbols).outcome("steps", 1.2).code == code
        some = course(rose, val_chars=10**6, eval_chars=symbols)
        assert some.outcome("steps", 1.2).code == code


def test_of_examples_their_number_counts():
    few = course({200: 1.6, 800: 1.68}, task="classify", examples=3_000)
    assert few.outcome("steps", 1.2).code == WELL  # 300 for validation
    many = course({200: 1.6, 800: 1.68}, task="classify", examples=400_000)
    assert many.outcome("steps", 1.2).code == OVERFITTING
    sure = course({200: 0.9, 800: 0.9}, task="classify", examples=400_000)
    assert sure.outcome("steps", 0.1).code == WELL  # a label is often certain once it is known


def test_counted_n_grams_hold_the_validation_loss_of_a_run_that_went_wrong_down():
    losses, smoothed = {100: 1.7, 200: 1.6, 400: 1.85, 800: 1.84}, WRONG_TOO
    for grams, code in ((0, WELL), (1000, UNSTABLE)):
        assert course(losses, smoothed, grams=grams).outcome("patience", 3.36).code == code
    steady = course(losses, lambda step: 1.8, grams=1000)
    assert steady.outcome("patience", 1.8).code == WELL


def test_with_counted_n_grams_the_losses_are_of_two_models():
    for grams, code in ((0, WELL), (1000, OVERFITTING)):
        assert course(RISING, grams=grams).outcome("steps", 1.75).code == code


def test_steps_that_a_plan_takes_to_be_enough_are_no_limit():
    enough = {"by_passes": True}
    for losses, trained, code in ((RISING, 0.9, OVERFITTING), (FALLING, 1.66, CUT_SHORT)):
        assert course(losses, plan=enough).outcome("steps", trained).code == WELL
        assert course(losses, plan=enough).outcome("minutes", trained).code == code
        for plan in ({"by_passes": False}, {}, None, "by_passes"):
            assert course(losses, plan=plan).outcome("steps", trained).code == code


def test_losses_that_rise_together_are_not_overfitting():
    assert course(RISING, smoothed=lambda step: 1 + step / 1000).outcome("steps", 1.7).code == WELL
    assert course(RISING, smoothed=None).outcome("steps", 1.7).code == WELL


def test_it_is_told_once_before_the_end():
    losses, told = list(RISING.items()), []
    made = course({})
    for step, loss in losses:
        made.take({"event": "step", "smoothed": 3 - step / 1000})
        made.take({"event": "eval", "step": step, "val_loss": loss})
        if made.overfits():
            told.append(step)
            made.take({"event": "overfitting"})
    assert told == [600]  # the second one that is clearly above the best
    for losses in (FLAT, FALLING, {200: 1.6, 400: 1.8}, {200: 1.6, 400: 1.8, 600: 1.6, 800: 1.62}):
        assert not course(losses).overfits()
    assert not course(RISING, smoothed=lambda step: step / 1000).overfits()
    assert not Course().overfits()


def test_what_a_rollback_undid_does_not_count():
    made = course(RISING)
    made.take({"event": "rollback", "to_step": 200})
    assert [point.step for point in made.points] == [100, 200]


@pytest.mark.parametrize(("back", "told"), [(400, False), (600, True)])
def test_a_rollback_to_before_it_was_told_undoes_that(back, told):
    made = course(RISING)
    made.take({"event": OVERFITTING, "step": 600, "best_step": 200})
    made.take({"event": "rollback", "step": 800, "to_step": back})
    assert made.told is told
    for step in (600, 800):  # it is told again when it overfits again
        made.take({"event": "step", "step": step, "smoothed": 3 - step / 1000})
        made.take({"event": "eval", "step": step, "val_loss": 2.0})
    assert made.overfits() is not told


def test_the_end_is_read_from_the_records():
    made = course(RISING)
    assert made.recorded() is None
    made.take({"event": "overfitting"})
    assert made.recorded().code == OVERFITTING  # the run may have been killed
    made.take({"event": "end", "reason": "patience", "train_loss": 1.3})
    assert (made.recorded().code, made.recorded().train_loss) == (WELL, 1.3)
    made.take(START)  # it is resumed
    assert made.recorded().code == OVERFITTING
    assert Course().outcome("steps", 1.0) is None


@pytest.mark.parametrize("bad", [None, "1", [], {}, True, float("inf"), 10**400])
def test_what_is_no_number_is_passed_over(bad):
    made = course(FALLING)
    made.take({"event": "eval", "step": 900, "val_loss": bad})
    made.take({"event": "eval", "step": bad, "val_loss": 1.0})
    made.take({"event": "step", "smoothed": bad})
    made.take({"event": "start", "steps_per_epoch": bad, "val_chars": bad, "examples": bad})
    made.take({"event": bad})
    assert len(made.points) == len(FALLING)
    assert made.outcome("steps", None).epochs == 0
