"""Two options of a command both have an effect, or are refused in one line; in any combination."""

import os
import random
import tomllib
from functools import cache

import pytest
from helpers.option_effects import lines
from helpers.option_pairs import pairs
from helpers.outcomes import CONFIG, furnish, runner

MOST = int(os.environ.get("CHARRNN_PAIRS", "40"))
"""Pairs of each command, drawn from all of them; a benchmark takes ten times as long."""
HIDES = {"--dry-run", "--minutes", "--resume", "--total-minutes"}
"""With them little is trained, so that most other options of training change nothing."""
SHORT = {
    "view": {"--join": "--length"},
    "eval": {
        "--dynamic-lr": "--run --unknown",
        "--dynamic-decay": "--unknown",
        "--beam": "--target",
    },
    "sample": {
        "--column": "--length --min-p --repetition-penalty --top-p --until",
        "--field": "--until",
        "--length": "--until",
        "--until-join": "--repetition-window --until",
        "--temp-end": "--until",
        "--no-repeat": "--beam --until",
    },
    "train": {
        "--hold-out": "--seed",
        "--epochs": "--seq-len --steps",
        "--patience": "--horizon --momentum --optimizer",
        "--seed": "--init-from",
    },
    "corpus make": {"--flip": "--chars", "--labels": "--chars", "--max-depth": "--chars"},
    "diagnose": {"--state": "--compare --steps"},
}
"""Options that change nothing beside others on texts, samples and runs as short as these.

``test_an_exception_is_needed`` says which are no longer so; :data:`LONGER` has some on longer ones.
"""
SAME = {
    "sample": {"--novel": "--column --field --novel-text"},
    "train": {"--quiet": "--json", "--no-bidirectional": "--init-from"},
}
"""Options that say what others imply.

A text that must not be copied implies ``--novel``; with ``--json`` standard error has only errors
and notes. A classifier from a language model reads in its direction.
"""
LONGER = {
    "train long.txt --init-from one --steps 60 --seq-len 8 --batch 4": "--seed 3",
    "train long.txt --hidden 4 --steps 3 --seed 3": "--hold-out blocks",
    "diagnose --compare rnn --hidden 4 --steps 9 --corpus long.txt --batch 2 --seq-len 8 --json": (
        "--state reset"
    ),
    "corpus make copy-lag --chars 5000": "--flip 0.3",
    "corpus make walks --chars 5000": "--labels 2",
}
REFUSALS = ("bench",)
"""Commands of which only refusals are judged: what comes of them depends on the clock."""


def drawn(command):
    """Return the pairs that are tried."""
    found = pairs(command)
    most = MOST // 10 if command == "bench" else MOST
    return random.Random(1).sample(found, most) if len(found) > most else found


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """What comes of a command line in a copy of a folder of texts and runs."""
    place = tmp_path_factory.mktemp("pairs")
    furnish(place)
    with pytest.MonkeyPatch.context() as patch:
        yield cache(runner(place, tmp_path_factory.mktemp("runs"), patch))


@pytest.mark.slow
@pytest.mark.parametrize("command", lines())
def test_two_options_have_an_effect_or_are_refused(command, outcome):
    if command == "sweep":
        pytest.importorskip("optuna")
    wrong = []
    for pair in drawn(command):
        both, *alone = (outcome(*pair.line(*left_out)) for left_out in ((), (0,), (1,)))
        why = fault(command, pair, both, alone)
        wrong += [f"{why}: charrnn {' '.join(pair.line())}: {both[:3]}"] if why else []
    assert not wrong, "\n".join(wrong)


def fault(command, pair, both, alone):
    """Return what is wrong about the outcome of two options; nothing if it is as it should be."""
    code, _, told, *_ = both
    if code in (0, 3):
        idle = [pair.options[k] for k in (0, 1) if judged(command, pair, k) and alone[k] == both]
        return f"no effect of {idle}" if idle else None
    errors = [line for line in told if "charrnn: error: " in line]
    if code not in (1, 2) or len(errors) != 1 or told[-1] != errors[0]:
        return f"exit code {code} without one line that says why"
    if code == 2 and len(told) != 1 and command != "sweep":  # whose trials have begun
        return "more than one line"
    words = [*pair.line(), "c.toml", *(w.replace("=", " ") for w in pair.line() if "=" in w)]
    named = [word for word in words if not word.isalnum() and word in errors[0]]
    if not named and (code == 2 or not any(one[0] for one in alone)):
        return "refused without a name"
    return None


def judged(command, pair, number):
    """Whether one of two options must have an effect."""
    own, other = pair.options[number][0], pair.options[1 - number][0]
    if not pair.judged[number] or other in HIDES or command in REFUSALS:
        return False
    if excepted(command, own, other):
        return False
    return "--config" not in (own, other) or not in_config(command).intersection(pair.line())


@cache
def in_config(command):
    """Return the options of a command that the file for ``--config`` sets, too."""
    table = tomllib.loads(CONFIG)
    for word in command.split():
        table = table.get(word, {})
    return {f"--{key}" for key in table} | {"-k"}


def excepted(command, own, other):
    """Whether an option need not have an effect beside another one."""
    return any(other in table.get(command, {}).get(own, "").split() for table in (SHORT, SAME))


@pytest.mark.slow
@pytest.mark.parametrize("command", sorted({*SHORT, *SAME}))
def test_an_exception_is_needed(command, outcome):
    listed = {
        (own, other)
        for table in (SHORT, SAME)
        for own, others in table.get(command, {}).items()
        for other in others.split()
    }
    idle = set()
    for pair in pairs(command):
        for number in (0, 1):
            names = pair.options[number][0], pair.options[1 - number][0]
            if names in listed - idle and pair.judged[number]:
                both = outcome(*pair.line())
                if both[0] in (0, 3) and outcome(*pair.line(number)) == both:
                    idle.add(names)
    assert listed == idle


@pytest.mark.slow
@pytest.mark.parametrize("line", LONGER)
def test_what_changes_nothing_on_short_texts_does_on_longer_ones(line, outcome, long_text):
    words = line.replace("long.txt", long_text).split()
    without, beside = outcome(*words), outcome(*words, *LONGER[line].split())
    assert (without[0], beside[0]) == (0, 0)
    assert without != beside


@pytest.fixture(scope="module")
def long_text(tmp_path_factory):
    """The name of a text of 30,000 characters, those of the texts of the table."""
    path = tmp_path_factory.mktemp("long") / "long.txt"
    draw = random.Random(1)
    words = ["the", "cat", "sat", "on", "mat"]
    path.write_text("".join(f"{' '.join(draw.choices(words, k=5))}\n" for _ in range(1500)))
    return str(path)
