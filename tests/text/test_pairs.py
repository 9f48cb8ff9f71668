"""Tables of pairs: what is read, refused or passed over, held out, and put into batches."""

import io

import numpy as np
import pytest

from charrnn.config import DataConfig
from charrnn.errors import CorpusError
from charrnn.evaluate.pairs import edit_distance, marked
from charrnn.text.pairs.dataset import pair_table_of, read_more, read_pairs
from charrnn.text.pairs.symbols import joined, split

ALL = {"val_frac": 0.0}


def texts_of(pairs, table, level="char"):
    """Return the sources and targets that ids stand for."""
    written = [*table.targets, "?"]
    return [
        (
            table.vocabulary.decode(pairs.sources.text(n)),
            joined((written[i] for i in pairs.targets.text(n)), level),
        )
        for n in range(len(pairs))
    ]


def read(tmp_path, content, **options):
    path = tmp_path / "pairs.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_pairs(DataConfig(sources=(str(path),), **ALL | options))


def test_lines_are_pairs_and_empty_lines_are_none(tmp_path):
    table = read(tmp_path, "\ufeffab\tx\r\n\nğ ü\ty z\n\tq\nno target\t")
    found = [("ab", "x"), ("ğ ü", "y z"), ("", "q"), ("no target", "")]
    assert texts_of(table.train, table) == found
    assert table.targets == tuple(sorted("xy zq"))
    assert table.train.symbols == sum(len(target) + 1 for _, target in found)


def test_two_files_line_by_line_are_the_same_pairs(tmp_path):
    (tmp_path / "a").write_text("ab\n\ncd e\n")
    (tmp_path / "b").write_text("x\ny\nz")
    files = {"sources": (str(tmp_path / "a"),), "target": (str(tmp_path / "b"),)}
    table = read_pairs(DataConfig(**files, **ALL))
    assert texts_of(table.train, table) == [("ab", "x"), ("", "y"), ("cd e", "z")]
    (tmp_path / "b").write_text("x\ny\n")
    with pytest.raises(CorpusError, match="a line 3 has no target"):
        read_pairs(DataConfig(**files, **ALL))
    (tmp_path / "b").write_text("x\ny\nz\nmore")
    with pytest.raises(CorpusError, match="b line 4 has no source"):
        read_pairs(DataConfig(**files, **ALL))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("no tab", "line 2 has no tab between a source and a target"),
        ("a\tb\tc", "line 2 has several tabs"),
    ],
)
def test_a_line_that_is_no_pair_is_named_or_passed_over(tmp_path, line, problem):
    content = f"a\tb\n{line}\nc\td\n"
    with pytest.raises(CorpusError, match=problem):
        read(tmp_path, content)
    table = read(tmp_path, content, errors="skip")
    assert texts_of(table.train, table) == [("a", "b"), ("c", "d")]
    assert "passed over 1 line" in table.notes[-1]


def test_damaged_bytes_are_named_replaced_or_passed_over(tmp_path):
    content = b"a\tb\nc\t\xff\n\xfe\td\n"
    with pytest.raises(CorpusError):
        read(tmp_path, content)
    table = read(tmp_path, content, errors="skip")
    assert texts_of(table.train, table) == [("a", "b")]
    table = read(tmp_path, content, errors="replace")
    assert texts_of(table.train, table) == [("a", "b"), ("c", "\ufffd"), ("\ufffd", "d")]


def test_long_pairs_are_left_out(tmp_path):
    table = read(tmp_path, "abcd\tx\na\twxyz\nb\tx\n", max_length=3)
    assert texts_of(table.train, table) == [("b", "x")]
    assert table.notes == ("left out 2 pairs with more than 3 symbols on a side",)


@pytest.mark.parametrize("content", ["", "\n\n", "\ta\n", "a\t\n"])
def test_nothing_to_learn_from_is_refused(tmp_path, content):
    with pytest.raises(CorpusError):
        read(tmp_path, content)


def test_words_of_targets_are_separated_by_single_spaces(tmp_path):
    assert list(split("HH AH0 . don't", "word")) == ["HH", "AH0", ".", "don't"]
    for text in ("", "a", " a  b ", "x y"):
        assert joined(split(text, "word"), "word") == text
    table = read(tmp_path, "hello\tHH AH0 L\nab\tL  HH\n", target_level="word")
    assert texts_of(table.train, table, "word") == [("hello", "HH AH0 L"), ("ab", "L  HH")]
    assert table.targets == ("", "AH0", "HH", "L")


def test_a_share_is_held_out_by_the_seed():
    pairs = [(f"s{n}", f"t{n}") for n in range(100)]
    tables = [pair_table_of(pairs, DataConfig(val_frac=0.2, test_frac=0.1), s) for s in (1, 1, 2)]
    for table in tables:
        assert [len(part) for part in (table.train, table.val, table.test)] == [70, 20, 10]
        parts = [texts_of(part, table) for part in (table.train, table.val, table.test)]
        assert sorted(pair for part in parts for pair in part) == sorted(pairs)
    vals = [texts_of(table.val, table) for table in tables]
    assert vals[0] == vals[1] != vals[2]


def test_symbols_that_training_pairs_do_not_have(tmp_path):
    (tmp_path / "more.tsv").write_text("aXb\tpQr\n")
    table = read(tmp_path, "ab\tpr\n", val=(str(tmp_path / "more.tsv"),))
    assert texts_of(table.val, table) == [("ab", "p?r")]
    end = len(table.targets)
    targets, mask = marked(table.val, np.array([0]), 2, end)
    assert targets[:, 0].tolist() == [0, end, 1, end]
    assert mask[:, 0].tolist() == [True, False, True, True]
    assert not mask[:, 1].any()
    more = read_more(
        [str(tmp_path / "more.tsv")], DataConfig(**ALL), table.vocabulary, table.targets
    )
    assert texts_of(more.pairs, table) == [("ab", "p?r")]


def test_further_lines_that_are_no_pairs_are_counted(tmp_path):
    table = read(tmp_path, "ab\tpr\n")
    path = tmp_path / "more.tsv"
    for content, skipped in (("a\tp\n", 0), ("one\na\tp\n\ntwo\nb\tr\nthree\n", 3)):
        path.write_text(content)
        data = DataConfig(**ALL, errors="skip")
        more = read_more([str(path)], data, table.vocabulary, table.targets)
        assert (len(more.pairs), more.skipped) == (content.count("\t"), skipped)
        assert [note for note in more.notes if "passed over" in note] == (
            ["passed over 3 lines that are not examples"] if skipped else []
        )
    path.write_text("one\n\n")
    with pytest.raises(CorpusError, match=r"more\.tsv line 1 has no tab between a source"):
        read_more([str(path)], data, table.vocabulary, table.targets)


@pytest.mark.slow
def test_a_built_in_corpus_that_is_cut_gives_its_whole_lines():
    table = read_pairs(DataConfig(sources=("reversal",), **ALL))
    found = texts_of(table.train, table)
    assert len(found) > 50_000
    assert all(target == source[::-1] for source, target in found)


def test_standard_input_is_a_table(tmp_path):
    data = DataConfig(sources=("-",), **ALL)
    table = read_pairs(data, stdin=io.BytesIO(b"a\tb\n"))
    assert texts_of(table.train, table) == [("a", "b")]


def test_texts_side_by_side_end_with_the_end_symbol():
    table = pair_table_of([("ab", "x"), ("", "xyz"), ("abc", "")], DataConfig(**ALL))
    ids, lengths = table.train.sources.padded(np.array([2, 0]), 3, 9)
    assert lengths.tolist() == [4, 3, 0]
    assert ids.T.tolist() == [[0, 1, 2, 9], [0, 1, 9, 0], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [("", "", 0), ("abc", "", 3), ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("ab", "ba", 2)],
)
def test_the_edit_distance(one, other, distance):
    assert edit_distance(list(one), list(other)) == distance
    assert edit_distance(list(other), list(one)) == distance
