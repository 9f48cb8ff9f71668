"""Scores of texts, of lines, and of a validation text."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from charrnn.backend import Backend
from charrnn.config import ModelConfig
from charrnn.errors import CorpusError
from charrnn.evaluate import (
    Score,
    Validation,
    score,
    score_lines,
    score_pieces,
    split_lines,
    surprisals,
)
from charrnn.model.language import LanguageModel
from charrnn.text.vocabulary import Vocabulary

V = 11


def new_model(seed: int = 2, **options: object) -> LanguageModel:
    settings: dict[str, object] = {"hidden": 9, "layers": 2, "dtype": "float64"} | options
    model = LanguageModel.fresh(ModelConfig(**settings), V, seed)  # type: ignore[arg-type]
    model.weights.flat[...] *= 2.5  # so that context matters
    return model


def text(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, V, n).astype(np.uint8)


def direct(model: LanguageModel, ids: np.ndarray) -> np.ndarray:
    """Return the surprisals (n - 1,) from one window as long as the text."""
    window = model.window(len(ids), 1, backward=False)
    logits = model.head.logits(model.weights, model.forward(window, ids[:-1, None]))[:, :, 0]
    return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(ids) - 1), ids[1:]]


def test_a_model_that_knows_nothing_scores_the_logarithm_of_the_alphabet() -> None:
    model = LanguageModel(ModelConfig(hidden=5), V)
    found = score(model, [text(0, 777)])
    assert found.chars == 776
    assert found.nats_per_char == pytest.approx(math.log(V), rel=1e-6)
    assert found.bits_per_char == pytest.approx(math.log2(V), rel=1e-6)
    assert found.perplexity == pytest.approx(V, rel=1e-6)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("embed", [0, 4])
def test_the_score_is_the_sum_of_the_surprisals(cell: str, embed: int) -> None:
    model, ids = new_model(cell=cell, embed=embed), text(1, 300)
    expected = direct(model, ids)
    found = score(model, [ids], steps=37)
    assert found.chars == 299
    assert found.nats == pytest.approx(expected.sum(), rel=1e-12)


@pytest.mark.parametrize("cuts", [[1], [1, 2, 3], [64, 65], [0, 150, 150, 299]])
@pytest.mark.parametrize("steps", [1, 64, 1000])
def test_pieces_and_windows_do_not_change_the_score(cuts: list[int], steps: int) -> None:
    model, ids = new_model(), text(3, 300)
    expected = score(model, [ids], steps=50).nats
    assert score(model, np.split(ids, cuts), steps=steps).nats == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("chunks", [[], [[]], [[4]], [[], [4], []]])
def test_a_text_without_a_scored_symbol_is_an_error(chunks: list[list[int]]) -> None:
    arrays = [np.array(chunk, np.uint8) for chunk in chunks]
    with pytest.raises(CorpusError, match="at least 2"):
        score(new_model(), arrays)
    with pytest.raises(CorpusError, match="at least 2"):
        list(surprisals(new_model(), arrays))
    with pytest.raises(CorpusError, match="at least 2"):
        score_pieces(new_model(), arrays, 8)


def test_progress_adds_up_to_the_scored_symbols() -> None:
    seen: list[int] = []
    found = score(new_model(), np.split(text(5, 130), [40]), steps=32, progress=seen.append)
    assert sum(seen) == found.chars == 129
    assert len(seen) > 3


@pytest.mark.parametrize("cuts", [[], [1, 90, 91]])
@pytest.mark.parametrize("length", [1, 7, 99, 500])
def test_pieces_are_each_read_from_a_zero_state(cuts: list[int], length: int) -> None:
    model, ids = new_model(), text(8, 200)
    expected = sum(
        direct(model, ids[start : start + length + 1]).sum() for start in range(0, 199, length)
    )
    seen: list[int] = []
    found = score_pieces(model, np.split(ids, cuts), length, progress=seen.append)
    assert found.nats == pytest.approx(expected, rel=1e-12)
    assert found.chars == sum(seen) == 199


def test_surprisals_belong_to_their_symbols() -> None:
    model, ids = new_model(cell="gru"), text(6, 200)
    pairs = list(surprisals(model, np.split(ids, [1, 90]), steps=32))
    symbols = np.concatenate([some for some, _ in pairs])
    nats = np.concatenate([some for _, some in pairs])
    np.testing.assert_array_equal(symbols, ids)
    assert np.isnan(nats[0])
    np.testing.assert_allclose(nats[1:], direct(model, ids), rtol=1e-10)


@pytest.mark.parametrize("batch", [1, 3, 64])
@pytest.mark.parametrize("steps", [5, 256])
def test_every_line_is_scored_on_its_own_and_in_order(batch: int, steps: int) -> None:
    model = new_model()
    lengths = [3, 40, 1, 0, 17, 2, 2, 90, 5, 1, 33]
    lines = [(f"line {n}", text(n, length)) for n, length in enumerate(lengths)]
    found = list(score_lines(model, lines, batch=batch, steps=steps))
    assert [one.line for one in found] == [line for line, _ in lines]
    for (_, ids), one in zip(lines, found, strict=True):
        if len(ids) < 2:
            assert one.score == Score(0, 0.0)
            assert math.isnan(one.score.nats_per_char)
        else:
            assert one.score.chars == len(ids) - 1
            assert one.score.nats == pytest.approx(direct(model, ids).sum(), rel=1e-12)


@pytest.mark.parametrize("batch", [1, 3])
def test_a_start_symbol_lets_the_first_symbol_of_every_line_be_scored(batch: int) -> None:
    model = new_model()
    lines = [("", text(n, length)) for n, length in enumerate([3, 1, 0, 17])]
    for (_, ids), (_, found) in zip(
        lines, score_lines(model, lines, start=2, batch=batch), strict=True
    ):
        assert found.chars == len(ids)
        expected = direct(model, np.concatenate(([2], ids))).sum() if len(ids) else 0.0
        assert found.nats == pytest.approx(expected, rel=1e-12)


def test_lines_are_scored_as_they_come() -> None:
    taken = 0

    def lines() -> Iterator[tuple[str, np.ndarray]]:
        nonlocal taken
        while True:
            taken += 1
            yield "x", text(taken, 4)

    scores = score_lines(new_model(), lines(), batch=8)
    next(scores)
    assert taken == 8


@pytest.mark.parametrize("cuts", [[], [1, 2, 3], [4, 9]])
def test_symbols_are_cut_into_lines(cuts: list[int]) -> None:
    vocabulary = Vocabulary("char", ("\n", "a", "b"))
    whole = "\nab\nb\n\naab"
    ids = vocabulary.encode(whole)
    found = list(split_lines(np.split(ids, cuts), vocabulary))
    assert [line for line, _ in found] == ["\n", "ab\n", "b\n", "\n", "aab"]
    np.testing.assert_array_equal(np.concatenate([part for _, part in found]), ids)


def test_bytes_are_cut_into_lines_and_a_text_without_newline_is_one() -> None:
    vocabulary = Vocabulary("byte", (10, 200))
    found = [line for line, _ in split_lines([np.array([1, 0, 1], np.uint8)], vocabulary)]
    assert found == [b"\xc8\n", b"\xc8"]
    without = Vocabulary("char", ("a", "b"))
    assert [line for line, _ in split_lines([np.array([0, 1, 1])], without)] == ["abb"]


@pytest.mark.parametrize("seq_len", [1, 32, 77])
def test_validation_by_one_stream_is_the_exact_score(seq_len: int) -> None:
    model, ids = new_model(), text(7, 500)
    found = Validation(model, ids, streams=1, seq_len=seq_len).loss()
    assert found == pytest.approx(score(model, [ids]).nats_per_char, rel=1e-12)


def test_validation_reads_each_stream_from_a_zero_state() -> None:
    model, ids = new_model(cell="gru"), text(8, 3 * 1100 + 2)
    validation = Validation(model, ids, streams=64)  # as long as the text allows: 3 streams
    edges = [0, 1101, 2201, 3301]  # 3301 targets: the first stream takes one more
    parts = [direct(model, ids[a : b + 1]) for a, b in pairwise(edges)]
    expected = np.concatenate(parts).mean()
    assert validation.chars == 3301
    assert validation.loss() == pytest.approx(expected, rel=1e-12)


def test_validation_stops_at_its_limit() -> None:
    model, ids = new_model(), text(9, 900)
    validation = Validation(model, ids, streams=4, limit=300)
    assert validation.chars == 300
    assert validation.loss() == pytest.approx(score(model, [ids[:301]]).nats_per_char, rel=1e-12)


def test_validation_can_be_repeated_and_follows_the_weights() -> None:
    model, ids = new_model(), text(10, 2500)
    validation = Validation(model, ids, streams=2)
    first = validation.loss()
    assert validation.loss() == first
    model.weights.flat[...] = 0.0
    assert validation.loss() == pytest.approx(math.log(V), rel=1e-12)


def test_a_validation_text_of_one_symbol_is_an_error() -> None:
    with pytest.raises(CorpusError, match="at least 2"):
        Validation(new_model(), text(0, 1))


@pytest.mark.slow
def test_sums_do_not_lose_digits() -> None:
    model, ids = new_model(dtype="float32"), text(11, 20_000)
    double = LanguageModel(ModelConfig(hidden=9, layers=2, dtype="float64"), V)
    double.weights.flat[...] = model.weights.flat
    expected = score(double, [ids], steps=5000).nats_per_char
    assert score(model, [ids], steps=5000).nats_per_char == pytest.approx(expected, abs=1e-6)
    streams = Validation(double, ids, streams=8).loss()
    assert Validation(model, ids, streams=8).loss() == pytest.approx(streams, abs=1e-6)


def test_a_hopeless_score_is_infinite() -> None:
    assert Score(2, 1e9).perplexity == math.inf


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "embed"), [("lstm", 0), ("gru", 3), ("rnn", 0)])
def test_a_device_gives_the_scores_of_the_host(device, cell: str, embed: int) -> None:
    host, ids = new_model(cell=cell, embed=embed), text(12, 2060)
    there = LanguageModel(host.config, V, Backend("cupy", device), host.weights.flat)
    for streams in (1, 2):
        expected = Validation(host, ids, streams=streams).loss()
        assert Validation(there, ids, streams=streams).loss() == pytest.approx(expected, rel=1e-12)
    ids = ids[:300]
    assert score(there, [ids]).nats == pytest.approx(score(host, [ids]).nats, rel=1e-12)
    lines = [("", ids[:n]) for n in (7, 1, 30, 4)]
    for mine, theirs in zip(
        score_lines(host, lines, steps=6), score_lines(there, lines, steps=6), strict=True
    ):
        assert theirs.score.nats == pytest.approx(mine.score.nats, rel=1e-12)
    (_, nats) = list(surprisals(there, [ids]))[-1]
    assert isinstance(nats, np.ndarray)


@pytest.mark.parametrize("embed", [0, 6])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_the_score_is_that_of_pytorch(cell: str, embed: int) -> None:
    torch = pytest.importorskip("torch")
    model = new_model(cell=cell, embed=embed, dtype="float32", hidden=24)
    ids = text(13, 600)
    kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[cell]
    weights = {name: torch.tensor(array.tolist()) for name, array in model.weights.items()}
    rnn = kind(embed or V, 24, num_layers=2)
    own = {name.removeprefix("rnn."): w for name, w in weights.items() if name.startswith("rnn.")}
    for name, parameter in rnn.named_parameters():
        parameter.data = own.get(name, torch.zeros_like(parameter))
    symbols = torch.tensor(ids.tolist())
    table = weights["embedding.weight"] if embed else torch.eye(V)
    with torch.inference_mode():
        top, _ = rnn(table[symbols[:-1], None])
        logits = top[:, 0] @ weights["decoder.weight"].T + weights["decoder.bias"]
        expected = float(torch.nn.functional.cross_entropy(logits, symbols[1:]))
    assert score(model, [ids]).nats_per_char == pytest.approx(expected, abs=1e-6)
