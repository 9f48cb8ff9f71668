"""``--task transduce`` on the command line: train, predict, eval, and what is refused."""

import io
import json
import os
import subprocess

import pytest
from helpers.commands import charrnn, command, inside

from charrnn import load

SMALL = ["--task", "transduce", "--hidden", "24", "--batch", "16", "--lr", "0.02", "--dropout", "0"]
SMALL += ["--bidirectional", "--quiet", "--val-frac", "0.1"]
PAIRS = [(a + b, b + a) for a in "abcdefgh" for b in "abcdefgh"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a trained run, one without attention, one of words, and a language model."""
    where = tmp_path_factory.mktemp("transduce")
    table = "".join(f"{source}\t{target}\n" for source, target in PAIRS)
    (where / "pairs.tsv").write_text(table)
    (where / "sources").write_text("".join(f"{source}\n" for source, _ in PAIRS))
    spaced = "".join(f"{source}\t{target[0]} {target[1]}\n" for source, target in PAIRS)
    (where / "spaced.tsv").write_text(spaced)
    words = [(source, f"{target[0]}1  x.{target[1]}") for source, target in PAIRS]
    (where / "words.tsv").write_text("".join(f"{s}\t{t}\n" for s, t in words))
    for name, more in (
        ("lm", ["pairs.tsv", "--hidden", "4", "--batch", "2", "--seq-len", "8", "--steps", "1"]),
        ("words", ["words.tsv", *SMALL, "--steps", "5", "--target-level", "word"]),
        ("none", ["spaced.tsv", *SMALL, "--steps", "5", "--attention", "none"]),
        ("run", ["pairs.tsv", *SMALL, "--steps", "150"]),
    ):
        done = inside("train", *more, "--quiet", "--name", name, cwd=where)
        assert done.returncode == 0, done.stderr
    return where


def predict(place, monkeypatch, *arguments, lines="ab\nhg\n"):
    typed = io.TextIOWrapper(io.BytesIO(lines.encode()))
    monkeypatch.setattr("sys.stdin", typed)
    return inside("predict", *arguments, cwd=place)


def test_predict_writes_a_line_for_a_line(place, monkeypatch):
    lines = "".join(f"{source}\n" for source, _ in PAIRS) + "\n?\n"
    done = predict(place, monkeypatch, "run", lines=lines)
    written = done.stdout.split("\n")[:-1]
    assert len(written) == len(PAIRS) + 2
    right = sum(line == target for line, (_, target) in zip(written, PAIRS, strict=False))
    assert right >= 0.9 * len(PAIRS)
    assert "left out 1 symbol that the model does not know" in done.stderr
    assert predict(place, monkeypatch, "run", "sources").stdout == "\n".join(written[:-2]) + "\n"


def test_a_source_longer_than_those_of_the_training_is_cut_with_a_note(place, monkeypatch):
    limit = ["--steps", "5", "--name", "short", "--max-length", "3"]
    done = inside("train", "pairs.tsv", *SMALL, *limit, cwd=place)
    assert done.returncode == 0, done.stderr
    cut = predict(place, monkeypatch, "short", "--json", lines="abcdefgh\nab\nabcd\nabc\n")
    whole = predict(place, monkeypatch, "short", "--json", lines="abc\nab\nabc\nabc\n")
    assert cut.stdout == whole.stdout != ""
    assert "cut 2 sources after 3 symbols" in cut.stderr
    assert whole.stderr == ""
    model = load(place / "checkpoints" / "short")
    assert [one.log_p for one in model.predict(["abcdefgh"])] == [
        one.log_p for one in model.predict(["abc"])
    ]


def test_predict_k_and_beam(place, monkeypatch):
    for row in predict(place, monkeypatch, "run", "-k", "3").stdout.splitlines():
        texts, nats = row.split("\t")[::2], [float(n) for n in row.split("\t")[1::2]]
        assert len(set(texts)) == len(nats) == 3
        assert max(nats) <= 0
    done = predict(place, monkeypatch, "run", "-k", "2", "--beam", "8", "--json")
    for line in done.stdout.splitlines():
        record = json.loads(line)
        assert list(record) == ["text", "log_p", "best"]
        assert record["best"][0]["text"] == record["text"]
    refused = predict(place, monkeypatch, "run", "-k", "3", "--beam", "2")
    assert refused.returncode == 2
    assert "raise --beam to 3" in refused.stderr


def test_attention_as_json_and_as_a_map(place, monkeypatch):
    done = predict(place, monkeypatch, "run", "--json", "--attention", lines="ab\n")
    record = json.loads(done.stdout)
    assert record["source"] == ["a", "b", ""]
    assert "".join(record["target"]) == record["text"]
    assert record["target"][-1] == ""
    assert [round(sum(row), 2) for row in record["attention"]] == [1.0] * len(record["target"])
    head, *rows = predict(
        place, monkeypatch, "run", "--attention", lines="ab\n"
    ).stdout.splitlines()[1:-1]
    assert head == "   ab¶"
    assert [row[0] for row in rows] == [*record["text"], "¶"]
    assert all(set(row[3:]) <= set(" ░▒▓█") for row in rows)
    refused = predict(place, monkeypatch, "none", "--attention")
    assert refused.returncode == 2
    assert "without attention" in refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_attention_is_drawn(place, monkeypatch, tmp_path, suffix):
    pytest.importorskip("matplotlib")
    page = tmp_path / f"maps{suffix}"
    done = predict(place, monkeypatch, "run", "--plot", page, lines="ab\n$h\n" * 20)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 40
    assert page.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml")
    refused = predict(place, monkeypatch, "run", "--plot", tmp_path / "maps.txt")
    assert refused.returncode == 2
    assert ".png or .svg or .pdf" in refused.stderr


def test_characters_of_targets_may_be_spaces(place, monkeypatch):
    done = predict(place, monkeypatch, "none", lines="ab\n")
    assert done.returncode == 0, done.stderr
    assert set(done.stdout) <= set("abcdefgh \n")


def test_words_are_written_with_their_spaces(place, monkeypatch):
    record = json.loads(predict(place, monkeypatch, "words", "--json", lines="ab\n").stdout)
    assert set(record["text"].split(" ")) <= {f"{c}1" for c in "abcdefgh"} | {
        *(f"x.{c}" for c in "abcdefgh"),
        "",
    }


def test_eval_of_a_table_of_two_files_and_of_the_held_out_pairs(place):
    record = json.loads(inside("eval", "pairs.tsv", "--run", "run", "--json", cwd=place).stdout)
    assert list(record) == [
        *("examples", "nats", "exact_match", "cer", "nats_per_symbol"),
        *("skipped", "left_out", "run", "source", "split"),
    ]
    assert record["examples"] == len(PAIRS)
    assert record["exact_match"] >= 0.9
    assert record["nats_per_symbol"] == pytest.approx(record["nats"] / (3 * len(PAIRS)))
    (place / "targets").write_text("".join(f"{target}\n" for _, target in PAIRS))
    two = ("eval", "sources", "--target", "targets", "--run", "run", "--json")
    other = json.loads(inside(*two, cwd=place).stdout)
    assert {**other, "source": 0} == {**record, "source": 0}
    held = json.loads(inside("eval", "--split", "val", "--run", "run", "--json", cwd=place).stdout)
    assert held["examples"] == 6
    told = inside("eval", "pairs.tsv", "--run", "run", "--beam", "3", cwd=place)
    assert told.stdout.startswith("64 examples: exact match ")
    (place / "unknown.tsv").write_text("aZb\tbQa\n")
    done = inside("eval", "unknown.tsv", "--run", "run", "--json", cwd=place)
    odd = json.loads(done.stdout)
    assert (odd["exact_match"], odd["skipped"], odd["left_out"]) == (0.0, 0, 1)
    assert done.stderr == "charrnn: note: 1 symbol that the model does not know was skipped\n"
    assert "does not know" not in told.stderr


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["sample", "run"], "see charrnn predict"),
        (["eval", "pairs.tsv", "--run", "run", "--per-line"], "--per-line only applies"),
        (["eval", "pairs.tsv", "--run", "lm", "--beam", "3"], "--beam only applies to"),
        (["predict", "lm", "pairs.tsv"], "labels nothing"),
        (["train", "pairs.tsv", "--task", "transduce", "--seq-len", "9"], "--task lm"),
        (["train", "pairs.tsv", "--task", "transduce", "--column", "a"], "source<TAB>target"),
        (["train", "pairs.tsv", "--attention", "dot"], "only applies to --task transduce"),
        (["train", "sources", "--task", "transduce"], "line 1 has no tab"),
    ],
)
def test_what_cannot_be_is_one_line(place, arguments, part):
    done = inside(*arguments, cwd=place)
    assert done.returncode in (1, 2)
    assert part in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_info_and_runs_know_the_task(place):
    facts = json.loads(inside("info", "run", "--json", cwd=place).stdout)
    assert (facts["task"], facts["attention"], facts["bidirectional"]) == ("transduce", "dot", True)
    assert "transduce lstm 1×24" in inside("runs", cwd=place).stdout
    assert inside("info", "run", cwd=place).returncode == 0


@pytest.mark.slow
def test_targets_come_while_lines_arrive(place):
    env = os.environ | {"PYTHONUNBUFFERED": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command("predict", "run"), cwd=place, env=env, **pipes) as process:
        for source, target in PAIRS[:3]:
            process.stdin.write(f"{source}\n".encode())
            process.stdin.flush()
            assert len(process.stdout.readline().strip()) == len(target)
        process.stdin.close()
        assert process.wait(60) == 0


@pytest.mark.slow
def test_a_run_from_a_pipe(tmp_path):
    text = "".join(f"{source}\t{target}\n" for source, target in PAIRS)
    done = charrnn("train", "-", *SMALL, "--steps", "3", cwd=tmp_path, input=text)
    assert done.returncode == 0, done.stderr


def test_eval_writes_a_page_and_a_drawing(place, tmp_path):
    pytest.importorskip("matplotlib")
    page, drawing = tmp_path / "page.html", tmp_path / "drawing.svg"
    options = ["eval", "pairs.tsv", "--run", "run", "--json"]
    plain = inside(*options, cwd=place)
    done = inside(*options, "--html", str(page), "--plot", str(drawing), cwd=place)
    assert done.returncode == 0, done.stderr
    assert done.stdout == plain.stdout
    assert "pairs.tsv" in page.read_text("utf-8")
    assert drawing.read_bytes().startswith(b"<?xml")
    for wrong in ("--html", "--plot"):
        done = inside(*options, wrong, str(tmp_path / "x.txt"), cwd=place)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    done = inside("eval", "pairs.tsv", "--run", "lm", "--html", str(page), cwd=place)
    assert done.returncode == 2
    assert "--html only applies to a classifier, a tagger or a transducer" in done.stderr


def test_a_beam_that_no_memory_can_hold_is_refused(place):
    huge = "9" * 20
    for name, words in (("--beam", ["--beam", huge]), ("-k", ["-k", huge])):
        done = inside("predict", "run", "sources", *words, cwd=place)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{name} must be at most 100,000, not {huge}; lower it" in done.stderr
