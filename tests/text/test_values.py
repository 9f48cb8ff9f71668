"""Texts inside of files: columns of tables, fields of JSON lines, and what stands between texts."""

import bz2
import csv
import gzip
import io
import json
import lzma
import random

import pytest
from helpers.corpora import whole

from charrnn.errors import CharRNNError, CorpusError, UsageError
from charrnn.text import Layout, iter_lines, open_corpus
from charrnn.text.source import Source
from charrnn.text.statistics import text_statistics
from charrnn.text.values import joined, suffix, values_of

TEXT = Layout(column="text")
FIELD = Layout(field="text")


def source(name="t.csv"):
    return Source(name, "file")


def read(text, layout=TEXT, chunk=1 << 20, name="t.csv", errors="strict"):
    """Return the values, of a text that comes ``chunk`` characters at a time, each after a |."""
    layout = Layout(layout.column, layout.field, "|", layout.inherited)
    parts = (text[at : at + chunk] for at in range(0, len(text), chunk))
    return "".join(joined(values_of(parts, source(name), layout, errors), layout)).split("|")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("seed", range(4))
def test_a_table_is_read_as_the_standard_library_writes_it(separator, end, seed):
    rng = random.Random(seed)
    cells = ["a", 'say "x"', "two\nlines", ",", ";", "\t", '"', "é", " blank ", "0"]
    cells += ["cr\r\nlf"] if end != "\r" else []
    rows = [["id", "text", "more"]] + [
        ["".join(rng.choices(cells, k=rng.randint(1, 3))) for _ in range(3)] for _ in range(40)
    ]
    out = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if end == "\r" else csv.QUOTE_MINIMAL  # which quotes no newline then
    csv.writer(out, delimiter=separator, lineterminator=end, quoting=quoting).writerows(rows)
    table = out.getvalue()
    expected = [row[1] for row in rows]
    for chunk in (1, 7, 1 << 20):
        assert read(table, chunk=chunk) == expected[1:]
    assert read(table.removesuffix(end), chunk=5) == expected[1:]
    assert read("\ufeff" + end + table) == expected[1:]


def test_empty_values_and_blank_lines_give_nothing():
    assert read("id,text\n1,a\n\n2,\n3,b\n") == ["a", "b"]
    assert read('{"text": "a"}\n\n{"text": null}\n{"text": ""}\n{"text": "b"}', FIELD) == ["a", "b"]


def test_empty_values_are_counted(tmp_path):
    for name, text, layout in (
        ("t.csv", 'id,text\n1,a\n\n2,\n3,""\n4,b\n', TEXT),
        ("t.jsonl", '{"text": "a"}\n\n{"text": null}\n{"text": ""}\n{"text": "b"}', FIELD),
    ):
        path = tmp_path / name
        path.write_text(text)
        told = []
        corpus = open_corpus(path, layout=layout)
        list(iter_lines(path, corpus.vocabulary, layout=layout, tell=told.append))
        text_statistics(str(path), layout=layout, tell=told.append)
        assert [*corpus.notes, *told] == ["left out 2 empty values"] * 3


def test_the_separator_is_that_with_which_the_column_is_there():
    assert read("id\ttext,more\n1\tx,y\n", Layout(column="text,more")) == ["x,y"]
    assert read("text\nHello there\n") == ["Hello there"]
    assert read("a,b;text\n1,2;x\n") == ["x"]
    assert read("id, text\n1, x\n") == [" x"]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("id,date\n1,2\n", "t.csv has no column 'text'; its columns are 'id', 'date'"),
        ("a plain text\n", "t.csv has no column 'text'; its only column is 'a plain text'"),
        ("text,text\n1,2\n", "t.csv has several columns 'text'"),
        ('id,text\n1,"a\nb"\n2\n3,c\n', "t.csv line 4 has 1 field, the header has 2"),
        ("id,text\n1,a,b\n", "t.csv line 2 has 3 fields, the header has 2"),
        ('id,text\n1,"a" b\n', "t.csv line 2 has text after a closing quote"),
        ('id,text\n1,a\n2,"b\nc\n', "t.csv line 3 begins a quoted field that does not end"),
    ],
)
@pytest.mark.parametrize("chunk", [1, 1000])
def test_a_damaged_table_is_one_line_with_its_number(table, says, chunk):
    with pytest.raises(CorpusError) as problem:
        read(table, chunk=chunk)
    assert str(problem.value).startswith(says)
    assert "\n" not in str(problem.value)


def test_a_quote_that_is_never_closed_does_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr("charrnn.text.values.table.MAX_ROW", 1000)
    monkeypatch.setattr("charrnn.text.values.json_lines.MAX_LINE", 1000)
    endless = (part for part in ['id,text\n1,a\n2,"', *["b\n" * 100] * 100, None])
    with pytest.raises(CorpusError, match="line 3 begins a row of more than 1,000 characters"):
        list(values_of(endless, source(), TEXT, "strict"))
    endless = (part for part in ['{"text": "a"}\n', *["b" * 100] * 100, None])
    with pytest.raises(CorpusError, match="line 2 has more than 1,000 characters"):
        list(values_of(endless, source(), FIELD, "strict"))


def test_fields_of_json_lines():
    lines = [{"text": 'a "\n" é', "in": {"text": "b"}}, {"text": "\U0001f600", "in": {"text": "c"}}]
    for ascii_ in (False, True):
        text = "\ufeff" + "\r\n".join(json.dumps(line, ensure_ascii=ascii_) for line in lines)
        for chunk in (1, 1000):
            assert read(text, FIELD, chunk) == ['a "\n" é', "\U0001f600"]
            assert read(text, Layout(field="in.text"), chunk) == ["b", "c"]
    assert read('{"a.b": "x", "a": {"b": "y"}}', Layout(field="a.b")) == ["x"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"id": "1", "b": 2}', "line 2 has no field 'text'; its fields are 'id', 'b'"),
        ('{"text": 1}', "line 2: field 'text' is a number, not a string"),
        ('{"text": ["a"]}', "line 2: field 'text' is a list, not a string"),
        ('{"text": "a"', "line 2 is not JSON: Expecting ',' delimiter at column 13"),
        ('["a"]', "line 2: a list is not an object with fields"),
        ("[" * 100_000, "line 2 is not JSON: it cannot be read"),
        ('{"text": ' + "1" * 5000 + "}", "line 2 is not JSON: it cannot be read"),
        (r'{"text": "\ud83d"}', "line 2: field 'text' holds half a surrogate pair"),
    ],
)
def test_a_damaged_line_is_named(line, says):
    with pytest.raises(CorpusError) as problem:
        read(f'{{"text": "a"}}\n{line}\n', FIELD, name="x.jsonl")
    assert str(problem.value).startswith(f"x.jsonl {says}")


def test_a_file_of_the_other_kind_gets_a_remedy():
    with pytest.raises(CorpusError, match="for a table give column"):
        read("id,text\n1,a\n", FIELD)
    with pytest.raises(CorpusError, match="for JSON lines give field"):
        read('{"text": "a"}\n')


def test_half_a_surrogate_pair_can_be_replaced():
    assert read(r'{"text": "a\ud83d"}', FIELD, errors="replace") == ["a\ufffd"]


def test_a_json_file_of_one_value_gets_a_remedy_that_works():
    for text in ('[\n  {"text": "a"}\n]\n', '{\n  "text": "a"\n}\n'):
        with pytest.raises(CorpusError, match=r"with jq -c '\.\[\]' or jq -c \."):
            read(text, FIELD)


def test_a_suffix_is_that_before_the_compression():
    assert [suffix(name) for name in ("a/b.CSV.gz", "b.tsv", "a.b/c", "x.json.xz")] == [
        ".csv",
        ".tsv",
        "",
        ".json",
    ]


@pytest.mark.parametrize("level", ["char", "byte", "word"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_values_at_every_level_and_compressed(tmp_path, level, pack):
    path = tmp_path / "t.csv"
    path.write_bytes(pack('id,text\n1,"ab é"\n2,cd\n'.encode()))
    corpus = open_corpus(path, level=level, layout=TEXT, val_frac=0)
    expected = "ab é\ncd\n"
    assert whole(corpus) == (expected.encode() if level == "byte" else expected)
    joined = open_corpus(path, level=level, layout=Layout("text", join="#é#"), val_frac=0)
    expected = "ab é#é#cd"
    assert whole(joined) == (expected.encode() if level == "byte" else expected)
    assert not joined.cached
    assert open_corpus(path, level=level, layout=TEXT, val_frac=0).cached


def test_values_keep_their_bytes_at_byte_level(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"id,text\n1,caf\xe9\n2,\xff\n")
    corpus = open_corpus(tmp_path / "t.csv", level="byte", layout=TEXT, val_frac=0)
    assert whole(corpus) == b"caf\xe9\n\xff\n"


def test_tables_of_a_directory(tmp_path):
    (tmp_path / "a.csv").write_text("id,text\n1,a\n")
    (tmp_path / "b.tsv.gz").write_bytes(gzip.compress(b"text\tid\nb\t2\n"))
    (tmp_path / "readme.txt").write_text("not a table")
    corpus = open_corpus(tmp_path, layout=TEXT, val_frac=0)
    assert whole(corpus) == "a\nb\n"
    assert "readme.txt (not .csv or .tsv)" in corpus.notes[0]
    (tmp_path / "a.csv").unlink()
    (tmp_path / "b.tsv.gz").unlink()
    (tmp_path / "part-0").write_text("text\nc\n")
    (tmp_path / "readme.txt").unlink()
    assert whole(open_corpus(tmp_path, layout=TEXT, val_frac=0)) == "c\n"


def test_tables_that_are_named_are_read_whatever_their_names(tmp_path):
    (tmp_path / "a.csv").write_text("id,text\n1,a\n")
    (tmp_path / "b.dat").write_text("id,text\n1,b\n")
    names = [tmp_path / "a.csv", tmp_path / "b.dat", "-"]
    corpus = open_corpus(names, layout=TEXT, val_frac=0, stdin=io.BytesIO(b"text\nc\n"))
    assert (whole(corpus), corpus.notes) == ("a\nb\nc\n", ())


@pytest.mark.parametrize("level", ["char", "byte", "word"])
def test_what_stands_between_files(tmp_path, level):
    for name, text in (("a", "one"), ("b", ""), ("c", "two"), ("d", "three")):
        (tmp_path / name).write_text(text)
    for join, expected in (
        (None, "onetwothree"),
        ("", "onetwothree"),
        (" §\n", "one §\ntwo §\nthree"),
    ):
        corpus = open_corpus(tmp_path, level=level, layout=Layout(join=join), val_frac=0)
        assert whole(corpus) == (expected.encode() if level == "byte" else expected)


def test_a_join_without_two_files_is_refused(tmp_path):
    (tmp_path / "a").write_text("text of one file")
    with pytest.raises(UsageError, match=r"join stands between files, but .*/a is a single one"):
        open_corpus(tmp_path / "a", layout=Layout(join="x"))
    open_corpus(tmp_path / "a", layout=Layout(join="x", inherited=frozenset(["join"])))


def test_lines_and_statistics_are_those_of_the_values(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('id,text\n1,"a\nb"\n2,c\n')
    vocabulary = open_corpus(path, layout=TEXT).vocabulary
    assert [line for line, _ in iter_lines(path, vocabulary, layout=TEXT)] == ["a\n", "b\n", "c\n"]
    found = text_statistics(str(path), layout=TEXT)
    assert (found.chars, found.lines, found.distinct) == (6, 3, 4)
    (tmp_path / "none.csv").write_text("id,text\n1,\n")
    for read_it in (open_corpus, lambda name, layout: text_statistics(str(name), layout=layout)):
        with pytest.raises(CharRNNError, match=r"none\.csv has no value that is not empty"):
            read_it(tmp_path / "none.csv", layout=TEXT)


def test_a_built_in_corpus_has_no_columns():
    with pytest.raises(CorpusError, match="hello is a built-in corpus, which has no columns"):
        open_corpus("hello", layout=TEXT)


@pytest.mark.parametrize("layout", [TEXT, FIELD])
def test_any_text_is_values_or_one_error_however_it_is_cut(layout):
    rng = random.Random(7)
    head = "id,text\n" if layout is TEXT else ""
    signs = ['"', ",", "\n", "\r", ";", "a", '{"text": "', '"}', "é", "\t"]
    for _ in range(600):
        text = head + "".join(rng.choices(signs, k=rng.randint(0, 12)))
        found = []
        for chunk in (1, 2, 5, 100):
            try:
                found.append(read(text, layout, chunk))
            except CorpusError as problem:
                assert "\n" not in str(problem)
                found.append(str(problem))
        assert len(set(map(str, found))) == 1, (text, found)
