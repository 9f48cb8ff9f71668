"""Units of a text: permutations, pieces, where units end, and which are held out."""

from fractions import Fraction

import numpy as np
import pytest
from helpers.corpora import whole

from charrnn.errors import CorpusError
from charrnn.randomness import Purpose
from charrnn.text import Layout, Streams, evaluation_streams, open_corpus
from charrnn.text.cache import store
from charrnn.text.units import permutation
from charrnn.text.units.holdout import Split, block_ends, draw
from charrnn.text.units.permutation import Permutation
from charrnn.text.units.pieces import Pieces


@pytest.mark.parametrize("size", [1, 2, 3, 10, 255, 1000, 65_537])
@pytest.mark.parametrize("table", [True, False])
def test_a_permutation_maps_every_number_to_another(size, table, monkeypatch):
    monkeypatch.setattr(permutation, "TABLE", permutation.TABLE if table else 0)
    numbers = np.arange(size)
    found = Permutation(size, 5, Purpose.HOLD_OUT)(numbers)
    np.testing.assert_array_equal(np.sort(found), numbers)
    np.testing.assert_array_equal(Permutation(size, 5, Purpose.HOLD_OUT)(numbers), found)
    np.testing.assert_array_equal(
        Permutation(size, 5, Purpose.HOLD_OUT)(numbers[::-2]), found[::-2]
    )
    if size > 9:
        for other in (
            Permutation(size, 6, Purpose.HOLD_OUT),
            Permutation(size, 5, Purpose.RESTART),
            Permutation(size, 5, Purpose.HOLD_OUT, step=1),
        ):
            assert (other(numbers) != found).any()
        assert abs(np.corrcoef(numbers, found)[0, 1]) < 4 / np.sqrt(size)


def test_a_large_permutation_is_as_random_as_a_drawn_one(monkeypatch):
    monkeypatch.setattr(permutation, "TABLE", 0)
    size, trials = 6, 600
    where = np.zeros((size, size))
    for seed in range(trials):
        where[np.arange(size), Permutation(size, seed, Purpose.HOLD_OUT)(np.arange(size))] += 1
    expected = trials / size
    assert ((where - expected) ** 2 / expected).sum() < 70  # χ² of 25 degrees of freedom


def test_pieces_are_one_text(rng):
    ids = rng.integers(0, 200, 500).astype(np.uint8)
    edges = np.sort(rng.choice(500, 40, replace=False))
    starts, stops = edges[::2], edges[1::2]
    pieces = Pieces(ids, starts, stops)
    joined = np.concatenate([ids[a:b] for a, b in zip(starts, stops, strict=True)])
    assert len(pieces) == len(joined)
    np.testing.assert_array_equal(np.asarray(pieces), joined)
    for a, b in rng.integers(-20, len(joined) + 20, (200, 2)).tolist():
        np.testing.assert_array_equal(pieces[a:b], joined[a:b])
    assert len(Pieces(ids, starts[:0], stops[:0])[:]) == 0
    for one, other in (
        (Streams(pieces, 3, 7), Streams(joined, 3, 7)),
        (list(evaluation_streams(pieces, 2, 50)), list(evaluation_streams(joined, 2, 50))),
    ):
        batches = [
            [s.batch_at(k) for k in range(9)] if isinstance(s, Streams) else s for s in (one, other)
        ]
        for a, b in zip(*batches, strict=True):
            np.testing.assert_array_equal(a.inputs, b.inputs)
            np.testing.assert_array_equal(a.targets, b.targets)


LINES = [f"{n:03} {'x' * (n % 5)}\n" for n in range(200)]


def held_out(path, **how):
    corpus = open_corpus(path, test_frac=0.05, **how)
    parts = [
        corpus.vocabulary.decode(np.asarray(p)) for p in (corpus.train, corpus.val, corpus.test)
    ]
    return corpus, parts


@pytest.mark.parametrize("level", ["char", "word"])
def test_whole_lines_are_held_out_over_the_text(tmp_path, level):
    path = tmp_path / "t.txt"
    path.write_text("".join(LINES))
    how = {"level": level, "hold_out": "examples"}
    corpus, parts = held_out(path, **how)
    split = [part.splitlines(keepends=True) for part in parts]
    assert [len(lines) for lines in split] == [170, 20, 10]
    assert sorted(line for lines in split for line in lines) == LINES
    assert all(lines == sorted(lines) for lines in split)  # in the order of the text
    assert int(split[1][0][:3]) < 60 < 140 < int(split[1][-1][:3])
    again, same = held_out(path, **how)
    assert again.cached
    assert same == parts
    other, others = held_out(path, **how, seed=1)
    assert other.cached
    assert others != parts
    tail, _ = held_out(path, level=level)
    assert not tail.cached
    assert (tail.sha256, tail.vocabulary) == (corpus.sha256, corpus.vocabulary)


@pytest.mark.parametrize("level", ["char", "byte", "word"])
@pytest.mark.parametrize("join", [None, "", "|", "ab"])
def test_whole_documents_are_held_out(tmp_path, level, join):
    values = [f"w{n} a\nb{n}" for n in range(40)]
    table = tmp_path / "t.csv"
    table.write_text("id,text\n" + "".join(f'{n},"{v}"\n' for n, v in enumerate(values)))
    folder = tmp_path / "docs"
    folder.mkdir()
    for n, value in enumerate(values):
        (folder / f"{n:02}").write_text(value)
    (folder / "05").write_text("")
    for path, layout in ((table, Layout("text", join=join)), (folder, Layout(join=join))):
        if path == folder:
            values[5] = ""
        corpus = open_corpus(path, level=level, layout=layout, hold_out="examples", val_frac=0.2)
        train, val = (corpus.vocabulary.decode(np.asarray(p)) for p in (corpus.train, corpus.val))
        if level == "byte":
            train, val = train.decode(), val.decode()
        between = "\n" if join is None and path == table else join or ""
        kept = [v for v in values if v]
        chosen = [v for v in kept if v in val]
        assert len(chosen) == 8
        for text, part in ((val, chosen), (train, [v for v in kept if v not in chosen])):
            found = between.join(part)
            assert text in (found, found + between)


def test_blocks_are_held_out_over_the_text(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("".join(chr(0x4E00 + n % 9973) for n in range(60_000)))
    corpus, parts = held_out(path, hold_out="blocks")
    assert [len(part) for part in parts] == [51_000, 6000, 3000]
    text = "".join(chr(0x4E00 + n % 9973) for n in range(60_000))
    places = [text.index(parts[1][k : k + 300]) for k in range(0, 6000, 300)]
    assert len(set(places)) == 20
    assert corpus.chars == 60_000
    tail, _ = held_out(path)
    assert tail.cached  # the text is encoded once for both


@pytest.mark.parametrize(
    ("symbols", "fractions", "blocks"),
    [
        (10**6, (0.1, 0), 100),
        (10**6, (0.01, 0), 1000),
        (3000, (0.1, 0), 10),
        (6300, (0.1, 0.1), 20),
        (100, (0.1, 0), 10),
    ],
)
def test_block_ends(symbols, fractions, blocks):
    ends = block_ends(symbols, tuple(Fraction(str(f)) for f in fractions))
    assert len(ends) == blocks
    assert ends[-1] == symbols
    assert np.ptp(np.diff(ends)) <= 1


def test_at_least_one_unit_is_held_out_and_one_is_left():
    for units, fractions, expected in ((3, ("0.1", "0"), (1, 0)), (3, ("0.1", "0.1"), (1, 1))):
        drawn = draw(units, Split(tuple(map(Fraction, fractions)), "examples"), "example")
        assert (drawn.val, drawn.test) == expected
    with pytest.raises(CorpusError, match="the text has 1 example, too few to hold some out"):
        draw(1, Split((Fraction("0.1"), Fraction(0)), "examples"), "example")
    with pytest.raises(CorpusError, match="the text has 5 symbols, too few for blocks to hold"):
        block_ends(5, (Fraction("0.1"), Fraction(0)))


def test_a_text_that_cannot_be_cached_is_divided_in_the_same_way(tmp_path, monkeypatch):
    path = tmp_path / "t.txt"
    path.write_text("".join(LINES))
    _, expected = held_out(path, hold_out="examples")

    def full(*_):
        raise store.UnwritableError("the disk is full")

    monkeypatch.setattr(store, "load", lambda key: None)
    monkeypatch.setattr(store, "writing", full)
    corpus, parts = held_out(path, hold_out="examples")
    assert "kept in memory" in corpus.notes[-1]
    assert parts == expected


def test_a_damaged_index_is_not_used(tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("".join(LINES))
    _, expected = held_out(path, hold_out="examples")
    entry, *_ = store.cache_entries()
    data = bytearray((entry.path / "ids.bin").read_bytes())
    data[-3] ^= 1
    (entry.path / "ids.bin").write_bytes(data)
    corpus, parts = held_out(path, hold_out="examples")
    assert not corpus.cached
    assert parts == expected
    assert whole(corpus) == "".join(parts)
