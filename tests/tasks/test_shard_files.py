"""Ranks that read some of the files each: one vocabulary, one held-out text, own streams."""

from pathlib import Path

import numpy as np
import pytest
from helpers import teams

from charrnn.config import DataConfig, TrainConfig
from charrnn.errors import CharRNNError
from charrnn.tasks.language import fit, training_streams
from charrnn.tasks.shards.names import files_of_ranks
from charrnn.tasks.shards.reading import BLOCK, read_part
from charrnn.text import read_corpus

TEXTS = {"a.txt": "abab\n" * 240, "b.txt": "bcde\n" * 160}
TEXTS |= {"c.txt": "éa\n" * 340, "d.txt": "zb\n" * 170}


@pytest.fixture(autouse=True)
def work(tmp_path, monkeypatch):
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")


def read(size=2, **options):
    data = DataConfig(**{"sources": tuple(TEXTS), "shard_files": True, **options})
    return teams.run(size, lambda team: read_part(data, 0, team))


def test_the_files_are_dealt_to_the_ranks_in_turn():
    data = DataConfig(sources=tuple("abcdefg"), shard_files=True)
    assert files_of_ranks(data, 3, 9) == [["a", "d", "g"], ["b", "e"], ["c", "f"]]
    assert files_of_ranks(data, 3, 2) == [["a", "d"], ["b", "e"], ["c", "f"]]
    strange = DataConfig(sources=("a\n\x1b[2J", "b"), shard_files=True)
    assert files_of_ranks(strange, 2, 2) == [[r"a\n\x1b[2J"], ["b"]]
    assert files_of_ranks(DataConfig(sources=tuple("abc")), 3, 9) is None


@pytest.mark.parametrize("level", ["char", "byte", "word"])
def test_each_rank_has_its_files_in_the_vocabulary_of_all(level):
    whole = read_corpus(DataConfig(sources=tuple(TEXTS), level=level))
    names = tuple(TEXTS)
    for rank, corpus in enumerate(read(level=level)):
        assert corpus.vocabulary == whole.vocabulary
        own = read_corpus(DataConfig(sources=names[rank::2], level=level))
        decoded, expected = (c.vocabulary.decode(np.asarray(c.train)) for c in (corpus, own))
        assert decoded == expected
        assert corpus.train.dtype == whole.vocabulary.dtype
        assert corpus.sources == tuple(str(Path.cwd() / name) for name in names)
        assert (corpus.chars, corpus.bytes) == (whole.chars, whole.bytes)


def test_what_is_held_out_goes_to_all_in_turn():
    one, two = read(val_frac=0.5)
    np.testing.assert_array_equal(one.val, two.val)
    owns = [read_corpus(DataConfig(sources=tuple(TEXTS)[k::2], val_frac=0.5)) for k in (0, 1)]
    text = one.vocabulary.decode(one.val)
    parts = [own.vocabulary.decode(own.val) for own in owns]
    assert len(parts[0]) < BLOCK
    assert text == "".join(parts)
    assert one.sha256 == two.sha256 != owns[0].sha256


def test_held_out_texts_alternate(monkeypatch):
    monkeypatch.setattr("charrnn.tasks.shards.reading.BLOCK", 300)
    one, _ = read(val_frac=0.5)
    owns = [read_corpus(DataConfig(sources=tuple(TEXTS)[k::2], val_frac=0.5)) for k in (0, 1)]
    first, second = (own.vocabulary.decode(own.val) for own in owns)
    text = one.vocabulary.decode(one.val)
    assert text.startswith(first[:300] + second[:300] + first[300:600])
    assert sorted(text) == sorted(first + second)


def test_rare_symbols_are_those_that_are_rare_in_all_files():
    whole = read_corpus(DataConfig(sources=tuple(TEXTS), min_count=260))
    for corpus in read(min_count=260):
        assert corpus.vocabulary == whole.vocabulary
        assert corpus.vocabulary.unknown is not None


def test_a_held_out_file_is_counted_once():
    Path("v.txt").write_text("q" * 200)
    for corpus in read(val=("v.txt",), min_count=201):
        assert corpus.vocabulary.decode(corpus.val) == "\N{REPLACEMENT CHARACTER}" * 200
    for corpus in read(val=("v.txt",), min_count=200):
        assert corpus.vocabulary.decode(corpus.val) == "q" * 200


@pytest.mark.parametrize("hold_out", ["tail", "blocks"])
def test_streams_are_cut_from_a_rank_s_own_files(hold_out):
    config = TrainConfig(batch=5, seq_len=16, restart=0.3, seed=4)
    parts = read(hold_out=hold_out)
    windows = set()
    for rank, corpus in enumerate(parts):
        own = np.asarray(corpus.train)
        streams = training_streams(corpus.train, config, config.restart)
        count = (2, 3)[rank]
        length = (len(own) - 1) // count
        windows.add(streams.windows_per_epoch)
        batch = streams.batch_at(1)
        assert batch.inputs.shape == (16, count)
        for stream in range(count):
            start = stream * length + 16
            np.testing.assert_array_equal(batch.inputs[:, stream], own[start : start + 16])
            np.testing.assert_array_equal(batch.targets[:, stream], own[start + 1 : start + 17])
    assert len(windows) == 1
    resets = [
        [training_streams(part.train, config, 0.3).batch_at(k).reset for k in range(1, 30)]
        for part in parts
    ]
    drawn = [[r[:2].tolist() for r in of if r is not None] for of in resets]
    assert drawn[0] != drawn[1]  # the draws of other streams


def test_files_that_are_too_short_are_named():
    one, _ = read()
    line = r"the files of rank 1 have 1,179 symbols to train on, one window of its 3 streams needs "
    with pytest.raises(CharRNNError, match=line + "1,201"):
        fit(one.train, 5, 400)


def test_other_lists_and_missing_files_are_refused():
    lists = [("a.txt", "b.txt"), ("a.txt", "c.txt")]

    def member(team):
        data = DataConfig(sources=lists[team.rank], shard_files=True)
        read_part(data, 0, team)

    with pytest.raises(CharRNNError, match=r"rank 1 has another list of files than rank 0"):
        teams.run(2, member)
    line = r"rank 1: none\.txt does not exist; shard_files needs files by name"
    with pytest.raises(CharRNNError, match=line):
        read(sources=("a.txt", "none.txt"))
    with pytest.raises(CharRNNError, match=r"rank 1: hello does not exist"):
        read(sources=("a.txt", "hello"))
    with pytest.raises(CharRNNError, match=r"\. is a directory"):
        read(sources=("a.txt", "."))
