"""The choice of a symbol: temperature, filters, inverse CDF."""

import math

import numpy as np
import pytest

from charrnn.errors import CharRNNError, UsageError
from charrnn.sampling import filters
from charrnn.sampling.options import SampleOptions


def random_weights(seed: int, N: int, V: int) -> np.ndarray:
    return np.random.default_rng(seed).exponential(size=(N, V)) ** 3


def softmax(logits: np.ndarray, temperature: float) -> np.ndarray:
    scaled = np.exp(logits.astype(np.float64) / temperature)
    return scaled / scaled.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_temperature_divides_the_logits(temperature: float) -> None:
    logits = np.random.default_rng(4).normal(size=(3, 11)).astype(np.float32)
    found = filters.temper(logits, temperature)
    found /= found.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found, softmax(logits, temperature), rtol=1e-12)


def test_logits_are_not_changed() -> None:
    logits = np.random.default_rng(1).normal(size=(2, 5))
    before = logits.copy()
    filters.weights(logits, SampleOptions(0.5, 2, 0.9, 0.1), unknown=3)
    filters.log_probabilities(logits, np.array([1, 4]))
    np.testing.assert_array_equal(logits, before)


def test_temperature_zero_takes_the_first_maximum() -> None:
    logits = np.array([[0.0, 7.0, 7.0, -1.0], [3.0, 2.0, 1.0, 3.0]])
    expected = [[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]
    np.testing.assert_array_equal(filters.temper(logits, 0.0), expected)


@pytest.mark.parametrize("temperature", [5e-324, 1e-308, 1e-40, 1e-9])
def test_a_tiny_temperature_does_not_overflow(temperature: float) -> None:
    logits = np.array([[-3e38, 1.0, 1.001, 3e38], [0.0, -1.0, 0.5, 0.4]], np.float32)
    np.testing.assert_array_equal(filters.temper(logits, temperature), [[0, 0, 0, 1], [0, 0, 1, 0]])


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_unknown_symbol_has_no_weight(temperature: float) -> None:
    logits = np.array([[1.0, 9.0, 2.0]])
    found = filters.temper(logits, temperature, unknown=1)
    assert found[0, 1] == 0
    assert found[0].argmax() == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("rows", [1, 3])
def test_a_diverged_model_is_an_error(bad: float, rows: int) -> None:
    logits = np.zeros((rows, 4), np.float32)
    logits[-1, 2] = bad
    with pytest.raises(CharRNNError, match="not a finite number"):
        filters.temper(logits, 0.8)


@pytest.mark.parametrize("k", [1, 2, 6, 12])
def test_top_k_keeps_the_k_largest(k: int) -> None:
    p = random_weights(3, 5, 13)
    found = filters.top_k(p, k)
    for row, kept in zip(p, found, strict=True):
        assert sorted(kept[kept > 0]) == sorted(row)[-k:]
        assert (kept[kept > 0] == row[kept > 0]).all()


def test_top_k_keeps_the_first_of_equals() -> None:
    p = np.array([[0.2, 0.3, 0.2, 0.2], [0.25, 0.25, 0.25, 0.25]])
    expected = [[0.2, 0.3, 0, 0], [0.25, 0.25, 0, 0]]
    np.testing.assert_array_equal(filters.top_k(p, 2), expected)


def test_top_k_of_more_than_there_are_keeps_all() -> None:
    p = random_weights(0, 2, 4)
    np.testing.assert_array_equal(filters.top_k(p, 4), p)
    np.testing.assert_array_equal(filters.top_k(p, 99), p)


@pytest.mark.parametrize("share", [0.01, 0.4, 0.77, 0.999])
def test_top_p_keeps_the_smallest_set_that_reaches_the_share(share: float) -> None:
    p = random_weights(7, 20, 17)
    for row, kept in zip(p, filters.top_p(p, share), strict=True):
        some = kept > 0
        assert row[some].min() > row[~some].max(initial=0)
        assert row[some].sum() >= share * row.sum() * (1 - 1e-12)
        assert row[some].sum() - row[some].min() < share * row.sum()


def test_top_p_reached_exactly_adds_nothing() -> None:
    p = np.array([[0.125, 0.5, 0.25, 0.125]])
    np.testing.assert_array_equal(filters.top_p(p, 0.75), [[0, 0.5, 0.25, 0]])


def test_min_p_drops_what_is_below_a_share_of_the_largest() -> None:
    p = np.array([[0.5, 0.25, 0.2, 0.05], [0.1, 0.1, 0.4, 0.4]])
    expected = [[0.5, 0.25, 0, 0], [0, 0, 0.4, 0.4]]
    np.testing.assert_array_equal(filters.min_p(p, 0.5), expected)


def test_each_filter_sees_what_the_one_before_has_left() -> None:
    logits = np.log([[0.4, 0.3, 0.2, 0.1]])
    # 0.4 of the 0.7 that top-k leaves is 57 %: enough for 0.5, though 40 % would not be.
    assert np.count_nonzero(filters.weights(logits, SampleOptions(1.0, top_p=0.5))) == 2
    assert np.count_nonzero(filters.weights(logits, SampleOptions(1.0, top_k=2, top_p=0.5))) == 1


def test_temperature_comes_before_the_filters() -> None:
    logits = np.log([[0.6, 0.3, 0.1]])
    cold = filters.weights(logits, SampleOptions(0.25, top_p=0.7))
    warm = filters.weights(logits, SampleOptions(2.0, top_p=0.7))
    assert (np.count_nonzero(cold), np.count_nonzero(warm)) == (1, 2)


@pytest.mark.parametrize("rows", [1, 4])
def test_the_choice_inverts_the_distribution_function(rows: int) -> None:
    p = random_weights(9, rows, 8)
    edges = p.cumsum(axis=1) / p.sum(axis=1, keepdims=True)
    for symbol in range(8):
        inside = edges[:, symbol] - 1e-9
        np.testing.assert_array_equal(filters.choose(p, inside), symbol)


@pytest.mark.parametrize("u", [0.0, 0.5, 1 - 2**-53])
@pytest.mark.parametrize("rows", [1, 300])
def test_a_symbol_without_weight_is_never_chosen(u: float, rows: int) -> None:
    p = random_weights(2, rows, 9)
    p[:, [0, 4, 8]] = 0.0
    chosen = filters.choose(p, np.full(rows, u))
    assert (p[np.arange(rows), chosen] > 0).all()


def test_choices_have_the_frequencies_of_the_distribution() -> None:
    p = np.array([0.5, 0.0, 0.3, 0.15, 0.05])
    n = 20_000
    uniforms = np.random.default_rng(6).random(n)
    counts = np.bincount(filters.choose(np.tile(p, (n, 1)), uniforms), minlength=5)
    sigma = np.sqrt(n * p * (1 - p))
    assert (np.abs(counts - n * p) <= 4 * sigma).all()


def test_log_probabilities_are_those_of_the_softmax() -> None:
    logits = 30 * np.random.default_rng(5).normal(size=(4, 6)).astype(np.float32)
    ids = np.array([0, 5, 3, 3])
    expected = np.log(softmax(logits, 1.0))[np.arange(4), ids]
    np.testing.assert_allclose(filters.log_probabilities(logits, ids), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("temperature", (-0.1,)),
        ("temperature", (math.nan,)),
        ("temperature", (math.inf,)),
        ("top_k", (1.0, -1)),
        ("top_p", (1.0, 0, 0.0)),
        ("top_p", (1.0, 0, 1.01)),
        ("top_p", (1.0, 0, math.nan)),
        ("min_p", (1.0, 0, 1.0, 1.0)),
        ("min_p", (1.0, 0, 1.0, -0.1)),
        ("min_p", (1.0, 0, 1.0, math.nan)),
    ],
)
def test_an_invalid_option_is_named(name: str, values: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match=name):
        SampleOptions(*values)  # type: ignore[arg-type]
