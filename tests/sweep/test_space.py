"""What --try means, and what is refused before anything is trained."""

import pytest
from helpers.running import ask

from charrnn.errors import UsageError, in_words, option
from charrnn.sweep.space import read


def space(*tries, **options):
    return read(tries, ask("text.txt", **options))


def values(typed):
    (axis,) = space(typed).axes
    return axis.values


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("hidden=8,16", (8, 16)),
        ("hidden= 8 , 16", (8, 16)),
        ("seq-len=4", (4,)),
        ("--seq_len=4", (4,)),
        ("lr=1e-3,.02", (0.001, 0.02)),
        ("cell=lstm,gru", ("lstm", "gru")),
        ("bidirectional=true,no", (True, False)),
        ("horizon=none,5", (None, 5)),
        ("momentum=0.5,0.9", (0.5, 0.9)),
        ("gru_reset=before,after", ("before", "after")),
        ("hidden=8..32:8", (8, 16, 24, 32)),
        ("hidden=8..31:8", (8, 16, 24)),
        ("dropout=0..0.3:0.1", (0.0, 0.1, 0.2, 0.3)),
    ],
)
def test_lists_and_ranges_in_steps_have_values(typed, expected):
    assert values(typed) == expected
    assert [type(value) for value in values(typed)] == [type(value) for value in expected]


@pytest.mark.parametrize(
    ("typed", "low", "high", "log"),
    [
        ("dropout=0..0.6", 0.0, 0.6, False),
        ("dropout=.1...6", 0.1, 0.6, False),
        ("lr=0.001..0.02:log", 0.001, 0.02, True),
        ("hidden=8..64:log", 8, 64, True),
    ],
)
def test_ranges_have_ends(typed, low, high, log):
    (axis,) = space(typed).axes
    assert (axis.values, axis.low, axis.high, axis.log) == ((), low, high, log)
    assert type(axis.low) is type(axis.high) is type(low)
    assert read((str(axis),), ask("text.txt")).axes == (axis,)  # it is shown as it is typed


def test_what_is_drawn_can_be_typed_and_lies_within_the_range():
    (axis,) = space("lr=0.001234564..0.02").axes
    assert axis.rounded(0.00765432101) == 0.00765432
    assert axis.rounded(0.0012345641) == 0.001234564  # not 0.00123456, which is below the range


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("hiddn=8", "--try names 'hiddn', which is not an option; did you mean hidden"),
        ("zzz=8", "which is not an option; charrnn train --help lists them"),
        ("hidden", "has no values; write NAME=VALUES"),
        ("hidden=", "has no values"),
        ("hidden=8,,9", "--hidden must be an integer, not ''"),
        ("hidden=8,8", "has 8 twice"),
        ("hidden=0,8", "--hidden must be at least 1"),
        ("hidden=0..8", "--hidden must be at least 1"),
        ("lr=fast", "--lr must be a number"),
        ("lr=0.02..0.001", "is an empty range"),
        ("dropout=0..0.5:log", "has no logarithm at 0"),
        ("dropout=0..0.5:0", "has no step above 0"),
        ("dropout=0..0.5:x", "has no step above 0"),
        ("hidden=1..9000000:1", "has 9,000,000 values; give a larger step"),
        ("cell=lstm..gru", "is a range, but cell is not a number"),
        ("cell=elman", "--cell 'elman' is invalid"),
        ("bidirectional=maybe", "--bidirectional must be true or false"),
        ("sync_every=2,4", "--sync-every is for several ranks"),
        ("shard_files=true,false", "--shard-files is for several ranks"),
        ("level=char,byte", "cannot vary level: the validation losses"),
        ("task=lm,tag", "cannot vary task"),
        ("val_frac=0.1,0.2", "cannot vary val_frac"),
    ],
)
def test_what_is_mistyped_is_refused(typed, message):
    with pytest.raises(UsageError) as refused:
        space(typed)
    assert message in refused.value.line(option)
    assert "\n" not in refused.value.line(option)


def test_an_option_is_given_once():
    with pytest.raises(UsageError, match="has hidden twice"):
        space("hidden=8", "hidden=16")
    with pytest.raises(UsageError, match="is given for all trials, but"):
        space("hidden=8", hidden=4)
    with pytest.raises(UsageError, match="is missing"):
        space()
    with pytest.raises(UsageError, match="is for several ranks"):
        space("hidden=8", outer_lr=0.5)


def refusal(found):
    with pytest.raises(UsageError) as refused:
        found.check()
    return in_words(refused.value.message, option)


def test_combinations_that_exclude_each_other_are_named():
    assert refusal(space("cell=lstm,gru", "gru_reset=before")) == (
        "with cell=lstm gru_reset=before: --gru-reset only applies to --cell gru, not lstm"
    )
    assert refusal(space("optimizer=sgd,adam", momentum=0.5)).startswith("--momentum only applies")
    space("cell=gru", gru_reset="before").check()
    space("optimizer=sgd", "momentum=0..0.9").check()
    assert refusal(space("state=carry,reset", "restart=0.1")).startswith("with state=reset restart")


def test_a_grid_has_every_combination_in_an_order_that_the_seed_draws():
    found = space("hidden=8,16,32", "dropout=0,0.5", "cell=lstm,gru")
    points = found.points(0)
    assert len({tuple(point.items()) for point in points}) == len(points) == 12
    assert points == found.points(0) != found.points(1)
    with pytest.raises(UsageError, match="needs lists, but"):
        space("hidden=8,16", "lr=0.1..1").points(0)
    with pytest.raises(UsageError, match="1,000,000 combinations"):
        space("hidden=1..1000:1", "batch=1..1000:1").points(0)


def test_a_trial_has_the_shared_settings_and_its_own():
    request = space("hidden=8,16", "lr=0.1,0.2", steps=3, cell="gru").request(
        {"hidden": 16, "lr": 0.1}, "there"
    )
    assert request.model == {"cell": "gru", "hidden": 16}
    assert request.train == {"plan": "none", "steps": 3, "lr": 0.1}
    assert (request.sources, request.out) == (("text.txt",), "there")


@pytest.mark.parametrize(("given", "plan"), [({}, "none"), ({"plan": "auto"}, "auto")])
def test_trials_are_planned_only_if_it_is_asked_for(given, plan):
    assert space("hidden=8,16", **given).request({"hidden": 8}).train["plan"] == plan
