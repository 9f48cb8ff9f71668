"""Tables with commas, or JSON lines, where tabs are read: the command that is shown works."""

import json
import subprocess

import pytest

from charrnn.config import DataConfig
from charrnn.errors import CorpusError, option
from charrnn.text.labelled.dataset import read_table
from charrnn.text.pairs.dataset import read_pairs
from charrnn.text.tagged.dataset import read_tagged

TAGGED = '{"id": 1, "tokens": ["a", "b c"], "ner_tags": ["O", 1]}\n'
PAIRS = ["hello\tbonjour", "a, b\tc"]
TWO = 'en,fr\nhello,bonjour\n"a, b",c\n'


def config(path, **options):
    return DataConfig(sources=(str(path),), **{"val_frac": 0.0} | options)


def written_as_told(folder, line):
    """Paste the command of a message, and return the file that it writes."""
    command = (
        line[line.index(": python3") + 2 :] if "gzip" not in line else line[line.index("gzip") :]
    )
    before = set(folder.iterdir())
    subprocess.run(["bash", "-c", command], check=True)
    (new,) = set(folder.iterdir()) - before
    return new


@pytest.mark.parametrize(
    ("name", "content", "rows", "said"),
    [
        ("d.csv", TWO, PAIRS, "write the columns 'en' and 'fr' of this table with a tab between"),
        ("-d.csv", "\ufeff" + TWO, PAIRS, "'en' and 'fr'"),
        (
            "my d.csv",
            'Target;Source\r\nc;"a\tb\n""x"""\r\n',
            ['a b "x"\tc'],
            "'Source' and 'Target'",
        ),
        ("d.tsv", "id\ten\tfr\n1\thello\tbonjour\n", PAIRS[:1], "has several tabs, but a pair has"),
        ("n.csv", "Good day.,Bonjour.\n", ["Good day.\tBonjour."], "without its first line if"),
        ("s.csv", "id,source,score,target\nx,z,3,y\n", ["z\ty"], "the columns 'source' and"),
        ("i.csv", "id,word,upos,tag\n1,2,3,4\n", ["1\t2"], "its columns are 'id', 'word', 'upos',"),
        ("p.jsonl", '{"id":1,"source":"a\\tb","target":"B"}\n', ["a b\tB"], "the fields 'source'"),
    ],
)
def test_a_table_of_pairs_is_written_with_tabs(tmp_path, name, content, rows, said):
    (tmp_path / name).write_text(content, newline="")
    with pytest.raises(CorpusError) as failure:
        read_pairs(config(tmp_path / name))
    line = failure.value.line(option)
    assert f"{name} line 1 has " in line and said in line
    new = written_as_told(tmp_path, line)
    assert new.read_text() == "".join(f"{row}\n" for row in rows)
    assert len(read_pairs(config(new)).train) == len(rows)


@pytest.mark.parametrize(
    ("name", "content", "options", "rows", "also"),
    [
        ("t.csv", "word,tag\nthe,D\ndog,N\n\nit,P\n", {}, "the\tD\ndog\tN\n\nit\tP\n", {}),
        ("t.csv", "n,Word,x,POS\n1,he,a,P\n2,is,b,V\n", {}, "he\tP\nis\tV\n", {}),
        (
            "t.csv",
            "id,word,upos,tag\n1,he,P,O\n2,is,V,B\n",
            {},
            "1\the\tP\tO\n2\tis\tV\tB\n",
            {"columns": "2,3"},
        ),
        ("t.csv", "n,w\n1,he\n2,is\n", {"columns": "2,1"}, "n\tw\n1\the\n2\tis\n", {}),
        ("t.csv", "text,tags\nabc,ABC\nab,AB\n", {}, "abc\tABC\nab\tAB\n", {}),
        ("t.jsonl", TAGGED, {}, "a\tO\nb c\t1\n\n", {}),
    ],
)
def test_a_table_of_labels_is_written_with_tabs(tmp_path, name, content, options, rows, also):
    (tmp_path / name).write_text(content)
    with pytest.raises(CorpusError) as failure:
        read_tagged(config(tmp_path / name, **options))
    line = failure.value.line(option)
    assert ("--columns" in line) == bool(also)
    new = written_as_told(tmp_path, line)
    assert new.read_text() == rows
    assert read_tagged(config(new, **options, **also)).train.symbols > 0


def test_a_compressed_table_and_one_in_another_encoding(tmp_path):
    (tmp_path / "d.csv").write_bytes("source,target\nété,Été\n".encode("utf-16"))
    subprocess.run(["gzip", str(tmp_path / "d.csv")], check=True)
    with pytest.raises(CorpusError) as failure:
        read_pairs(config(tmp_path / "d.csv.gz", encoding="utf-16"))
    new = written_as_told(tmp_path, failure.value.line(option))
    assert new.read_text(encoding="utf-8") == "été\tÉté\n"


def test_no_file_is_written_over(tmp_path):
    (tmp_path / "d.csv").write_text(TWO)
    (tmp_path / "d.tsv").write_text("mine")
    with pytest.raises(CorpusError) as failure:
        read_pairs(config(tmp_path / "d.csv"))
    assert written_as_told(tmp_path, failure.value.line(option)).name == "d-rows.tsv"
    assert (tmp_path / "d.tsv").read_text() == "mine"


@pytest.mark.parametrize(
    "content",
    ["No tab, of course.\n", "a\tb\nen,fr\n", "hello world, how are you\n", "{text\n", "word\n"],
)
def test_what_is_no_table_is_not_called_one(tmp_path, content):
    (tmp_path / "t.txt").write_text(content)
    with pytest.raises(CorpusError, match="mend that line, or set errors to skip"):
        read_pairs(config(tmp_path / "t.txt"))


@pytest.mark.parametrize(
    ("read", "content", "said"),
    [
        (read_pairs, TWO, "has no tab between a source and a target; write the columns 'en' and"),
        (read_tagged, TWO, "has no tab between a symbol and its label; write the columns"),
        (read_table, "label,text\na,b\n", "a label and a text; to read the columns of this table,"),
        (
            read_pairs,
            "abc\nde\n",
            "t.csv line 1 has no tab between a source and a target; write one",
        ),
        (
            read_tagged,
            b"\xff\xff\tB\n",
            "t.csv line 1 cannot be decoded; set --encoding to its enc",
        ),
        (read_table, b"A\t\xff\nB\t\xff\n", "t.csv line 1 cannot be decoded; set --encoding"),
        (read_table, "\n\n", "t.csv has no example; write one a line: label<TAB>text"),
    ],
)
def test_where_all_lines_are_passed_over_the_first_says_why(tmp_path, read, content, said):
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CorpusError) as failure:
        read(config(path, errors="skip"))
    line = failure.value.line(option)
    assert said in line
    assert line.startswith("no line is an example: ") or content == "\n\n"


def test_a_header_that_is_read_as_an_example_is_noted(tmp_path):
    rows = "a b\tc d\nx y\tz z\n" * 3
    for header, noted in (("source\ttarget", 1), ("en\tfr", 1), ("x\ty", 0), ("in\tthe", 0)):
        path = tmp_path / "t.tsv"
        path.write_text(f"{header}\n{rows}")
        for read in (read_pairs, lambda data: read_tagged(data.changed(format="columns"))):
            notes = [note for note in read(config(path)).notes if "if it is a header" in note]
            assert len(notes) == noted
            if notes:
                subprocess.run(["bash", "-c", notes[0].partition("out: ")[2]], check=True)
                (tmp_path / "t-rows.tsv").rename(path)
                assert path.read_text() == rows
                path.write_text(f"{header}\n{rows}")


def test_numbers_in_json_lines_are_written_too(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text(
        "".join(json.dumps({"question": f"{n}+1", "answer": n + 1}) + "\n" for n in range(3))
    )
    with pytest.raises(CorpusError) as failure:
        read_pairs(config(path))
    new = written_as_told(tmp_path, failure.value.line(option))
    assert new.read_text() == "0+1\t1\n1+1\t2\n2+1\t3\n"
