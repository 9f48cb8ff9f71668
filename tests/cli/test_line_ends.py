"""Texts given with a run whose lines end in CR LF: read as newlines where the model knows no CR."""

import io
import json
import sys
from pathlib import Path

import pytest
from helpers.commands import inside

from charrnn.config import ModelConfig
from charrnn.model.language import LanguageModel
from charrnn.storage import checkpoint
from charrnn.text.vocabulary import UNKNOWN_CHAR, Vocabulary

LINES = ["le chat dort", "", "où es-tu", "le chat"]
LF = "".join(f"{line}\n" for line in LINES)
CRLF = LF.replace("\n", "\r\n")
NOTE = "charrnn: note: CR LF line ends were read as newlines: the model knows no carriage return\n"
VOCABULARIES = {
    "char": Vocabulary("char", tuple(sorted(set(LF)))),
    "byte": Vocabulary("byte", tuple(sorted(set(LF.encode())))),
    "word": Vocabulary("word", tuple(sorted({*"\n -", *LF.replace("-", " ").split()}))),
    "folded": Vocabulary("char", (symbols := tuple(sorted({*LF, UNKNOWN_CHAR}))), len(symbols) - 1),
    "returns": Vocabulary("char", tuple(sorted(set(CRLF)))),
}
WITHOUT = [name for name in VOCABULARIES if name != "returns"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the text with both line ends, and a fresh model for each vocabulary."""
    folder = tmp_path_factory.mktemp("ends")
    config = ModelConfig(hidden=4)
    for name, vocabulary in VOCABULARIES.items():
        weights = LanguageModel.fresh(config, len(vocabulary), 1).weights.flat
        (folder / "checkpoints" / name).mkdir(parents=True)
        saved = checkpoint.Checkpoint(config, vocabulary, weights)
        checkpoint.save(folder / "checkpoints" / name / "last.safetensors", saved)
    (folder / "lf.txt").write_bytes(LF.encode())
    (folder / "crlf.txt").write_bytes(CRLF.encode())
    return folder


@pytest.fixture(autouse=True)
def _in_place(place, monkeypatch):
    monkeypatch.chdir(place)


def succeed(*arguments, note=""):
    done = inside(*arguments, "--backend", "numpy")
    assert (done.returncode, done.stderr) == (0, note)
    return done.stdout


@pytest.mark.parametrize("run", WITHOUT)
def test_a_text_has_the_score_of_its_twin_with_newlines(run):
    there = ("--run", run, "--json")
    plain = json.loads(succeed("eval", "lf.txt", *there))
    score = json.loads(succeed("eval", "crlf.txt", *there, note=NOTE))
    assert score == plain | {"source": ["crlf.txt"], "skipped": 4}
    for kind in ("--per-line", "--per-char"):
        assert succeed("eval", "crlf.txt", "--run", run, kind, note=NOTE) == succeed(
            "eval", "lf.txt", "--run", run, kind
        )
    first, *_ = succeed("eval", "crlf.txt", *there, "--per-line", note=NOTE).splitlines()
    same, *_ = succeed("eval", "lf.txt", *there, "--per-line").splitlines()
    assert json.loads(first) == json.loads(same) | {"skipped": 1}
    table = succeed("eval", "crlf.txt", "--run", run, note=NOTE)
    assert table.splitlines()[-1].split()[1:] == ["skipped", "4"]


@pytest.mark.parametrize("run", WITHOUT)
def test_a_prime_is_its_twin_with_newlines(run):
    options = (run, "--seed", "3", "--length", "5", "--json")
    expected = succeed("sample", *options, "--prime-file", "lf.txt")
    assert succeed("sample", *options, "--prime-file", "crlf.txt", note=NOTE) == expected
    assert succeed("sample", *options, "--prime", CRLF, note=NOTE) == expected
    one = ("sample", run, "--next", "1")
    expected = succeed(*one, "--prime-file", "lf.txt")
    assert succeed(*one, "--prime-file", "crlf.txt", note=NOTE) == expected


@pytest.mark.parametrize("run", VOCABULARIES)
@pytest.mark.parametrize("more", [(), ("--json",), ("--beam", "2"), ("--encoding", "utf-16")])
def test_each_line_ends_before_its_line_end(run, more, monkeypatch):
    if "--encoding" in more and run == "byte":
        return
    said = {}
    for name, text in (("lf", LF), ("crlf", CRLF)):
        data = text.encode("utf-16" if "--encoding" in more else "utf-8")
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        seed = () if "--beam" in more else ("--seed", "2")
        words = ("sample", run, "--each-line", "--length", "6", *seed, *more)
        done = inside(*words, "--backend", "numpy", text=False)
        assert (done.returncode, done.stderr) == (0, b"")
        said[name] = done.stdout
    assert said["crlf"] == said["lf"]
    assert said["lf"].count(b"\n") == len(LINES)


def test_a_model_that_knows_the_carriage_return_reads_it():
    score = json.loads(succeed("eval", "crlf.txt", "--run", "returns", "--json"))
    assert (score["chars"], score["bytes"], score["skipped"]) == (
        len(CRLF) - 1,
        len(CRLF.encode()),
        0,
    )
    first, *_ = succeed("eval", "crlf.txt", "--run", "returns", "--json", "--per-line").splitlines()
    assert json.loads(first)["text"] == LINES[0] + "\r"
    out = succeed("sample", "returns", "--prime-file", "crlf.txt", "--length", "1", "--json")
    assert json.loads(out)["prime"] == CRLF


@pytest.mark.parametrize("run", ["char", "byte", "word"])
def test_other_carriage_returns_stay_unknown_and_have_their_place(run):
    data = b"le chat\r\nle chat\r\nle \rchat\r\n"
    Path("lone.txt").write_bytes(data)
    at = f"{'byte' if run == 'byte' else 'character'} offset {data.index(b' ' + bytes([13])) + 1})"
    advice = r"; make newlines of them (tr '\r' '\n'), or set --unknown to skip, which leaves"
    for words in (
        ("eval", "lone.txt", "--run", run),
        ("eval", "lone.txt", "--run", run, "--per-line"),
        ("sample", run, "--prime-file", "lone.txt"),
        ("diagnose", run, "--corpus", "lone.txt"),
    ):
        done = inside(*words, "--backend", "numpy")
        assert done.returncode == 1
        assert f"{at}{advice}" in done.stderr
    skipped = inside("eval", "lone.txt", "--run", run, "--unknown", "skip", "--json")
    assert json.loads(skipped.stdout)["skipped"] == 4
    one = "1 symbol that the model does not know was skipped"
    assert skipped.stderr == f"{NOTE.strip()}; {one}\n"
    lines = inside("eval", "lone.txt", "--run", run, "--unknown", "skip", "--per-line", "--json")
    assert lines.stderr == f"{NOTE.strip()}; {one}, in 1 line\n"


def test_a_diagnosis_reads_newlines(place):
    Path("long.txt").write_bytes(CRLF.encode() * 20)
    done = inside("diagnose", "char", "--corpus", "long.txt", "--json", "--backend", "numpy")
    assert json.loads(done.stdout)["chars"] == 20 * len(LF)
    assert NOTE in done.stderr


def test_a_byte_order_mark_names_the_encoding_that_drops_it():
    Path("marked.txt").write_bytes(LF.encode("utf-8-sig"))
    advice = "; set --encoding to utf-8-sig, which drops a byte order mark\n"
    for run in ("char", "word"):
        refused = inside("eval", "marked.txt", "--run", run)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.endswith(advice)
        succeed("eval", "marked.txt", "--run", run, "--encoding", "utf-8-sig")
