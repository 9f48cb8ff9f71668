"""A run of a column or a field reads every text that goes with it in the same way."""

import json
from pathlib import Path

import pytest
from helpers.commands import inside

import charrnn

SMALL = ("--hidden", "4", "--batch", "4", "--seq-len", "8", "--backend", "numpy", "--quiet")
QUICK = ("--windows", "2", "--anchors", "4", "--targets", "4", "--lyapunov-steps", "20")
VALUES = [f"Line {n} of the text, and more." for n in range(60)]


@pytest.fixture
def texts(home, cache_folder):
    Path("t.csv").write_text("id,text\n" + "".join(f'{n},"{v}"\n' for n, v in enumerate(VALUES)))
    Path("t.jsonl").write_text("".join(json.dumps({"a": {"b": v}}) + "\n" for v in VALUES))
    Path("plain.txt").write_text("".join(v + "\n" for v in VALUES))


def run(*arguments, code=0):
    done = inside(*arguments)
    assert done.returncode == code, done.stderr
    return done


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("t.jsonl", ("--field", "a.b")),
        pytest.param("t.csv", ("--column", "text"), marks=pytest.mark.slow),
    ],
)
def test_a_run_of_values_is_read_everywhere_as_it_was_trained(texts, name, option):
    run("train", name, *option, "--steps", "3", "--name", "r", *SMALL)
    run("train", "plain.txt", "--steps", "3", "--name", "p", *SMALL)
    scores = [
        json.loads(run("eval", *what, "--json").stdout)["nats"]
        for what in (
            (name, "--run", "r"),
            (name, *option, "--run", "p"),
            ("plain.txt", "--run", "r", option[0], ""),
            ("plain.txt", "--run", "p"),
        )
    ]
    assert len(set(scores)) == 1
    held_out = [run("eval", "--split", "val", "--run", r, "--json").stdout for r in "rp"]
    assert json.loads(held_out[0])["nats"] == json.loads(held_out[1])["nats"]
    run("diagnose", "r", "--corpus", name, "--json", *QUICK)
    failed = run("eval", "plain.txt", "--run", "r", code=1).stderr
    assert f"{option[0]} '' reads the whole text" in failed
    run("train", name, "--resume", "r", "--steps", "5", "--quiet", "--backend", "numpy")
    refused = run("train", name, "--resume", "r", option[0], "id", "--steps", "6", code=2).stderr
    assert f"{option[0]} id conflicts with the checkpoint" in refused
    assert f"{option[0]} {option[1]}" in run("info", "r").stdout
    assert json.loads(run("info", "r", "--json").stdout)[option[0][2:]] == option[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("train", "t.csv", "--column", "a", "--field", "b"), "--column and --field exclude each"),
        (("train", "t.csv", "--column", ""), "--column is empty"),
        (("train", "t.csv", "--join", "x"), "--join stands between files, but "),
        (("train", "t.csv", "--column", "x" * 1001), "--column has more than 1,000 characters"),
        (
            ("corpus", "info", "hello", "--column", "a"),
            "--column only applies to texts, but hello is a",
        ),
        (("diagnose", "--fresh", "--column", "a"), "--column only applies to a text that is given"),
        (
            ("diagnose", "--history", "--corpus", "t.csv", "--join", "a"),
            "--join only applies to an exam",
        ),
        (
            ("eval", "--split", "val", "--field", "a"),
            "--field only applies to a text, not to --split",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(texts, arguments, says):
    assert says in run(*arguments, code=2).stderr


@pytest.mark.parametrize(
    "typed", [r"\n--\t\\\x21", pytest.param("\n--\t\\!", marks=pytest.mark.slow)]
)
def test_a_join_is_kept_and_can_be_typed(texts, typed):
    both = ("plain.txt", "t.csv")
    run("train", *both, "--join", typed, "--steps", "1", "--name", "j", *SMALL)
    assert json.loads(run("info", "j", "--json").stdout)["join"] == "\n--\t\\!"
    assert r"--join '\n--\t\\!'" in run("info", "j").stdout
    assert run("train", *both, "--resume", "j", "--join", "x", code=2)
    run("train", *both, "--resume", "j", "--join", typed, "--steps", "2", "--quiet")
    known = json.loads(run("eval", *both, "--run", "j", "--json").stdout)
    given = run("eval", *both, "--run", "j", "--join", typed, "--json").stdout
    assert known == json.loads(given)
    assert known["chars"] == sum(Path(name).stat().st_size for name in both) + 6 - 1


@pytest.mark.parametrize("level", ["char", pytest.param("byte", marks=pytest.mark.slow)])
def test_a_sample_begins_after_the_join_and_ends_before_it(texts, level):
    Path("docs").mkdir()
    for n in range(30):
        Path(f"docs/{n:02}").write_text(f"ab{'c' * (n % 3)}d")
    more = ("--join", r"<\n>", "--level", level, "--name", "j", "--sample-every", "20")
    run("train", "docs", *more, "--steps", "150", "--lr", "0.03", *SMALL[:1], "24", *SMALL[2:])
    sample = ("sample", "j", "--temp", "0", "--backend", "numpy", "--seed", "1")
    one = run(*sample, "--length", "0", "--until-join").stdout
    assert one in ("abd", "abcd", "abccd")
    assert run(*sample, "--length", "9").stdout == f"{one}<\n>ab"[:9]
    record = json.loads(run(*sample, "--length", "0", "--until-join", "--json").stdout)
    text = record["text"] if level == "char" else bytes(record["text"]).decode()
    assert text == f"{one}<\n>"
    assert len(record["log_probs"]) == len(text)
    two = run(*sample, "--length", "0", "--until-join", "--count", "2").stdout
    assert two == f"{one}\n---\n{one}"
    model = charrnn.load("j", backend="numpy")
    model.save("saved.safetensors")
    for each in (model, charrnn.load("saved.safetensors", backend="numpy")):
        made = each.sample(0, temperature=0, until_join=True)
        assert made == (one if level == "char" else one.encode())
    refused = run("train", "docs", "--resume", "saved.safetensors", code=2).stderr
    assert "was not written by training" in refused


def test_until_join_needs_a_join(texts):
    run("train", "plain.txt", "--steps", "1", "--name", "p", *SMALL)
    refused = run("sample", "p", "--until-join", code=2).stderr
    assert "trained with --join; give --until, the text that ends a sample" in refused
    assert "--next draws no" in run("sample", "p", "--until-join", "--next", "3", code=2).stderr
