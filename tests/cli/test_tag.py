"""``--task tag`` on the command line: train, predict, eval, and what is refused."""

import io
import json
import os
import re
import signal
import subprocess
import time
from collections import Counter

import pytest
from helpers.commands import charrnn, command, inside

SMALL = ["--task", "tag", "--hidden", "24", "--batch", "16", "--lr", "0.03", "--dropout", "0"]
SMALL += ["--bidirectional", "--quiet", "--min-count", "1"]
WORDS = {"the": "DET", "a": "DET", "cat": "NOUN", "dog": "NOUN", "runs": "VERB", "sleeps": "VERB"}
SENTENCES = [
    f"{one} {noun} {verb}".split() for one in ("the", "a") for noun in ("cat", "dog")
    for verb in ("runs", "sleeps")
] * 4  # fmt: skip
LINES = [a + b + c for a in "abc" for b in "abc" for c in "abc"]


def columns(sentences, numbered=False):
    """Return sentences in two columns, or as CoNLL-U."""
    parts = []
    for sentence in sentences:
        rows = [(word, WORDS[word]) for word in sentence]
        if numbered:
            rows = [(str(n), word, "_", label) for n, (word, label) in enumerate(rows, 1)]
            rows.insert(1, ("1-2", "_", "_", "_"))
        head = "# text = " + " ".join(sentence) + "\n" if numbered else ""
        parts.append(head + "".join("\t".join(row) + "\n" for row in rows) + "\n")
    return "".join(parts)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a run of tokens, one of lines, one of words in CoNLL-U, and one of spans."""
    where = tmp_path_factory.mktemp("tag")
    (where / "words.tsv").write_text(columns(SENTENCES))
    (where / "words.conllu").write_text(columns(SENTENCES, numbered=True))
    (where / "caps.tsv").write_text("".join(f"{line}\t{line.upper()}\n" for line in LINES * 3))
    (where / "spans.tsv").write_text("ab\tB-X\nc\tI-X\nd\tO\n\nd\tO\nab\tB-X\n\n" * 10)
    for name, more in (
        ("lm", ["words.tsv", "--hidden", "4", "--batch", "2", "--seq-len", "8", "--quiet"]),
        ("conllu", ["words.conllu", *SMALL, "--columns", "2,4", "--level", "word"]),
        ("spans", ["spans.tsv", *SMALL]),
        ("caps", ["caps.tsv", *SMALL]),
        ("words", ["words.tsv", *SMALL]),
    ):
        steps = ("--steps", "2" if name == "lm" else "40")
        done = inside("train", *more, *steps, "--name", name, cwd=where)
        assert done.returncode == 0, done.stderr
    return where


def predict(place, monkeypatch, *arguments, lines):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
    return inside("predict", *arguments, cwd=place)


def test_columns_come_out_with_a_label(place, monkeypatch):
    done = predict(place, monkeypatch, "words", lines="the\ncat\nruns\n\n# two\na\tX\ndog\tY\n")
    assert done.stdout == "the\tDET\ncat\tNOUN\nruns\tVERB\n\n# two\na\tX\tDET\ndog\tY\tNOUN\n"
    assert done.stderr == ""
    conllu = columns(SENTENCES[:2], numbered=True)
    lines = predict(place, monkeypatch, "conllu", lines=conllu).stdout.splitlines()
    for given, line in zip(conllu.splitlines(), lines, strict=True):
        is_word = given[:1].isdigit() and not given.startswith("1-2")
        assert line == (given + chr(9) + given.split(chr(9))[3] if is_word else given)


def test_lines_come_out_as_lines(place, monkeypatch):
    lines = "".join(f"{line}\n" for line in LINES)
    assert predict(place, monkeypatch, "caps", lines=lines).stdout == lines.upper()
    done = predict(place, monkeypatch, "caps", lines="ab\n\na?c\n")
    assert [len(line) for line in done.stdout.split("\n")] == [2, 0, 3, 0]
    done = predict(place, monkeypatch, "words", "--format", "lines", lines="the dog  runs\n\n")
    assert done.stdout == "DET NOUN VERB\n\n"
    done = predict(place, monkeypatch, "caps", "--format", "columns", lines="a\nb\n")
    assert done.stdout == "a\tA\nb\tB\n"


def test_one_object_a_sequence(place, monkeypatch):
    done = predict(place, monkeypatch, "words", "--json", lines="the\ncat\n\n\n\na\n")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["tokens"] for record in records] == [["the", "cat"], ["a"]]
    assert [record["tags"] for record in records] == [["DET", "NOUN"], ["DET"]]
    assert all(0.5 < p <= 1 for record in records for p in record["p"])
    done = predict(place, monkeypatch, "caps", "--json", lines="ab\n\n")
    assert [json.loads(line)["tags"] for line in done.stdout.splitlines()] == [["A", "B"], []]


def test_eval(place):
    record = json.loads(inside("eval", "words.tsv", "--run", "words", "--json", cwd=place).stdout)
    assert list(record) == [
        *("examples", "tokens", "nats", "accuracy", "macro_f1", "labels", "confusion"),
        *("skipped", "run", "source", "split"),
    ]
    assert (record["examples"], record["tokens"], record["accuracy"]) == (32, 96, 1.0)
    assert record["labels"]["NOUN"]["support"] == 32
    assert (record["source"], record["split"], record["skipped"]) == (["words.tsv"], None, 0)
    held = inside("eval", "--split", "val", "--run", "words", "--json", cwd=place)
    record = json.loads(held.stdout)
    assert (record["examples"], record["source"], record["split"]) == (3, None, "val")
    spans = json.loads(inside("eval", "spans.tsv", "--run", "spans", "--json", cwd=place).stdout)
    assert spans["span_f1"] == 1.0
    table = inside("eval", "spans.tsv", "--run", "spans", cwd=place).stdout
    assert table.startswith("20 sequences, 50 labels: accuracy 1.0000")
    assert "span F1 1.0000" in table


def test_eval_writes_a_page_and_a_drawing_of_what_is_confused(place, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    page, drawing = tmp_path / "page.html", tmp_path / "drawing.svg"
    rows = [("the", "DET"), ("cat", "VERB"), ("runs", "VERB"), ("a", "DET"), ("dog", "NOUN")] * 3
    (tmp_path / "odd.tsv").write_text("".join(f"{word}\t{label}\n" for word, label in rows))
    options = ["eval", str(tmp_path / "odd.tsv"), "--run", "words"]
    plain = inside(*options, "--json", cwd=place)
    files = ("--html", str(page), "--plot", str(drawing))
    done = inside(*options, "--json", *files, cwd=place)
    assert (done.returncode, done.stdout) == (0, plain.stdout), done.stderr
    lines = "".join(f"{word}\n" for word, _ in rows)
    found = predict(place, monkeypatch, "words", lines=lines).stdout.split()[1::2]
    counts = Counter(zip((label for _, label in rows), found, strict=True))
    assert any(right != given for right, given in counts)
    shown = re.findall(r'title="(\w+), given (\w+): (\d+)"', page.read_text("utf-8"))
    assert {(right, given): int(number) for right, given, number in shown} == counts
    record = json.loads(plain.stdout)
    names = list(record["labels"])
    assert record["accuracy"] == pytest.approx(sum(counts[n, n] for n in names) / len(rows))
    for row, name in zip(record["confusion"], names, strict=True):
        assert row == [counts[name, other] for other in names]
    assert "odd.tsv, 15 labels" in page.read_text("utf-8")
    assert drawing.read_bytes().startswith(b"<?xml")
    table = inside(*options, cwd=place).stdout.split("\n\n")[-1].splitlines()
    assert table[0].split() == ["right", "\\", "given", *names]
    assert [line.split()[1:] for line in table[1:]] == [[*map(str, r)] for r in record["confusion"]]


def test_a_label_that_the_font_of_a_drawing_lacks_is_noted(place):
    pytest.importorskip("matplotlib")
    (place / "han.tsv").write_text("ab\t漢b\nbba\tbb漢\n" * 12, encoding="utf-8")
    done = inside("train", "han.tsv", *SMALL, "--steps", "1", "--name", "han", cwd=place)
    assert done.returncode == 0, done.stderr
    for suffix, told in ((".png", True), (".svg", False)):
        file = f"han{suffix}"
        done = inside("eval", "han.tsv", "--run", "han", "--plot", file, cwd=place)
        assert done.returncode == 0
        note = f"charrnn: note: {file} has boxes for characters that its font lacks (漢); "
        assert done.stderr == (f"{note}an .svg file has them\n" if told else "")
    assert ">漢<" in (place / "han.svg").read_text("utf-8")


def test_a_page_has_the_score_of_spans_and_of_held_out_sequences(place, tmp_path):
    page = tmp_path / "page.html"
    options = ("--run", "spans", "--split", "val", "--html", str(page))
    done = inside("eval", *options, cwd=place)
    assert done.returncode == 0, done.stderr
    assert "span F1" in page.read_text("utf-8")
    assert "sequences of the run&#x27;s own (val)" in page.read_text("utf-8")
    for wrong in ("--html", "--plot"):
        done = inside("eval", "words.tsv", "--run", "words", wrong, "x.txt", cwd=place)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["sample", "words"], "see charrnn predict"),
        (["diagnose", "words"], "diagnose --history"),
        (["diagnose", "--fresh", "--task", "tag", "--corpus", "words.tsv"], "diagnose --history"),
        (["predict", "words", "words.tsv", "-k", "2"], "-k does not apply to a tagger"),
        (["predict", "words", "words.tsv", "--beam", "2"], "--beam only applies"),
        (["predict", "words", "words.tsv", "--column", "a"], "--column does not apply"),
        (["predict", "caps", "words.tsv", "--format", "columns"], "labels one a line"),
        (["predict", "caps", "caps.tsv", "--columns", "2,1", "--format", "lines"], "--columns"),
        (["predict", "lm", "words.tsv", "--format", "lines"], "--format only applies to a tagger"),
        (["predict", "lm", "words.tsv"], "tag or transduce"),
        (["eval", "words.tsv", "--run", "lm", "--columns", "1,2"], "--columns only applies to"),
        (["eval", "words.tsv", "--run", "words", "--per-line"], "--per-line only applies"),
        (["eval", "words.tsv", "--run", "words", "--column", "a"], "--column does not apply"),
        (["eval", "spans.tsv", "--run", "words"], "spans.tsv line 1 has the label 'B-X'"),
        (["train", "words.tsv", "--task", "tag", "--seq-len", "9"], "--task lm"),
        (["train", "words.tsv", "--task", "tag", "--column", "a"], "--columns"),
        (["train", "words.tsv", "--task", "tag", "--level", "byte"], "--level to char or word"),
        (["train", "words.tsv", "--task", "tag", "--columns", "2"], "--columns '2' is invalid"),
        (["train", "words.tsv", "--format", "lines"], "--format only applies to --task tag"),
        (["train", "words.tsv", "--task", "tag", "--pool", "max"], "--pool only applies"),
    ],
)
def test_what_cannot_be_is_one_line(place, arguments, part):
    done = inside(*arguments, cwd=place)
    assert done.returncode in (1, 2)
    assert part in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_info_and_runs_know_the_task(place):
    facts = json.loads(inside("info", "words", "--json", cwd=place).stdout)
    assert (facts["task"], facts["format"], facts["bidirectional"]) == ("tag", "columns", True)
    assert facts["labels"] == ["DET", "NOUN", "VERB"]
    assert "tag lstm 1×24" in " ".join(inside("runs", cwd=place).stdout.split())
    assert inside("info", "words", cwd=place).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(("run", "rows"), [("words", "the\ncat\n\n"), ("caps", "abc\n")])
def test_labels_come_while_lines_arrive(place, run, rows):
    env = os.environ | {"PYTHONUNBUFFERED": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command("predict", run), cwd=place, env=env, **pipes) as process:
        for _ in range(3):
            process.stdin.write(rows.encode())
            process.stdin.flush()
            for line in rows.splitlines():
                found = process.stdout.readline().decode().rstrip("\n")
                assert (found != line) is bool(line), found
        process.stdin.close()
        assert process.wait(60) == 0


@pytest.mark.slow
def test_a_run_from_a_pipe(tmp_path):
    done = charrnn("train", "-", *SMALL, "--steps", "3", cwd=tmp_path, input=columns(SENTENCES))
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_killed_run_ends_as_if_it_had_not_been(place, tmp_path):
    table = str(place / "words.tsv")
    how = [*SMALL, "--steps", "400", "--save-every", "20", "--eval-every", "20"]
    whole = charrnn("train", table, *how, "--name", "whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    cut = tmp_path / "checkpoints/cut"
    with subprocess.Popen(command("train", table, *how, "--name", "cut"), cwd=tmp_path) as process:
        while not (cut / "last.safetensors").exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert charrnn("train", "--resume", "cut", cwd=tmp_path).returncode == 0
    digests = [
        json.loads(charrnn("info", run, "--json", cwd=tmp_path).stdout)["weights_sha256"]
        for run in ("checkpoints/whole/last.safetensors", "checkpoints/cut/last.safetensors")
    ]
    assert digests[0] == digests[1]
