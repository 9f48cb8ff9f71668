"""The stated entropies against computations that share nothing with the generators."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from charrnn.errors import UsageError
from charrnn.text import builtin
from charrnn.text.builtin._chain import Chain, Move, stationary
from charrnn.text.builtin._random import Draws
from charrnn.text.entropy import entropy

LN2 = math.log(2)


def text(name, chars, seed=0, **options):
    return b"".join(builtin.generate(name, chars, seed, **options)).decode("ascii")


def binary_entropy(p):
    return -p * math.log(p) - (1 - p) * math.log(1 - p)


def conditional_entropy(sample, order):
    """Plug-in estimate of H(x_t | the `order` characters before), in nats."""
    starts = range(len(sample) - order)
    blocks = Counter(sample[i : i + order + 1] for i in starts)
    contexts = Counter(sample[i : i + order] for i in starts)
    total = sum(blocks.values())
    return sum(c * math.log(contexts[b[:-1]] / c) for b, c in blocks.items()) / total


def test_hello_is_certain_given_two_characters_and_not_given_one():
    assert builtin.info("hello").entropy == 0.0
    sample = text("hello", 5000)
    assert conditional_entropy(sample, 2) == 0.0
    assert conditional_entropy(sample, 1) == pytest.approx(2 / 5 * LN2, abs=1e-3)


def test_reber_is_7_of_13_bits():
    assert builtin.info("reber").entropy == pytest.approx(7 / 13 * LN2, abs=1e-14)


@pytest.mark.parametrize("flip", [0.1, 0.37, 0.9])
def test_copy_lag_is_the_entropy_of_a_flip(flip):
    stated = builtin.info("copy-lag", flip=flip, lag=3).entropy
    assert stated == pytest.approx(binary_entropy(flip), abs=1e-14)
    sample = text("copy-lag", 200_000, seed=4, flip=flip, lag=3)
    assert conditional_entropy(sample, 3) == pytest.approx(stated, abs=5e-3)
    assert conditional_entropy(sample, 2) == pytest.approx(LN2, abs=1e-3)


@pytest.mark.parametrize(("first", "years"), [(1970, 100), (2000, 1)])
def test_dates_is_the_entropy_of_a_line_over_its_mean_length(first, years):
    found = text("dates", 400_000, 6, first_year=first, years=years).splitlines()[:-1]
    days = sum(
        366 if y % 4 == 0 and (y % 100 or y % 400 == 0) else 365
        for y in range(first, first + years)
    )
    mean = np.mean([len(line) + 1 for line in found])
    stated = builtin.info("dates", first_year=first, years=years).entropy
    assert stated == pytest.approx(math.log(days * 12) / mean, rel=5e-3)
    if years == 1:  # nothing that a line could be is missing, or there twice
        assert len(set(found)) == pytest.approx(days * 12, rel=0.1)
        assert len(set(found)) <= days * 12


def test_recall_is_the_entropy_of_a_line_over_its_mean_length():
    how = {"letters": 3, "distance": 1, "more": 1, "flip": 0.2}
    found = text("recall", 300_000, 2, **how).splitlines()[:-1]
    counts = Counter(found)
    plug_in = -sum(n * math.log(n / len(found)) for n in counts.values()) / len(found)
    assert plug_in / 5.5 == pytest.approx(builtin.info("recall", **how).entropy, rel=5e-3)
    assert len(counts) == 3 * (9 + 27)


def test_walks_is_the_entropy_of_a_line_over_its_mean_length():
    how = {"letters": 3, "labels": 2, "flip": 0.2, "end": 0.5}
    found = text("walks", 400_000, 2, **how).splitlines()[:-1]
    nats = 0.0
    for line in found:
        label, walk = line.split("\t")
        nats += math.log(2) + math.log(3)
        for a, b in itertools.pairwise(walk):
            right = (ord(b) - ord(a)) % 3 == ord(label) - ord("A") + 1
            nats -= math.log(0.5 * (0.8 if right else 0.1))
        nats -= math.log(0.5)
    chars = sum(map(len, found)) + len(found)
    assert nats / chars == pytest.approx(builtin.info("walks", **how).entropy, rel=5e-3)
    written = nats / len(found) - math.log(2)
    symbols = chars / len(found) - 2
    of_text = builtin.create("walks", **how).text_entropy()
    assert written / symbols == pytest.approx(of_text, rel=5e-3)


def test_reversal_is_the_entropy_of_a_line_over_its_mean_length():
    stated = builtin.info("reversal", letters=3, shortest=2, longest=4).entropy
    expected = (math.log(3) + 3 * math.log(3)) / 8
    assert stated == pytest.approx(expected, rel=1e-14)
    found = text("reversal", 200_000, 2, letters=3, shortest=2, longest=4).splitlines()[:-1]
    counts = Counter(found)
    plug_in = -sum(n * math.log(n / len(found)) for n in counts.values()) / len(found)
    assert plug_in / 8 == pytest.approx(stated, rel=5e-3)
    assert len(counts) == 9 + 27 + 81


@pytest.mark.parametrize(
    ("seed", "options"),
    [
        (0, {"order": 1, "alphabet": 5}),
        (7, {"order": 2, "alphabet": 4, "concentration": 0.2}),
        (8, {"order": 3, "alphabet": 3, "concentration": 4.0}),
        (9, {"order": 0, "alphabet": 20}),
    ],
)
def test_markov_agrees_with_counts_of_its_text(seed, options):
    stated = builtin.info("markov", seed, **options).entropy
    sample = text("markov", 150_000, seed, **options)
    order = options["order"]
    assert conditional_entropy(sample, order) == pytest.approx(stated, abs=0.012)
    # More context than the order helps nothing, less does not reach it.
    assert conditional_entropy(sample, order + 1) == pytest.approx(stated, abs=0.02)
    if order:
        assert conditional_entropy(sample, order - 1) > stated + 0.02


def test_markov_entropy_belongs_to_the_seed():
    stated = {builtin.info("markov", seed).entropy for seed in range(5)}
    assert len(stated) == 5


def test_markov_concentration_orders_the_entropies():
    low, middle, high = (
        builtin.info("markov", 3, concentration=c).entropy for c in (0.02, 1.0, 1000.0)
    )
    assert low < 0.6 < middle < high < math.log(8)
    assert high > math.log(8) - 0.01


@pytest.mark.parametrize(
    ("order", "alphabet", "concentration"),
    [(1, 6, 0.5), (2, 5, 0.05), (4, 5, 0.7)],
    ids=["dense", "dense, slow mixing", "iterated"],
)
def test_markov_stationary_distribution_stays_the_same(order, alphabet, concentration):
    source = builtin.create("markov", order=order, alphabet=alphabet, concentration=concentration)
    table = source.weights(11)
    assert table.min() >= 1
    assert (table.sum(axis=1) == 2**32).all()
    before = source.stationary(table)
    after = np.zeros_like(before)
    for context, share in enumerate(before):
        for symbol in range(alphabet):
            target = (context % alphabet ** (order - 1)) * alphabet + symbol
            after[target] += share * table[context, symbol] / 2**32
    assert before.sum() == pytest.approx(1.0, abs=1e-12)
    assert np.abs(after - before).max() < 1e-12


def test_markov_goes_on_from_its_first_characters_as_the_table_says():
    options = {"order": 3, "alphabet": 3, "concentration": 0.02}
    source = builtin.create("markov", **options)
    likely = 0
    for seed in range(60):
        *context, last = ("abc".index(char) for char in text("markov", 4, seed, **options))
        row = source.weights(seed)[9 * context[0] + 3 * context[1] + context[2]]
        likely += row[last] > 2**32 / 10
    assert likely > 55


def test_markov_says_when_a_large_table_cannot_be_solved():
    with pytest.raises(UsageError, match="raise concentration"):
        builtin.info("markov", 1, order=4, alphabet=6, concentration=0.002)


def test_markov_begins_in_the_stationary_distribution():
    options = {"order": 1, "alphabet": 3, "concentration": 0.3}
    source = builtin.create("markov", **options)
    # The table depends on the seed too, so observed and expected are summed over seeds.
    seeds = range(400)
    seen = Counter(text("markov", 1, seed, **options) for seed in seeds)
    expected = sum(source.stationary(source.weights(seed)) for seed in seeds)
    for letter, count in zip("abc", expected, strict=True):
        assert abs(seen[letter] - count) < 4 * math.sqrt(count)


@pytest.mark.parametrize(("kinds", "p"), [(1, 0.5), (3, 0.2), (4, 0.8)])
def test_brackets_of_depth_one_in_closed_form(kinds, p):
    pairs = 1 / (1 - p)
    nats = pairs * math.log(kinds) + pairs * binary_entropy(p)
    stated = builtin.info("brackets", kinds=kinds, max_depth=1, open_prob=p).entropy
    assert stated == pytest.approx(nats / (2 * pairs + 1), abs=1e-13)


@pytest.mark.parametrize(
    ("seed", "kinds", "depth", "p"), [(0, 2, 8, 0.4), (5, 1, 4, 0.6), (6, 4, 30, 0.45)]
)
def test_brackets_agrees_with_the_documented_probabilities_of_its_text(seed, kinds, depth, p):
    sample = text("brackets", 200_000, seed, kinds=kinds, max_depth=depth, open_prob=p)
    nats, stack = 0.0, []
    fresh = True
    for char in sample:
        opens = char in "([{<"
        choice = not (fresh or len(stack) == depth)
        nats -= choice * math.log(p if opens else 1 - p) - opens * math.log(kinds)
        if opens:
            stack.append(char)
        elif char != "\n":
            stack.pop()
        fresh = char == "\n"
    stated = builtin.info("brackets", kinds=kinds, max_depth=depth, open_prob=p).entropy
    assert nats / len(sample) == pytest.approx(stated, abs=0.01)


@pytest.mark.parametrize(("depth", "p"), [(1, 0.3), (7, 0.4), (12, 0.6), (100, 0.5)])
def test_brackets_mean_line_is_that_of_its_chain(depth, p):
    brackets = builtin.create("brackets", max_depth=depth, open_prob=p)
    assert brackets.mean_line() == pytest.approx(brackets.chain().mean_line(), rel=1e-12)


@pytest.mark.parametrize("size", [2, 9, 40])
def test_stationary_against_a_linear_solve(size):
    matrix = np.random.default_rng(size).random((size, size)) ** 4
    matrix /= matrix.sum(axis=1, keepdims=True)
    system = np.vstack([matrix.T - np.eye(size), np.ones(size)])
    solved = np.linalg.lstsq(system, np.eye(size + 1)[size], rcond=None)[0]
    assert np.allclose(stationary(matrix), solved, rtol=0, atol=1e-13)


def test_stationary_is_accurate_where_the_chain_hardly_moves():
    a, b = 1e-13, 3e-13
    found = stationary(np.array([[1 - a, a], [b, 1 - b]]))
    assert found == pytest.approx([0.75, 0.25], rel=1e-14)


def test_entropy_counts_certainty_as_zero():
    assert entropy(np.array([0.0, 1.0])) == 0.0
    assert math.copysign(1.0, entropy(np.array([0.0, 1.0]))) == 1.0
    assert entropy(np.full(5, 0.2)) == pytest.approx(math.log(5))


@pytest.mark.parametrize(
    "moves",
    [
        [Move("a", 0, 0.5), Move("a", 0, 0.5)],
        [Move("a", 0, 0.5), Move("b", 0, 0.4)],
    ],
    ids=["one character twice", "sum below 1"],
)
def test_a_chain_whose_entropy_would_be_wrong_is_refused(moves):
    with pytest.raises(ValueError, match="state 0"):
        Chain([moves])


@pytest.mark.parametrize(
    ("shape", "digamma"), [(0.5, -1.9635100), (1.0, -0.5772157), (3, 0.9227843)]
)
def test_gamma_variates_have_the_moments_of_their_distribution(shape, digamma):
    logs = Draws("test", "gamma", 1).log_gamma(shape, 100_000)
    values = np.exp(logs)
    assert values.mean() == pytest.approx(shape, abs=5 * math.sqrt(shape / 1e5))
    assert values.var() == pytest.approx(shape, rel=0.05)
    assert logs.mean() == pytest.approx(digamma, abs=0.03)


def test_draws_do_not_depend_on_how_they_are_grouped():
    whole = Draws("test", "grouping", 3).uniform(1000)
    parts = Draws("test", "grouping", 3)
    assert np.array_equal(np.concatenate([parts.uniform(n) for n in (1, 300, 699)]), whole)
    assert not np.array_equal(Draws("test", "other", 3).uniform(1000), whole)
    assert 0.0 <= whole.min() < 0.01 < 0.99 < whole.max() < 1.0
