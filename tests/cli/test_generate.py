"""Generators on the command line and in Python: train, sample, eval, and what does not apply."""

import json

import pytest
from helpers.commands import charrnn, inside, start

import charrnn as package
from charrnn.text.layout import END

ROWS = [("cat", "miau"), ("dog", "wow wow"), ("cat", "mrr mrr"), ("dog", "grr")]
TRAIN = (
    *("--task", "generate", "--hidden", "16", "--steps", "150", "--lr", "0.05", "--batch", "8"),
    *("--dropout", "0", "--backend", "numpy"),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a table, a text, a generator ``pets`` and a language model ``lm``."""
    where = tmp_path_factory.mktemp("generate")
    (where / "pets.tsv").write_text("".join(f"{l}\t{t}\n" for l, t in ROWS * 10))
    (where / "t.txt").write_text("the cat sat on the mat\n" * 9)
    (where / "c.csv").write_text('kind,cry\ncat,"miau\nmiau"\ndog,"wow\nwow"\n' * 20)
    small = ("--hidden", "4", "--steps", "3", "--batch", "2", "--seq-len", "4", "--name", "lm")
    table = ("train", "pets.tsv", "--name", "pets", *TRAIN)
    columns = ("--column", "cry", "--label-column", "kind", "--name", "columns")
    for line in (("train", "t.txt", *small), table, ("train", "c.csv", *columns, *TRAIN)):
        done = inside(*line, cwd=where)
        assert done.returncode == 0, done.stderr
    return where


def test_training_reports_examples_and_labels_and_what_comes_next(place):
    done = inside("train", "pets.tsv", "--name", "more", *TRAIN, cwd=place)
    assert "characters in 36 examples to train on" in done.stderr
    assert "2 labels; " in done.stderr
    next_ = "to write texts: charrnn sample --label NAME checkpoints/more\n"
    assert done.stderr.endswith(next_)


def test_a_sample_is_a_text_of_the_label_on_a_line(place):
    texts = {label: {text for name, text in ROWS if name == label} for label in ("cat", "dog")}
    for label, known in texts.items():
        words = ("sample", "pets", "--label", label, "--seed", "1")
        one = inside(*words, cwd=place)
        assert one.stdout.removesuffix("\n") in known
        many = inside(*words, "--count", "9", cwd=place).stdout
        lines = many.splitlines()
        assert many.endswith("\n")
        assert lines[0] + "\n" == one.stdout
        assert len(lines) == 9
        assert set(lines) <= known
        records = inside(*words, "--count", "9", "--json", cwd=place).stdout.splitlines()
        for record, line in zip(map(json.loads, records), lines, strict=True):
            assert (record["text"], record["label"]) == (line, label)
            assert len(record["log_probs"]) == len(line) + 1
    primed = inside("sample", "pets", "--label", "dog", "--prime", "gr", "--temp", "0", cwd=place)
    assert primed.stdout == "grr\n"
    best = inside("sample", "pets", "--label", "cat", "--beam", "4", "--count", "2", cwd=place)
    assert set(best.stdout.splitlines()) == texts["cat"]
    endless = ("--temp", "0", "--length", "0")
    for more in (("--count", "2"), ("--json",)):
        done = inside("sample", "pets", "--label", "cat", *endless, *more, cwd=place)
        assert done.returncode == 0, done.stderr
    shown = inside("sample", "pets", "--label", "cat", "--next", "2", cwd=place).stdout
    assert shown.startswith("'m'\t")


def test_texts_with_newlines_are_separated(place):
    done = inside("sample", "columns", "--label", "dog", "--count", "2", "--seed", "3", cwd=place)
    assert done.stdout == "wow\nwow\n---\nwow\nwow"


def test_a_text_that_was_trained_on_is_not_copied(place):
    words = ("sample", "pets", "--label", "cat", "--temp", "1.5", "--count", "30", "--seed", "2")
    known = {text for _, text in ROWS}
    assert known & set(inside(*words, cwd=place).stdout.splitlines())
    assert not known & set(inside(*words, "--novel", cwd=place).stdout.splitlines())


def test_eval_has_what_a_text_has_and_each_label(place):
    done = inside("eval", "pets.tsv", "--run", "pets", "--json", cwd=place)
    record = json.loads(done.stdout)
    chars = 10 * sum(len(text) + 1 for _, text in ROWS)
    assert (record["examples"], record["chars"], record["bytes"]) == (40, chars, chars)
    assert record["nats_per_char"] == pytest.approx(record["nats"] / chars)
    assert 0.1 < record["nats_per_char"] < 0.4  # ln 2 for each text of about 6 symbols
    assert record["perplexity"] == pytest.approx(2.718281828 ** record["nats_per_char"])
    cat = record["labels"]["cat"]
    assert (cat["examples"], cat["chars"]) == (20, 10 * (5 + 8))
    assert (record["source"], record["split"], record["skipped"]) == (["pets.tsv"], None, 0)
    own = ("labels", "passed_over")
    of_text = json.loads(inside("eval", "t.txt", "--run", "lm", "--json", cwd=place).stdout)
    assert set(of_text) == set(record) - set(own)
    shown = inside("eval", "--split", "val", "--run", "pets", cwd=place).stdout
    assert shown.startswith("4 examples: ")
    assert "label  nats per character  characters  examples\n" in shown
    (place / "odd.tsv").write_text("cat\tmiaX\nno tab\n")
    done = inside("eval", "odd.tsv", "--run", "pets", "--errors", "skip", "--json", cwd=place)
    record = json.loads(done.stdout)
    assert (record["chars"], record["skipped"], record["passed_over"]) == (4, 1, 1)
    assert "1 symbol that the model does not know was skipped" in done.stderr


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("train pets.tsv --task generate --seq-len 3", "--seq-len only applies to --task lm"),
        ("train pets.tsv --task generate --examples line", "--examples only applies to --task lm"),
        ("train pets.tsv --task generate --state reset", "--state only applies to --task lm"),
        ("train pets.tsv --task generate --pool max", "--pool only applies to --task classify"),
        ("train pets.tsv --task generate --bidirectional", "--bidirectional lets a network see"),
        ("train c.csv --task generate --column cry", "--column needs --label-column"),
        ("train t.txt --task generate", "t.txt line 1 has no tab between a label and a text"),
        ("train --resume pets --task lm", "--task lm conflicts with the checkpoint"),
        ("train t.txt --init-from pets --task lm", "pets is a generator, not a language model"),
        ("sample pets", "pets writes texts that have a label; give --label one of 'cat', 'dog'"),
        ("sample pets --label Dogs", "pets has no label 'Dogs'; near it: 'dog'"),
        ("sample pets --label xyz", "pets has no label 'xyz'; its labels: 'cat', 'dog'"),
        ("sample lm --label dog", "--label only applies to a generator, which"),
        ("predict pets t.txt", "pets is a generator, which labels nothing; it writes the texts"),
        ("eval pets.tsv --run pets --per-line", "--per-line only applies to a language model"),
        ("eval pets.tsv --run pets --beam 2", "--beam only applies to a transducer"),
    ],
)
def test_what_does_not_apply_is_one_line(line, problem, place):
    done = inside(*line.split(), cwd=place)
    assert done.returncode in (1, 2)
    assert done.stderr.count("\n") == 1
    assert problem in done.stderr


def test_a_label_of_a_later_file_that_is_unknown_is_named(place):
    (place / "new.tsv").write_text("cat\tmiau\ncow\tmuh\n")
    done = inside("eval", "new.tsv", "--run", "pets", cwd=place)
    assert done.returncode == 1
    assert "new.tsv line 2 has the label 'cow', which is unknown; known: cat, dog" in done.stderr


def test_info_and_runs_know_the_task(place):
    record = json.loads(inside("info", "pets", "--json", cwd=place).stdout)
    assert (record["task"], record["labels"], record["pool"]) == ("generate", ["cat", "dog"], None)
    assert "generate lstm 1×16" in inside("runs", cwd=place).stdout
    assert "task             generate" in inside("info", "pets", cwd=place).stdout


def test_a_dry_run_makes_nothing(place):
    done = inside("train", "pets.tsv", "--name", "dry", "--dry-run", "--json", *TRAIN, cwd=place)
    assert json.loads(done.stdout)["steps_per_epoch"] == 5
    assert not (place / "checkpoints/dry").exists()


def test_python_has_the_same(place, monkeypatch):
    monkeypatch.chdir(place)
    pairs = [(text, label) for label, text in ROWS * 10]
    options = {"hidden": 16, "steps": 150, "lr": 0.05, "batch": 8, "dropout": 0.0}
    model = package.fit(pairs, task="generate", **options, backend="numpy")
    assert isinstance(model, package.Generator)
    assert model.sample(label="dog", seed=1) in {"wow wow", "grr"}
    assert {one.text for one in model.samples(5, label="cat")} <= {"miau", "mrr mrr"}
    assert model.given("dog").sample(prime="w", temperature=0) == "ow wow"
    with pytest.raises(package.CharRNNError, match="the model has no label 'do'; near it: 'dog'"):
        model.sample(label="do")
    model.save("made.safetensors")
    again = package.load("made.safetensors", backend="numpy")
    assert repr(again) == repr(model)
    assert again.evaluate(pairs) == model.evaluate(pairs)
    run = package.load("pets", backend="numpy")
    record = json.loads(inside("eval", "pets.tsv", "--run", "pets", "--json", cwd=place).stdout)
    assert run.evaluate(pairs).nats_per_char == pytest.approx(record["nats_per_char"], rel=1e-5)
    shown = inside("sample", "pets", "--label", "cat", "--seed", "4", cwd=place).stdout
    assert run.sample(label="cat", seed=4) + "\n" == shown
    assert END not in shown
    with pytest.raises(package.CharRNNError, match="examples only applies to task lm"):
        package.fit(pairs, task="generate", examples="line")


@pytest.mark.slow
def test_a_killed_run_is_resumed_exactly(place):
    options = ("pets.tsv", *TRAIN, "--save-every", "3", "--log-every", "1", "--steps", "60")
    assert charrnn("train", *options, "--name", "whole", cwd=place).returncode == 0
    process = start("train", *options, "--name", "killed", "--json", cwd=place)
    for line in process.stdout:
        if json.loads(line).get("step", 0) >= 20:
            process.kill()
            break
    process.communicate()
    assert charrnn("train", "--resume", "killed", cwd=place).returncode == 0
    digests = [
        json.loads(charrnn("info", name, "--json", cwd=place).stdout)["weights_sha256"]
        for name in ("whole", "killed")
    ]
    assert digests[0] == digests[1]
