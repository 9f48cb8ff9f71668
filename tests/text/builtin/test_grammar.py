"""The form of the generated texts, checked by separate parsers."""

import itertools
import math
import re
import time
from collections import Counter
from datetime import date

import numpy as np
import pytest

from charrnn.text import builtin

REBER = {
    0: {"B": 1},
    1: {"T": 2, "P": 3},
    2: {"S": 2, "X": 4},
    3: {"T": 3, "V": 5},
    4: {"X": 3, "S": 6},
    5: {"P": 4, "V": 6},
    6: {"E": 7},
}


def text(name, chars, seed=0, **options):
    return b"".join(builtin.generate(name, chars, seed, **options)).decode("ascii")


def lines(name, chars, seed=0, **options):
    """Return the whole lines of a text, and the cut line at its end."""
    *whole, rest = text(name, chars, seed, **options).split("\n")
    return whole, rest


def test_hello():
    assert text("hello", 100_003) == "hello" * 20_000 + "hel"


def walk_reber(line):
    """Return the arcs taken inside an embedded Reber string; fail if it is none."""
    assert line[0] == "B"
    assert line[1] in "TP"
    assert line[-2] == line[1]
    assert line[-1] == "E"
    node, arcs = 0, []
    for letter in line[2:-2]:
        arcs.append((node, letter))
        node = REBER[node][letter]
    assert node == 7
    return arcs


@pytest.mark.parametrize("seed", [0, 13])
def test_every_reber_line_is_in_the_grammar_and_every_branch_is_equal(seed):
    whole, rest = lines("reber", 150_000, seed)
    arcs = Counter(arc for line in whole for arc in walk_reber(line))
    first = Counter(line[1] for line in whole)
    assert len(rest) < 100
    branches = [(arcs[node, a], arcs[node, b]) for node, (a, b) in two_ways()]
    for left, right in [*branches, (first["T"], first["P"])]:
        assert left + right > 5000
        assert abs(left - right) < 4.5 * math.sqrt(left + right)


def two_ways():
    return [(node, tuple(ways)) for node, ways in REBER.items() if len(ways) == 2]


def test_reber_inner_strings_do_not_tell_the_first_letter():
    whole, _ = lines("reber", 200_000, 4)
    inner = {first: [line[2:-2] for line in whole if line[1] == first] for first in "TP"}
    t, p = (Counter(strings) for strings in inner.values())
    for string, count in t.most_common(5):
        assert abs(count - p[string]) < 4.5 * math.sqrt(count + p[string])


@pytest.mark.parametrize(
    ("seed", "kinds", "depth", "p"),
    [(0, 2, 8, 0.4), (1, 1, 1, 0.5), (2, 4, 3, 0.9), (3, 3, 60, 0.5)],
)
def test_brackets_are_balanced_and_as_documented(seed, kinds, depth, p):
    whole, rest = lines("brackets", 120_000, seed, kinds=kinds, max_depth=depth, open_prob=p)
    partner = dict(zip("([{<"[:kinds], ")]}>"[:kinds], strict=True))
    used, deepest, choices = Counter(), 0, Counter()
    for line in whole:
        assert line
        stack = []
        for position, char in enumerate(line):
            if position and len(stack) < depth:
                choices[char in partner] += 1
            if char in partner:
                stack.append(char)
                used[char] += 1
            else:
                assert char == partner[stack.pop()]
            deepest = max(deepest, len(stack))
        assert not stack
        choices[False] += 1  # the end of the line
    assert deepest == depth or depth > 20
    assert deepest <= depth
    assert set(rest) <= set("([{<)]}>")
    total = sum(choices.values())
    assert choices[True] / total == pytest.approx(p, abs=4.5 * math.sqrt(p * (1 - p) / total))
    for count in used.values():
        assert count == pytest.approx(used.total() / kinds, rel=0.05)
    assert len(used) == kinds


FORMATS = (
    *("%d %B %Y", "%B %d, %Y", "%A, %d %B %Y", "%A, %B %d, %Y", "%B %dth, %Y"),
    *("the %dth of %B %Y", "%d.%m.%Y", "%d/%m/%y", "%d-%b-%y", "%b %d '%y", "%a %d %b %Y"),
    "%Y, %b %d",
)


def read_date(text, first):
    """Return the format of a date's spelling and its ISO form, as Python's own parser reads it."""
    plain = re.sub(r"(\d)(st|nd|rd|th)\b", r"\1th", text)
    for form in FORMATS:
        try:
            found = time.strptime(plain, form)
        except ValueError:
            continue
        year = found.tm_year
        if "%y" in form:  # the one year of the hundred
            year = first + (year - first) % 100
        day = date(year, found.tm_mon, found.tm_mday)
        if "%A" in form or "%a" in form:
            assert found.tm_wday == day.weekday()
        return form, day.isoformat()
    raise AssertionError(text)


@pytest.mark.parametrize(("seed", "first", "years"), [(0, 1970, 100), (1, 1850, 100), (2, 9900, 3)])
def test_dates_are_what_pythons_parser_reads_and_every_spelling_is_equal(seed, first, years):
    whole, _ = lines("dates", 60_000, seed, first_year=first, years=years)
    forms, months = Counter(), Counter()
    for line in whole:
        spelling, iso = line.split("\t")
        form, expected = read_date(spelling, first)
        assert iso == expected
        assert first <= int(iso[:4]) < first + years
        forms[form] += 1
        months[iso[5:7]] += 1
    for found, kinds in ((forms, 12), (months, 12)):
        assert len(found) == kinds
        share = len(whole) / kinds
        assert all(abs(count - share) < 4.5 * math.sqrt(share) for count in found.values())


def test_recall_labels_a_text_with_the_letter_at_its_distance():
    whole, _ = lines("recall", 90_000, 3, letters=4, distance=7, more=3, flip=0.25)
    lengths, letters, others = Counter(), Counter(), Counter()
    for line in whole:
        label, one = line.split("\t")
        lengths[len(one)] += 1
        letters.update(one)
        others[(ord(label.lower()) - ord(one[-8])) % 4] += 1
    assert set(lengths) == {8, 9, 10, 11}
    for found in (lengths, letters):
        share = found.total() / len(found)
        assert all(abs(count - share) < 4.5 * math.sqrt(share) for count in found.values())
    assert others[0] / len(whole) == pytest.approx(0.75, abs=0.03)
    assert all(others[k] / len(whole) == pytest.approx(0.25 / 3, abs=0.02) for k in (1, 2, 3))


def test_walks_take_the_steps_of_their_label():
    whole, _ = lines("walks", 90_000, 3, letters=5, labels=3, flip=0.25, end=0.2)
    labels, starts, steps, lengths = Counter(), Counter(), Counter(), Counter()
    for line in whole:
        label, walk = line.split("\t")
        labels[label] += 1
        starts[walk[0]] += 1
        lengths[len(walk)] += 1
        for a, b in itertools.pairwise(walk):
            steps[(ord(b) - ord(a) - (ord(label) - ord("A") + 1)) % 5] += 1
    for found in (labels, starts):
        share = found.total() / len(found)
        assert all(abs(count - share) < 4.5 * math.sqrt(share) for count in found.values())
    assert steps[0] / steps.total() == pytest.approx(0.75, abs=0.01)
    assert all(steps[k] / steps.total() == pytest.approx(0.25 / 4, abs=0.01) for k in range(1, 5))
    assert lengths[1] / len(whole) == pytest.approx(0.2, abs=0.02)


def test_reversal_reverses_strings_of_every_length():
    whole, _ = lines("reversal", 60_000, 3, letters=4, shortest=2, longest=6)
    lengths, letters = Counter(), Counter()
    for line in whole:
        one, other = line.split("\t")
        assert other == "".join(reversed(one))
        lengths[len(one)] += 1
        letters.update(one)
    assert set(lengths) == {2, 3, 4, 5, 6}
    assert set(letters) == set("abcd")
    for found in (lengths, letters):
        share = found.total() / len(found)
        assert all(abs(count - share) < 4.5 * math.sqrt(share) for count in found.values())


@pytest.mark.parametrize(
    ("seed", "lag", "flip"), [(0, 10, 0.1), (1, 1, 0.25), (2, 333, 0.5), (3, 70_001, 0.02)]
)
def test_copy_lag_flips_copies_at_the_given_rate(seed, lag, flip):
    sample = np.frombuffer(text("copy-lag", 300_000, seed, lag=lag, flip=flip).encode(), np.uint8)
    assert set(sample.tolist()) == set(b"01")
    flipped = sample[lag:] != sample[:-lag]
    bound = 4.5 * math.sqrt(flip * (1 - flip) / len(flipped))
    assert flipped.mean() == pytest.approx(flip, abs=bound)
    # Flips are independent of each other, also across the edges of blocks.
    both = (flipped[1:] & flipped[:-1]).mean()
    assert both == pytest.approx(flip**2, abs=2.5 * bound)


@pytest.mark.parametrize(("flip", "period"), [(0.0, 7), (1.0, 14)])
def test_copy_lag_without_chance_is_periodic(flip, period):
    sample = text("copy-lag", 200_000, 6, lag=7, flip=flip)
    assert sample[period:] == sample[:-period]
    assert (sample[7:14] == sample[:7]) == (flip == 0.0)


def test_copy_lag_begins_with_fair_bits():
    sample = text("copy-lag", 50_000, 2, lag=50_000)
    assert sample.count("1") == pytest.approx(25_000, abs=4.5 * math.sqrt(12_500))


def test_markov_takes_the_odds_of_its_table():
    options = {"order": 2, "alphabet": 3, "concentration": 1.0}
    table = builtin.create("markov", **options).weights(21)
    sample = ["abc".index(char) for char in text("markov", 200_000, 21, **options)]
    seen = np.zeros((9, 3))
    for a, b, c in zip(sample, sample[1:], sample[2:], strict=False):
        seen[3 * a + b, c] += 1
    expected = seen.sum(axis=1, keepdims=True) * (table / 2**32)
    assert (np.abs(seen - expected) < 4.5 * np.sqrt(expected) + 1).all()


def test_markov_letters_are_the_first_of_the_alphabet():
    assert set(text("markov", 20_000, 1, alphabet=29, order=1)) == set(
        "abcdefghijklmnopqrstuvwxyzABC"
    )
