"""Runs of examples: trained, resumed, scored and sampled one line or document at a time."""

import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import inside

import charrnn

SMALL = ("--hidden", "24", "--batch", "4", "--seq-len", "8", "--backend", "numpy", "--quiet")


@pytest.fixture(autouse=True)
def _texts(home, cache_folder):
    rng = random.Random(3)
    names = [
        rng.choice(("anna", "bob", "carla", "dd")) + "x" * rng.randint(0, 2) for _ in range(300)
    ]
    Path("names.txt").write_text("".join(f"{name}\n" for name in names))
    Path("docs").mkdir()
    for number, name in enumerate(names[:80]):
        Path(f"docs/{number:02}").write_text(f"{name}\nis here")
    rows = "".join(f'{n},"{name}\nis here"\n' for n, name in enumerate(names[:80]))
    Path("t.csv").write_text(f"id,text\n{rows}")


def run(*arguments, code=0, **options):
    done = inside(*arguments, **options)
    assert done.returncode == code, done.stderr
    return done


def trained(*arguments, steps=200, name="r"):
    run("train", *arguments, *SMALL, "--lr", "0.02", "--steps", str(steps), "--name", name)


def test_a_line_is_sampled_and_scored_as_it_was_trained():
    trained("names.txt", "--examples", "line")
    out = run("sample", "r", "--count", "40", "--seed", "1").stdout
    lines = out.splitlines()
    assert len(lines) == 40
    assert "---" not in out
    assert sum(line.rstrip("x") in ("anna", "bob", "carla", "dd") for line in lines) > 30
    assert run("sample", "r", "--prime", "car", "--temp", "0").stdout.startswith("carla")
    assert run("sample", "r", "--seed", "2").stdout.count("\n") == 1
    assert (
        run("sample", "r", "--count", "2", "--length", "1", "--seed", "1").stdout.count("\n") == 2
    )
    record = json.loads(run("sample", "r", "--json", "--seed", "1").stdout)
    assert record["text"].endswith("\n")
    assert len(record["log_probs"]) == len(record["text"])

    each = [
        json.loads(line)
        for line in run("eval", "names.txt", "--per-line", "--json").stdout.splitlines()
    ]
    whole = json.loads(run("eval", "names.txt", "--json").stdout)
    assert whole["examples"] == len(each) == 300
    assert whole["chars"] == Path("names.txt").stat().st_size == whole["bytes"]
    assert whole["nats"] == pytest.approx(sum(line["nats"] for line in each))
    line = next(line for line in each if line["text"] == record["text"][:-1])
    assert line["nats"] == pytest.approx(-record["log_prob"], rel=1e-4)
    by_char = run("eval", "names.txt", "--per-char", "--json").stdout.splitlines()
    nats = [json.loads(char)["nats"] for char in by_char]
    assert sum(nats) == pytest.approx(whole["nats"])
    without = run("eval", "names.txt", "--per-line", "--start", "none", "--json").stdout
    assert json.loads(without.splitlines()[0])["chars"] == each[0]["chars"] - 1

    held = json.loads(run("eval", "--split", "val", "--json").stdout)
    ids, ends = (np.load(f"checkpoints/r/val{part}.npy") for part in ("", "-ends"))
    assert (held["examples"], held["chars"]) == (30, len(ids)) == (len(ends), ends[-1])
    loaded = charrnn.load("r")
    text = loaded.vocabulary.decode(ids)
    Path("val.txt").write_text(text)
    assert json.loads(run("eval", "val.txt", "--json").stdout)["nats"] == held["nats"]
    assert loaded.evaluate(text).nats == pytest.approx(held["nats"], rel=1e-5)
    assert loaded.sample(0, seed=1).endswith("\n")
    assert text.splitlines() != Path("names.txt").read_text().splitlines()[-30:]


@pytest.mark.parametrize(
    "more",
    [
        ("t.csv", "--column", "text"),
        pytest.param(("docs",), marks=pytest.mark.slow),
        pytest.param(("docs", "--join", "#é"), marks=pytest.mark.slow),
    ],
)
def test_documents_have_an_end_that_is_not_printed(more):
    trained(*more, "--examples", "document", steps=400)
    end = "#é" if "--join" in more else "\x03"
    out = run("sample", "r", "--count", "20", "--seed", "1").stdout
    made = out.split("\n---\n")
    assert len(made) == 20
    assert sum(text.endswith("\nis here") for text in made) > 15
    assert not {"\x03", "#"} & set(out)
    record = json.loads(run("sample", "r", "--json", "--seed", "1").stdout)
    assert record["text"].endswith(end)
    streamed = run("sample", "r", "--seed", "1").stdout
    assert streamed == record["text"].removesuffix(end)
    found = json.loads(run("eval", more[0], "--json").stdout)
    assert found["examples"] == 80
    expected = len("".join(path.read_text() for path in Path("docs").iterdir())) + 80 * len(end)
    assert found["chars"] == expected
    assert json.loads(run("eval", "--split", "val", "--json").stdout)["examples"] == 8
    lines = run("eval", more[0], "--per-line", "--json").stdout.splitlines()
    assert end not in "".join(json.loads(line)["text"] for line in lines)


@pytest.mark.parametrize(
    "more",
    [("--examples", "document"), pytest.param(("--join", " | "), marks=pytest.mark.slow)],
)
def test_a_new_line_ends_where_its_document_ends(more):
    """Names are values of a column, and none of them is written again."""
    names = ("anna", "bob\nand carl", "dora")
    Path("n.csv").write_text("id,text\n" + "".join(f'{n},"{names[n % 3]}"\n' for n in range(300)))
    trained("n.csv", "--column", "text", *more)
    until = [] if "--examples" in more else ["--until-join"]
    sample = ("sample", "r", *until, "--count", "40", "--seed", "1")
    copied = {"anna", "bob", "and carl", "dora"}
    plain, new = (
        set(run(*sample, *novel).stdout.splitlines()) - {"---"} for novel in ([], ["--novel"])
    )
    assert copied <= plain
    assert new
    assert not copied & new
    assert "dora" not in run(*sample, "--novel", "--prime", "do", "--temp", "2").stdout.splitlines()
    model = charrnn.load("r")
    told = {"until_join": True, "novel": True, "novel_text": ["anna", "bob\nand carl"]}
    texts = {one.text.removesuffix(" | ").strip("\x03") for one in model.samples(40, 30, **told)}
    assert "dora" in texts
    assert not {"anna", "bob\nand carl"} & texts


@pytest.mark.parametrize("more", [(), pytest.param(("--min-count", "3"), marks=pytest.mark.slow)])
def test_a_list_of_names_says_what_is_not_copied(more):
    """The model knows no newline, which ends the lines of the list all the same."""
    names = ("anna", "bob", "dora")
    Path("n.csv").write_text("id,text\n" + "".join(f"{n},{names[n % 3]}\n" for n in range(300)))
    trained("n.csv", "--column", "text", "--examples", "document", *more)
    Path("names.txt").write_text("anna\nbob\n")
    sample = ("sample", "r", "--count", "40", "--seed", "1", "--novel", "--novel-text", "names.txt")
    told = run(*sample, code=1).stderr
    assert "names.txt has no column 'text'" in told
    assert told.endswith("--column '' reads the whole text\n")
    found = set(run(*sample, "--column", "").stdout.splitlines())
    assert "dora" in found
    assert not {"anna", "bob"} & found
    given = {"novel": True, "novel_text": "anna\nbob\n", "novel_span": 3}
    texts = {one.text.strip("\x03") for one in charrnn.load("r").samples(40, 30, **given)}
    assert "dora" in texts
    assert not [text for text in texts if "anna" in text]


@pytest.mark.parametrize("examples", ["line", pytest.param("document", marks=pytest.mark.slow)])
def test_a_run_goes_on_as_if_it_had_never_stopped(examples):
    text = "names.txt" if examples == "line" else "docs"
    often = ("--save-every", "5", "--eval-every", "10", "--log-every", "1", "--horizon", "40")
    options = (text, "--examples", examples, *often, "--seed", "7", "--dropout", "0.2")
    trained(*options, steps=40, name="whole")
    trained(*options, steps=13, name="parts")
    for steps in (14, 29, 40):
        run("train", "--resume", "parts", "--steps", str(steps), "--quiet", "--backend", "numpy")

    def lines(name):
        found = Path(f"checkpoints/{name}/metrics.jsonl").read_text().splitlines()
        kept = [json.loads(line) for line in found]
        return [
            (
                line["event"],
                line["step"],
                line.get("loss"),
                line.get("grad_norm"),
                line.get("val_loss"),
            )
            for line in kept
            if line["event"] == "step" or (line["event"] == "eval" and line["step"] % 10 == 0)
        ]

    assert lines("parts") == lines("whole")
    refused = run(
        "train", "--resume", "parts", "--hold-out", "tail", "--steps", "50", code=2
    ).stderr
    assert "--hold-out tail conflicts with the checkpoint" in refused
    trained(text, "--examples", examples, "--init-from", "whole", steps=2, name="tuned")
    shutil.rmtree("checkpoints/tuned")
    trained("names.txt", "--init-from", "whole", steps=2, name="tuned")
    planned = json.loads(run("train", *options, *SMALL[:-1], "--dry-run", "--json").stdout)
    assert planned["parameters"] == json.loads(run("info", "whole", "--json").stdout)["parameters"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            ("--examples", "line", "--state", "reset"),
            "--state reset forgets the beginning of a long",
        ),
        (
            ("--examples", "line", "--restart", "0.1"),
            "--restart has no effect with --examples, where",
        ),
        (("--examples", "line", "--join", "x"), "--join stands between texts, but with --examples"),
        (("--examples", "line", "--hold-out", "blocks"), "--hold-out blocks cuts examples, but"),
        (("--examples", "document", "--column", "t", "--seq-len", "1"), "t.csv has no column 't'"),
        (
            ("--examples", "line", "--seq-len", "1"),
            "--seq-len must be at least 2 for examples, not 1",
        ),
        (("--examples", "word"), "--examples 'word' is invalid; choose one of line, document"),
    ],
)
def test_what_makes_no_sense_is_refused(options, says):
    done = inside("train", "t.csv", *options)
    assert done.returncode in (1, 2)
    assert says in done.stderr


def test_one_document_is_too_few():
    done = run("train", "names.txt", "--examples", "document", code=1)
    assert "the text has 1 document, too few to hold some out" in done.stderr
    assert done.stderr.endswith("use a text with more documents, or --val-frac 0\n")
    Path("one.txt").write_text("a text of a single line " * 40)
    done = run("train", "one.txt", "--hold-out", "examples", code=1)
    assert done.stderr.endswith(
        "1 line, too few to hold some out; set --hold-out to blocks or tail\n"
    )
    run("train", "one.txt", "--hold-out", "blocks", "--steps", "1", *SMALL)


def test_the_lines_of_held_out_documents_are_those_of_their_text():
    for text, name in ((("t.csv", "--column", "text"), "table"), (("docs",), "files")):
        trained(*text, "--examples", "document", "--val-frac", "0.5", steps=2, name=name)
        lines = [
            [line["text"] for line in map(json.loads, done.stdout.splitlines())]
            for done in (
                run("eval", "--split", "val", "--run", name, "--per-line", "--json"),
                run("eval", text[0], "--run", name, "--per-line", "--json"),
            )
        ]
        assert len(lines[0]) == 2 * 40
        if name == "table":  # between whole files stands nothing
            assert set(lines[0]) <= set(lines[1])


@pytest.mark.parametrize("join", [["--join", "\\n"], []])
def test_an_end_that_stands_inside_documents_is_said(join):
    if not join:
        for path in Path("docs").iterdir():
            path.write_text("one\x03two\x03three")
    text = ("t.csv", "--column", "text") if join else ("docs",)
    small = (*SMALL, "--examples", "document", "--steps", "1")
    done = run("train", *text, *join, *small)
    end, times = (r"'\n'", 80) if join else (r"'\x03'", 160)
    assert (
        f"the end of a document, {end}, also stands inside of documents, {times} tim" in done.stderr
    )
    refused = run("sample", "--until-join", code=2)
    assert "--until-join has no effect" in refused.stderr
    again = run("train", "t.csv", "--column", "text", "--join", "§", *small)
    assert "inside of documents" not in again.stderr


def test_held_out_examples_that_were_damaged():
    trained("names.txt", "--examples", "line", steps=1)
    path = Path("checkpoints/r/val-ends.npy")
    ends = np.load(path)
    for wrong in (ends[:-1], ends[::-1], np.zeros(0, np.uint64)):
        np.save(path, wrong)
        assert "val-ends.npy does not" in run("eval", "--split", "val", code=1).stderr
    path.unlink()
    assert "does not hold where examples end" in run("eval", "--split", "val", code=1).stderr
