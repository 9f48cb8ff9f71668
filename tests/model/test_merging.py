"""The n-grams of another text beside those of this one, and the contexts that keys stand for."""

import numpy as np
import pytest
from helpers.counted import LONGEST, filled, text_of

from charrnn.model.counted import counting, merging
from charrnn.model.counted.lookup import Lookup

V, ROOM = 6, (1 << 20, 1 << 20)


def table_of(ids, room=ROOM):
    return counting.table(ids, V, *room)


def plain(table):
    """Return for each key γ, and what each symbol that follows has."""
    ends = [*table.begins[1:], len(table.symbols)]
    return {
        key: (left, dict(zip(table.symbols[begin:end], table.shares[begin:end], strict=True)))
        for key, left, begin, end in zip(table.keys, table.left, table.begins, ends, strict=True)
    }


def same(one, other):
    one, other = (
        plain(each) if isinstance(each, counting.Table) else each for each in (one, other)
    )
    assert one.keys() == other.keys()
    for key, (left, shares) in one.items():
        assert left == pytest.approx(other[key][0], abs=1e-12)
        assert shares == pytest.approx(other[key][1], abs=1e-12)


def q_of(table, text):
    """Return q after each symbol of a text, (T, V)."""
    end = counting.Table(*(np.append(a, b) for a, b in zip(table, END, strict=True)))
    end = end._replace(symbols=table.symbols, shares=table.shares)
    end.begins[-1] = len(table.symbols)
    read = np.append(np.zeros(LONGEST - 2, np.int64), np.asarray(text) + 1)
    return Lookup(end, V).probabilities(read[:, None])


END = counting.Table(np.uint64((1 << 48) - 1), 1.0, 0, 0, 0.0, 0)


@pytest.mark.parametrize("room", [ROOM, (150, 75)], ids=["all", "some"])
def test_the_contexts_of_a_table_are_told_from_their_keys(rng, room):
    ids = text_of(rng, V, 400)
    table = table_of(ids, room)
    read, length = merging.spelled(table)
    assert length.min() == 0
    there = {tuple(ids[i : i + n]) for n in range(LONGEST) for i in range(len(ids) - n + 1)}
    found = {tuple(row[LONGEST - 1 - n :] - 1) for row, n in zip(read, length, strict=True)}
    assert len(found) == len(table.keys)
    assert found <= there
    if room == ROOM:
        assert found == there - {tuple(ids[-n:]) for n in range(1, LONGEST)} | (
            found & {tuple(ids[-n:]) for n in range(1, LONGEST)}
        )


def test_symbols_may_have_other_numbers(rng):
    ids, order = text_of(rng, V, 500), rng.permutation(V)
    same(merging.translated(table_of(ids), order), table_of(order[ids]))


def test_of_symbols_that_are_no_more_nothing_is_left(rng):
    ids, numbers = text_of(rng, V, 500), np.array([0, -1, 1, 2, -1, 3])
    table = merging.translated(table_of(ids), numbers)
    assert table.symbols.max() < 4
    read, length = merging.spelled(table)
    assert length.min() == 0
    assert read.max() <= 4
    q = Lookup(table._replace(left=np.append(table.left, 1)), 4)
    assert q._alone.sum() == pytest.approx(1)
    p = q_of(table, [0, 1, 2, 3, 3, 2, 0])[:, :4]
    assert np.all(p[:, :4] > 0)


def test_where_one_text_knows_a_context_it_speaks_alone_and_both_by_how_often(rng):
    this, other = table_of(text_of(rng, V, 300)), table_of(text_of(rng, V, 900))
    mine, theirs = plain(this), plain(other)
    times, expected = dict(zip(this.keys, this.times, strict=True)), dict(theirs)
    assert mine.keys() - theirs.keys()
    assert theirs.keys() - mine.keys()
    for key, (left, shares) in mine.items():
        weight = times[key] / (times[key] + merging.PRIOR) if key in theirs else 1
        old, its = theirs.get(key, (0, {}))
        symbols = shares.keys() | its.keys()
        both = {x: weight * shares.get(x, 0) + (1 - weight) * its.get(x, 0) for x in symbols}
        expected[key] = weight * left + (1 - weight) * old, both
    made = merging.merged(this, other, V)
    same(made, expected)
    np.testing.assert_allclose(q_of(made, text_of(rng, V, 60)).sum(axis=1), 1, rtol=1e-9)
    same(merging.merged(this, this, V), this)


def test_both_texts_together_predict_better_than_either(rng):
    """The other text is of the same kind, the rest of this one is like it."""
    ids = text_of(rng, V, 4400)
    other, this, rest = np.split(ids, [2000, 2400])

    def nats(table):
        return -np.log(q_of(table, rest[:-1])[np.arange(len(rest) - 1), rest[1:]]).mean()

    apart = nats(table_of(this)), nats(table_of(other))
    assert nats(merging.merged(table_of(this), table_of(other), V)) < min(apart) - 0.005


def test_without_room_for_all_the_longest_contexts_go(rng):
    table = table_of(text_of(rng, V, 800))
    length = merging.spelled(table)[1]
    less = merging.fitting(table, 300, 200)
    assert len(less.keys) <= 200
    assert len(less.symbols) <= 300
    kept = np.isin(table.keys, less.keys)
    assert length[kept].max() <= length[~kept].min()
    same(merging.fitting(table, len(table.symbols), len(table.keys)), table)
    np.testing.assert_allclose(q_of(less, [1, 2, 3, 4, 5, 0]).sum(axis=1), 1, rtol=1e-9)


def test_forged_tables_lead_nowhere(rng):
    model = filled(text_of(rng, V, 300), V, grams=400)
    for _ in range(20):
        for name in model.weights:
            if name.startswith("counts."):
                array = model.weights[name]
                array[...] = rng.choice((-1e9, -1.0, 0.0, 3.0, 1e30), array.shape)
        table = model.counted.known(model.weights, np.array([0, 1, -1, 2, 3, 4]))
        made = merging.merged(table_of(text_of(rng, V, 50)), table, V)
        assert len(merging.fitting(made, 30, 20).symbols) <= 30
