"""Built-in corpora as a set: names, sizes, seeds, options, fingerprints."""

import itertools
import subprocess
import sys

import pytest

from charrnn.errors import CharRNNError, UsageError
from charrnn.text import builtin

GENERATED = ["brackets", "copy-lag", "dates", "hello", "markov", "reber"]
GENERATED += ["recall", "reversal", "walks"]
RANDOM = [name for name in GENERATED if name != "hello"]


def make(name, chars=None, seed=0, **options):
    return b"".join(builtin.generate(name, chars, seed, **options))


def test_names():
    assert set(builtin.NAMES) == {*GENERATED, "python-docs", "python-source"}
    assert list(builtin.NAMES) == sorted(builtin.NAMES)


@pytest.mark.parametrize("name", builtin.NAMES)
@pytest.mark.parametrize("chars", [1, 7, 70_001])
def test_the_number_of_characters_is_exact(name, chars):
    assert len(make(name, chars, seed=5).decode("utf-8")) == chars


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in builtin.NAMES if name != "python-source"])
def test_without_a_number_the_default_size(name):
    assert len(make(name).decode("utf-8")) == builtin.info(name).chars


@pytest.mark.parametrize("name", builtin.NAMES)
def test_a_longer_text_begins_with_the_shorter_one(name):
    assert make(name, 200_000, seed=3).startswith(make(name, 9_999, seed=3))


@pytest.mark.parametrize("name", GENERATED)
def test_chunks_are_small(name):
    chunks = itertools.islice(builtin.generate(name, 10**12, seed=2), 8)
    assert max(len(chunk) for chunk in chunks) < 1 << 20


@pytest.mark.parametrize("name", GENERATED)
def test_alphabet_is_what_the_text_holds(name):
    assert len(set(make(name, 50_000, seed=8))) == builtin.info(name).alphabet


@pytest.mark.parametrize("name", RANDOM)
def test_the_seed_decides_the_text(name):
    texts = [make(name, 5000, seed) for seed in (0, 1, 2**70)]
    assert len(set(texts)) == 3
    assert make(name, 5000, seed=1) == texts[1]


@pytest.mark.parametrize("name", ["hello", "python-docs"])
def test_without_random_choices_the_seed_changes_nothing(name):
    assert make(name, 5000, seed=9) == make(name, 5000)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("brackets", "kinds", 3),
        ("brackets", "max_depth", 3),
        ("brackets", "open_prob", 0.3),
        ("copy-lag", "lag", 3),
        ("copy-lag", "flip", 0.4),
        ("dates", "first_year", 1900),
        ("dates", "years", 3),
        ("markov", "order", 1),
        ("markov", "alphabet", 5),
        ("markov", "concentration", 2.0),
        ("recall", "letters", 3),
        ("recall", "distance", 2),
        ("recall", "more", 1),
        ("recall", "flip", 0.5),
        ("reversal", "letters", 3),
        ("reversal", "shortest", 4),
        ("reversal", "longest", 20),
        ("walks", "letters", 9),
        ("walks", "labels", 2),
        ("walks", "flip", 0.5),
        ("walks", "end", 0.3),
    ],
)
def test_every_option_changes_the_text_and_is_reported(name, option, value):
    assert make(name, 3000, **{option: value}) != make(name, 3000)
    assert builtin.info(name, **{option: value}).options[option] == value


def test_no_option_is_forgotten_above():
    (cases,) = [
        mark.args[1] for mark in test_every_option_changes_the_text_and_is_reported.pytestmark
    ]
    declared = {(name, key) for name in builtin.NAMES for key in builtin.create(name).options()}
    assert {case[:2] for case in cases} == declared


@pytest.mark.parametrize(
    ("name", "arguments", "part"),
    [
        ("nosuch\x1b", {}, "nosuch\\x1b"),
        ("reber", {"flip": 0.1}, "no option flip"),
        ("copy-lag", {"max_depth": 2}, "no option max_depth"),
        ("copy-lag", {"lag": 0}, "lag must be at least 1"),
        ("copy-lag", {"lag": 2.5}, "lag must be an integer, not 2.5"),
        ("copy-lag", {"lag": True}, "lag must be an integer, not True"),
        ("copy-lag", {"flip": -0.1}, "flip must be at least 0"),
        ("copy-lag", {"flip": float("nan")}, "flip must be a finite number"),
        ("copy-lag", {"flip": "0.1\n"}, "'0.1\\n'"),
        ("markov", {"alphabet": 1}, "alphabet must be"),
        ("markov", {"alphabet": 60, "order": 4}, "order 4"),
        ("markov", {"concentration": 0.0}, "concentration must be"),
        ("brackets", {"kinds": 5}, "kinds must be at least 1 and at most 4, not 5"),
        ("brackets", {"open_prob": 0.95, "max_depth": 500}, "open_prob 0.95"),
        ("dates", {"years": 101}, "years must be at least 1 and at most 100, not 101"),
        ("reversal", {"shortest": 13}, "shortest 13 is above longest 12"),
        ("walks", {"labels": 13}, "labels 13 is above letters 12"),
        ("hello", {"chars": 0}, "chars must be at least 1, not 0"),
        ("hello", {"seed": -1}, "seed must be at least 0, not -1"),
        ("python-docs", {"chars": 10**9}, "lower chars"),
        ("python-source", {"chars": 10**9}, "lower chars"),
    ],
)
def test_what_is_invalid_is_refused_before_any_text(name, arguments, part):
    with pytest.raises(UsageError) as caught:
        builtin.generate(name, **arguments)
    assert part in str(caught.value)
    assert str(caught.value).isprintable()


def test_an_integer_will_do_for_a_number():
    assert builtin.info("copy-lag", flip=0).entropy == 0.0


@pytest.mark.parametrize("name", builtin.NAMES)
def test_fingerprint_tells_versions_and_defaults_apart(name, monkeypatch):
    kind = builtin.get(name)
    prints = {builtin.fingerprint(name)}
    assert builtin.fingerprint(name) in prints
    monkeypatch.setattr(kind, "version", kind.version + 1)
    prints.add(builtin.fingerprint(name))
    monkeypatch.setattr(kind, "options", lambda self: {"other": 1})
    prints.add(builtin.fingerprint(name))
    assert len(prints) == 3


def test_fingerprints_differ():
    assert len({builtin.fingerprint(name) for name in builtin.NAMES}) == len(builtin.NAMES)


def test_names_options_and_errors_need_no_numpy():
    code = (
        "import sys\n"
        "from charrnn.text import builtin\n"
        "for name in builtin.NAMES: builtin.fingerprint(name)\n"
        "assert not {'numpy', 'rich', 'cupy'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_errors_are_usage_errors():
    with pytest.raises(CharRNNError) as caught:
        builtin.info("markov", order=99)
    assert caught.value.exit_code == 2
