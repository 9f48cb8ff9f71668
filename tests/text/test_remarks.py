"""Notes on a text: files of a directory that were left out, carriage returns."""

import gzip
import json

import pytest
from helpers.commands import inside

from charrnn.errors import CorpusError, in_words, option, setting
from charrnn.text import Layout, iter_ids, open_corpus
from charrnn.text.remarks import CarriageReturns
from charrnn.text.vocabulary import build_vocabulary


def notes(*names, **options):
    return [in_words(note, option) for note in open_corpus(*names, **options).notes]


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "texts"
    (path / "sub").mkdir(parents=True)
    (path / "a.txt").write_text("some words\n" * 90)
    return path


def test_files_left_out_are_counted_and_named_also_from_the_cache(folder):
    assert notes(folder) == []
    (folder / "b.txt").write_bytes(b"\0binary")
    (folder / "empty").touch()
    (folder / "sub" / "wide.txt").write_bytes("words".encode("utf-16"))
    expected = [
        "left out 3 files: texts/sub/wide.txt (UTF-16: convert it with iconv -f UTF-16 -t UTF-8, "
        "or name it alone), texts/b.txt (binary), texts/empty (empty)"
    ]
    for cached in (False, True):
        assert open_corpus(folder).cached == cached
        assert notes(folder) == expected
    (folder / "c.pdf").write_bytes(b"%PDF-1.4\n")
    (told,) = notes(folder)
    assert told.startswith("left out 4 files: texts/sub/wide.txt")
    assert told.endswith(f", … (charrnn corpus info {folder} --json lists all)")
    listed = json.loads(inside("corpus", "info", folder, "--json").stdout)["left_out"]
    assert [(one["file"], one["reason"]) for one in listed] == [
        (str(folder / name), reason)
        for name, reason in (
            ("b.txt", "binary"),
            ("c.pdf", "binary"),
            ("empty", "empty"),
            ("sub/wide.txt", "UTF-16"),
        )
    ]
    assert notes(folder, level="byte") == ["left out 1 file: texts/empty (empty)"]


def test_files_that_are_named_are_not_left_out(folder):
    (folder / "b").write_bytes(b"\0binary")
    (folder / "empty").touch()
    assert notes([folder / "a.txt", folder / "b", folder / "empty"]) == []


def test_a_file_in_another_encoding_than_the_rest_is_to_be_converted(folder):
    (folder / "b.txt").write_bytes("Größe\n".encode("latin-1"))
    with pytest.raises(CorpusError) as caught:
        open_corpus(folder)
    line = caught.value.line(option)
    assert "b.txt is not valid utf-8 at byte offset 2" in line
    assert "convert the file, for example with iconv -f cp1252 -t utf-8; else name another" in line
    with pytest.raises(CorpusError) as alone:
        open_corpus(folder / "b.txt")
    assert "iconv" not in alone.value.line(option)


def test_every_directory_is_spoken_of_in_one_note(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "b").write_text("words")
    for path in (folder, other):
        (path / "empty").touch()
    assert notes([folder, other]) == ["left out 2 files: texts/empty (empty), other/empty (empty)"]


CR_LF, OTHER = "CR LF line ends", "which end no line here"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\nb", ""),
        ("a\r\nb\r\n", CR_LF + ";"),
        ("a\rb\r", OTHER),
        ("\r", OTHER),
        ("a\r\nb\rc\n", "CR LF line ends and other carriage returns;"),
        ("a\r\r\n", "CR LF line ends and other carriage returns;"),
    ],
)
def test_carriage_returns_are_told_wherever_the_text_is_cut(text, said):
    for kind in (str, str.encode):
        for size in (1, 2, 3, 99):
            returns = CarriageReturns()
            for start in range(0, len(text), size):
                returns.add(kind(text[start : start + size]))
            assert said in returns.note()
            assert bool(said) == bool(returns.note())


def test_a_text_with_carriage_returns_has_one_note_in_all(tmp_path):
    for name in "ab":
        (tmp_path / name).write_bytes(b"one\r\ntwo\r\n" * 9)
    (told,) = notes([tmp_path / "a", tmp_path / "b"])
    assert told == (
        r"the text has CR LF line ends; each carriage return is a symbol (tr -d '\r' removes them)"
    )
    for packed, options in (
        (gzip.compress(b"one\r\n" * 9), {}),
        (b"one\r\n".decode().encode("utf-16") * 9, {"encoding": "utf-16"}),
        (b'{"t": "one\\r\\n"}\n' * 9, {"layout": Layout(field="t")}),
    ):
        (tmp_path / "packed").write_bytes(packed)
        (told,) = notes(tmp_path / "packed", **options)
        assert told.endswith(r"(tr -d '\r' removes them from plain text)")
    assert notes(tmp_path / "a", level="byte") == []
    assert len(notes(tmp_path / "a", level="word")) == 1


def test_what_could_not_be_decoded_is_counted(tmp_path):
    (tmp_path / "latin").write_bytes("Größe für Mädchen\n".encode("latin-1") * 9)
    (told,) = open_corpus(tmp_path / "latin", errors="replace").notes
    assert told == (
        "the text has U+FFFD, the sign for what cannot be decoded, 36 times: "
        f"another {setting('encoding')} may read it"
    )
    assert notes(tmp_path / "latin", encoding="latin-1", errors="replace") == []
    vocabulary = build_vocabulary("char", {"\ufffd": 3, "r": 2}.items())
    heard = []
    reading = {"errors": "replace", "unknown": "skip", "tell": heard.append}
    list(iter_ids(tmp_path / "latin", vocabulary, **reading))
    assert heard == [told]


def test_every_command_that_reads_a_directory_says_so(folder, tmp_path):
    (folder / "b.txt").write_bytes(b"\0binary")
    (tmp_path / "m.txt").write_bytes(b"some words\r\n" * 90)
    small = ["--hidden", "4", "--batch", "4", "--seq-len", "8", "--steps", "2", "--quiet"]
    quick = ["--anchors", "4", "--targets", "8", "--lyapunov-steps", "20", "--windows", "2"]
    quick += ["--max-lag", "4"]
    read = "charrnn: note: left out 1 file: texts/b.txt (binary)\n"
    for arguments in (
        ["train", "texts", *small, "--name", "one"],
        ["train", "m.txt", *small, "--val", "texts", "--name", "two"],
        ["eval", "texts", "--run", "checkpoints/one", "--json"],
        ["eval", "texts", "--run", "checkpoints/one", "--per-line", "--json"],
        ["corpus", "info", "texts", "--json"],
        ["diagnose", "checkpoints/one", "--corpus", "texts", "--json", *quick],
        ["diagnose", "--fresh", "--hidden", "4", "--corpus", "texts", "--json", *quick],
    ):
        done = inside(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count(read) == 1, arguments
        for line in done.stdout.splitlines():
            json.loads(line)
    for arguments in (["corpus", "info", "m.txt"], ["train", "m.txt", *small, "--name", "three"]):
        assert inside(*arguments, cwd=tmp_path).stderr.count("CR LF line ends") == 1


def test_the_ends_inside_documents_are_counted_over_all_parts_of_a_text(tmp_path):
    for name in ("a", "b", "v", "w"):
        (tmp_path / name).write_text(f"one {name}\n" * 9)
    layout = Layout(examples="document", join="§")
    names = [tmp_path / "a", tmp_path / "b"]
    held = {"val": [tmp_path / "v", tmp_path / "w"], "layout": layout}
    assert notes(names, **held) == []
    inside_once = "also stands inside of documents, 1 time;"
    for name, options in (("b", {"layout": layout}), ("w", held), ("v", held | {"test": names})):
        (tmp_path / name).write_text("one§two\n")
        (told,) = notes(names, **options)
        assert inside_once in told
        (tmp_path / name).write_text(f"one {name}\n" * 9)
