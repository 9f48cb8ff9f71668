"""Labelled sequences: what is read, recognised, refused or passed over, divided and held out."""

import io

import numpy as np
import pytest

from charrnn.config import DataConfig
from charrnn.errors import CorpusError, UsageError
from charrnn.evaluate.spans import SpanCounts, is_bio, spans
from charrnn.text.tagged.dataset import read_more, read_tagged, tagged_of

ALL = {"val_frac": 0.0, "min_count": 1}
CONLLU = """# sent_id = 1
# text = I can't go
1\tI\ti\tPRON\t_
2-3\tcan't\t_\t_\t_
2\tca\tcan\tAUX\t_
3\tn't\tnot\tPART\t_
3.1\tgo\tgo\tVERB\t_
4\tgo\tgo\tVERB\t_

1\t#\t#\tSYM\t_
"""


def read(tmp_path, content, **options):
    path = tmp_path / "tags.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_tagged(DataConfig(sources=(str(path),), **ALL | options))


def shown(found, table):
    """Return the text of each sequence, with its labels where they are."""
    names = [*table.labels, None]
    return [
        [
            (str(table.vocabulary.symbols[i]), names[tag])
            for i, tag in zip(found.ids[begin : begin + size], found.tags_at(n), strict=True)
        ]
        for n, (begin, size) in enumerate(zip(found.begins, found.lengths, strict=True))
    ]


def test_the_characters_of_tokens_are_read_with_a_space_that_has_the_label(tmp_path):
    table = read(tmp_path, "ab\tX\nc\tY\n\n\nd\tX\r\n")
    assert table.format == "columns"
    assert shown(table.train, table) == [
        [("a", None), ("b", None), (" ", "X"), ("c", None), (" ", "Y")],
        [("d", None), (" ", "X")],
    ]


def test_columns_of_single_characters_are_read_without_spaces(tmp_path):
    table = read(tmp_path, "a\tB-X\nb\tI-X\n\nc\tO\n")
    assert table.format == "symbols"
    assert shown(table.train, table) == [[("a", "B-X"), ("b", "I-X")], [("c", "O")]]
    again = read(tmp_path, "a\tB-X\nb\tI-X\n\nc\tO\n", format="columns")
    assert shown(again.train, again) == shown(table.train, table)
    more = tmp_path / "more.tsv"
    more.write_text("ab\tO\n")
    with pytest.raises(CorpusError, match=r"more.tsv line 1 has 2 symbols"):
        read(tmp_path, "a\tB-X\nb\tI-X\n\nc\tO\n", val=(str(more),))


def test_lines_of_input_and_output(tmp_path):
    table = read(tmp_path, "\ufeffça va\tÇA VA\nx\tX\n")
    assert table.format == "lines"
    assert [symbol for symbol, _ in shown(table.train, table)[0]] == list("ça va")
    assert table.labels == tuple(sorted("ÇAV X"))
    words = read(tmp_path, "don't go\tA B\n", level="word")
    assert shown(words.train, words) == [[("don't", "A"), ("go", "B")]]


def test_words_are_symbols_whatever_they_are(tmp_path):
    table = read(tmp_path, "U.S.\tX\nnew york\tY\n\nab\tX\n", level="word")
    assert shown(table.train, table) == [[("U.S.", "X"), ("new york", "Y")], [("ab", "X")]]
    assert type(table.vocabulary).from_json(table.vocabulary.to_json(), separated=True)
    assert table.vocabulary.encode_words(["ab", "?"])[1] == table.vocabulary.unknown


def test_conll_u_is_read_as_it_is(tmp_path):
    table = read(tmp_path, CONLLU, columns="2,4", level="word")
    expected = [("I", "PRON"), ("ca", "AUX"), ("n't", "PART"), ("go", "VERB")]
    assert shown(table.train, table) == [expected, [("#", "SYM")]]


@pytest.mark.parametrize(
    ("content", "format"),
    [
        ("the\tDET\ndog\tNOUN\n\nit\tPRON\n", "columns"),
        ("the\tDET\ndog\tNOUN\n\n", "columns"),
        ("dog\tNOUN\nruns\tX\n", "columns"),
        ("abc\tABC\nx\tX\n", "lines"),
        ("abc\tABC\n\n", "lines"),
        ("a\tA\nb\tB\n\n", "symbols"),
        ("# a comment\nthe\tDET\n\nit\tPRON\n", "columns"),
    ],
)
def test_the_format_is_recognised(tmp_path, content, format):
    assert read(tmp_path, content).format == format


@pytest.mark.parametrize("content", ["a\tA\nb\tB\n", "abc\tABC\n\nab\tAB\n"])
def test_what_may_be_both_must_be_said(tmp_path, content):
    with pytest.raises(CorpusError, match="may be columns, or lines") as error:
        read(tmp_path, content)
    assert "format" in str(error.value)
    for format in ("columns", "lines"):
        assert read(tmp_path, content, format=format).train.symbols > 0


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("ab\tX\nno tab\n\nc\tY\n", "line 2 has no tab between a symbol and its label"),
        ("ab\tX\n\tY\n\nc\tY\n", "line 2 has an empty symbol"),
        ("ab\tX\nb\t \n\nc\tY\n", "line 2 has an empty label"),
        ("ab\tX\nb\tX\tX\n\nc\tY\n", "line 2 has 3 columns"),
        ("abc\tABC\nab\tABC\n", "line 2 has 2 symbols, but 3 labels"),
        ("abc\tABC\nab\tAB\tX\n", "line 2 has several tabs"),
    ],
)
def test_a_line_that_does_not_fit_is_named_or_passed_over(tmp_path, content, problem):
    with pytest.raises(CorpusError, match=problem):
        read(tmp_path, content)
    table = read(tmp_path, content, errors="skip")
    assert "passed over 1 line" in table.notes[-1]
    assert len(table.labels) >= 2


def test_damaged_bytes_are_named_or_passed_over(tmp_path):
    content = b"ab\tX\n\xff\tY\n\nc\tY\n"
    with pytest.raises(CorpusError):
        read(tmp_path, content)
    assert "passed over 1 line" in read(tmp_path, content, errors="skip").notes[-1]
    assert read(tmp_path, content, errors="replace").train.symbols == 7


def test_a_label_of_a_later_file_must_be_known(tmp_path):
    (tmp_path / "more.tsv").write_text("x\tX\n\nab\tX\nc\tZ\n")
    with pytest.raises(CorpusError, match=r"more.tsv line 4 has the label 'Z'"):
        read(tmp_path, "ab\tX\n\nc\tY\n", val=(str(tmp_path / "more.tsv"),))
    table = read(tmp_path, "ab\tX\n\nc\tY\n")
    data = DataConfig(format="columns", **ALL)
    with pytest.raises(CorpusError, match="which is unknown"):
        read_more([str(tmp_path / "more.tsv")], data, table.vocabulary, table.labels)


def test_unknown_symbols_keep_their_places(tmp_path):
    (tmp_path / "more.tsv").write_text("a?b\tXYX\n")
    table = read(tmp_path, "ab\tXX\nba\tYX\n")
    data = DataConfig(format="lines", **ALL)
    more = read_more([str(tmp_path / "more.tsv")], data, table.vocabulary, table.labels)
    assert shown(more.sequences, table) == [[("a", "X"), ("\ufffd", "Y"), ("b", "X")]]


@pytest.mark.parametrize("content", ["", "\n\n", "ab\tX\n\nc\tX\n"])
def test_nothing_to_learn_from_is_refused(tmp_path, content):
    with pytest.raises(CorpusError):
        read(tmp_path, content)


def test_long_sequences_are_divided_after_a_label(tmp_path):
    table = read(tmp_path, "abc\tX\nde\tY\nfghijklmno\tX\n\np\tY\n", max_length=8)
    texts = ["".join(s for s, _ in one) for one in shown(table.train, table)]
    assert texts == ["abc de ", "fghijklm", "no ", "p "]
    assert table.notes == ("divided 1 sequence into pieces of at most 8 symbols",)
    assert table.train.symbols == 20


def test_a_share_is_held_out_by_the_seed():
    pairs = [([f"t{n}", "x"], ["A", "B"]) for n in range(100)]
    data = DataConfig(val_frac=0.2, test_frac=0.1, format="columns")
    tables = [tagged_of(pairs, data, seed) for seed in (1, 1, 2)]
    parts = [
        [[s for s, _ in one] for one in shown(getattr(table, name), table)]
        for table in tables
        for name in ("train", "val", "test")
    ]
    assert [len(part) for part in parts[:3]] == [70, 20, 10]
    assert parts[1] == parts[4] != parts[7]


def test_padding_has_no_label():
    table = tagged_of(
        [(["ab"], ["A"]), (["c", "d"], ["B", "A"])], DataConfig(format="columns", **ALL)
    )
    ids, lengths = table.train.padded(np.array([1, 0]), 3)
    assert lengths.tolist() == [4, 3, 0]
    assert table.train.padded_tags(np.array([1, 0]), 3).T.tolist() == [
        [2, 1, 2, 0],
        [2, 2, 0, 2],
        [2, 2, 2, 2],
    ]
    assert ids.shape == (4, 3)


def test_standard_input_is_read():
    table = read_tagged(DataConfig(sources=("-",), **ALL), stdin=io.BytesIO(b"ab\tX\n\nc\tY\n"))
    assert len(table.train) == 2


@pytest.mark.parametrize("columns", ["", "2", "0,1", "2,2", "a,b", "1,2,3", "1, 2"])
def test_columns_are_two_numbers(columns):
    with pytest.raises(UsageError, match="columns"):
        DataConfig(columns=columns)


def conlleval(labels):
    """Return the chunks of a sequence by the rules of the script, one boundary at a time."""
    parts = [("O", "")] + [tuple((label + "-").split("-")[:2]) for label in labels] + [("O", "")]
    found, start = set(), None
    for i in range(1, len(parts)):
        (before, kind), (mark, own) = parts[i - 1], parts[i]
        if start is not None and (mark in "BO" or kind != own):
            found.add((start, i - 1, kind))
            start = None
        if mark == "B" or (mark == "I" and (before == "O" or kind != own)):
            start = i - 1
    return found


def test_spans_are_those_of_conlleval(rng):
    labels = ["O", "B-A", "I-A", "B-B", "I-B", "B", "I"]
    for _ in range(300):
        one = [labels[i] for i in rng.integers(0, len(labels), rng.integers(0, 9))]
        assert spans(one) == conlleval(one), one
    counts = SpanCounts()
    counts.add(["B-A", "I-A", "O", "I-B"], ["B-A", "I-A", "B-B", "I-B"])
    assert (counts.true, counts.found, counts.right) == (2, 2, 1)
    assert counts.f1 == 0.5


@pytest.mark.parametrize(
    ("names", "bio"),
    [
        (("B-X", "I-X", "O"), True),
        (("B", "I"), True),
        (("I-X", "O"), False),
        (("B-X", "O", "E-X"), False),
        (("BY", "O"), False),
    ],
)
def test_labels_are_bio(names, bio):
    assert is_bio(names) is bio
