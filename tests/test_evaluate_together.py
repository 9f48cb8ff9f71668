"""A text that a team scores together: the same sums, whatever its size."""

import numpy as np
import pytest
from helpers import teams

from charrnn.backend import numpy_backend
from charrnn.config import ModelConfig
from charrnn.errors import CorpusError
from charrnn.evaluate import Score, added, score, score_together, share_of
from charrnn.evaluate.divided import _blocks
from charrnn.model.language import LanguageModel
from charrnn.text.tally import Tally

V = 5


@pytest.fixture
def model():
    config = ModelConfig(cell="gru", hidden=6, dtype="float64")
    return LanguageModel.fresh(config, V, 3, numpy_backend())


def ids_of(rng, length):
    return rng.integers(0, V, length).astype(np.uint8)


@pytest.mark.parametrize("length", [1, 9, 10, 11, 12, 35, 40, 41])
@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_blocks_cover_every_symbol_once_and_begin_with_what_was_before(length, chunk, rng):
    ids = np.arange(length)
    found = list(_blocks((ids[at : at + chunk] for at in range(0, length, chunk)), 10, 4))
    assert np.array_equal(np.concatenate([block[before:] for before, block in found]), ids)
    for number, (before, block) in enumerate(found):
        assert before == min(4, 10 * number)
        assert np.array_equal(block, np.arange(10 * number - before, block[-1] + 1))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_team_scores_what_each_block_would_score(size, model, rng):
    ids = ids_of(rng, 95)
    expected = score(model, [ids[:20]]).nats
    for start in range(20, 95, 20):
        block = ids[start - 6 : start + 20]
        expected += score(model, [block]).nats - score(model, [block[:6]]).nats

    def member(team):
        tally, told = Tally(), []
        chunks = (ids[at : at + 9] for at in range(0, 95, 9))
        found, blocks = score_together(
            model, chunks, team, tally=tally, block=20, context=6, progress=told.append
        )
        return found.chars, found.nats, blocks, sum(told)

    found = teams.run(size, member)
    assert {(chars, nats, blocks) for chars, nats, blocks, _ in found} == {(94, found[0][1], 5)}
    assert found[0][1] == pytest.approx(expected, rel=1e-12)
    assert sum(told for *_, told in found) == 94


def test_with_enough_context_the_score_is_that_of_one_stream(model, rng):
    ids = ids_of(rng, 600)
    (mine, blocks), _ = teams.run(
        2, lambda team: score_together(model, [ids], team, tally=Tally(), block=200, context=100)
    )
    assert blocks == 3
    assert mine.nats == pytest.approx(score(model, [ids]).nats, rel=1e-9)
    short, _ = teams.run(2, lambda team: score_together(model, [ids[:50]], team, tally=Tally()))
    assert short[0].nats == pytest.approx(score(model, [ids[:50]]).nats, rel=1e-14)


def test_a_text_without_symbols_is_an_error(model):
    with pytest.raises(CorpusError, match="a score needs at least 2"):
        teams.run(2, lambda team: score_together(model, [], team, tally=Tally()))


def test_groups_of_lines_are_shared_out():
    found = teams.run(3, lambda team: list(share_of(team, range(11), batch=2)))
    assert found == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10]]


def test_scores_are_added():
    parts = [Score(2, 1.5, 1, 7), Score(0, 0.0, 0, 0), Score(3, 2.0, 0, None)]
    assert teams.run(2, lambda team: added(team, parts[team.rank])) == [parts[0]] * 2
    both = teams.run(2, lambda team: added(team, parts[2 * team.rank]))
    assert both == [Score(5, 3.5, 1, None)] * 2
