"""Classifiers on the command line: train, predict, eval, info, and what does not apply to them."""

import json
import shlex
import subprocess
from types import SimpleNamespace

import pytest
from helpers.classifiers import classifying, write_table
from helpers.commands import charrnn, inside, start

import charrnn as package
from charrnn.report.training import conclusion
from charrnn.train.opening.request import Request
from charrnn.train.records import End

ROWS = [
    ("cat", "the cat sat"),
    ("dog", "A dog ate it!"),
    ("cat", "a cat, the cat"),
    ("dog", "dog!"),
]
TRAIN = classifying(steps=40)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a table, a text, a classifier ``pets`` and a language model ``lm``."""
    where = tmp_path_factory.mktemp("classify")
    write_table(where / "pets.tsv", ROWS)
    (where / "t.txt").write_text("the cat sat on the mat\n" * 9)
    (where / "lines.txt").write_text("the cat\n\ndog!\n")
    small = ("--hidden", "4", "--steps", "3", "--batch", "2", "--seq-len", "4", "--name", "lm")
    for line in (("train", "t.txt", *small), ("train", "pets.tsv", "--name", "pets", *TRAIN)):
        done = inside(*line, cwd=where)
        assert done.returncode == 0, done.stderr
    return where


def test_training_reports_examples_labels_and_accuracy(place):
    done = inside("train", "pets.tsv", "--name", "more", *TRAIN, cwd=place)
    assert "characters in 36 examples to train on" in done.stderr
    assert "2 labels; " in done.stderr
    assert ", accuracy " in done.stderr
    assert done.stderr.endswith("to label texts: charrnn predict checkpoints/more\n")


def test_a_line_comes_out_for_a_line_that_goes_in(place):
    done = inside("predict", "pets", "lines.txt", cwd=place)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert [line[0] for line in lines][::2] == ["cat", "dog"]
    assert len(lines) == 3
    assert all(0.5 <= float(p) <= 1 for _, p in lines)
    two = inside("predict", "pets", "lines.txt", "-k", "2", cwd=place).stdout.splitlines()
    assert [len(line.split("\t")) for line in two] == [4, 4, 4]
    records = inside("predict", "pets", "lines.txt", "--json", cwd=place).stdout.splitlines()
    for record, line in zip(map(json.loads, records), lines, strict=True):
        assert record["label"] == line[0]
        assert f"{record['p']:.4f}" == line[1]
        assert sum(record["labels"].values()) == pytest.approx(1)
        assert next(iter(record["labels"])) == record["label"]


def test_lines_are_labelled_as_they_arrive(place):
    process = start("predict", "pets", cwd=place, stdin=subprocess.PIPE)
    with process:
        for text, label in (("the cat", "cat"), ("A dog", "dog")):
            process.stdin.write(text + "\n")
            process.stdin.flush()
            assert process.stdout.readline().startswith(label + "\t")
        process.stdin.close()
        assert process.stdout.read() == ""
    assert process.returncode == 0


def test_a_file_that_is_no_run_is_told_with_the_right_command(place):
    done = inside("predict", "lines.txt", cwd=place)
    assert done.returncode == 2
    assert "lines.txt is a file, not a run; to label its lines: charrnn predict " in done.stderr
    given = ("-k", "2", "--json", "--encoding", "latin-1")
    for path in (place / "checkpoints/lm").iterdir():
        path.touch()  # the newest run labels nothing
    done = inside("predict", *given, "lines.txt", cwd=place)
    command = done.stderr.strip().partition("to label its lines: charrnn ")[2].split()
    assert command == ["predict", *given, command[-2], "lines.txt"]
    assert inside(*command, cwd=place).returncode == 0
    done = inside("predict", "lm", "lines.txt", cwd=place)
    assert done.returncode == 1
    assert "is a language model, which labels nothing" in done.stderr


def test_unknown_symbols_are_left_out_with_a_note(place):
    (place / "odd.txt").write_text("the Ünknown cat\n")
    done = inside("predict", "pets", "odd.txt", cwd=place)
    assert done.stdout.startswith("cat\t")
    assert done.stderr == "charrnn: note: left out 6 symbols that the model does not know\n"


def test_eval_counts_unknown_symbols(place):
    (place / "odd.tsv").write_text("cat\tthe Ünknown cat\n")
    for more in ((), ("--json",)):
        done = inside("eval", "odd.tsv", "--run", "pets", *more, cwd=place)
        assert done.stderr == "charrnn: note: 6 symbols that the model does not know were skipped\n"
    assert json.loads(done.stdout)["left_out"] == 6


def test_eval_gives_the_figures_of_each_label(place):
    done = inside("eval", "pets.tsv", "--run", "pets", "--json", cwd=place)
    record = json.loads(done.stdout)
    assert record["examples"] == 40
    assert record["accuracy"] == 1.0
    assert record["labels"]["dog"] == {"precision": 1, "recall": 1, "f1": 1, "support": 20}
    assert record["confusion"] == [[20, 0], [0, 20]]
    assert record["left_out"] == 0
    assert (record["source"], record["split"], record["skipped"]) == (["pets.tsv"], None, 0)
    shown = inside("eval", "--split", "val", "--run", "pets", cwd=place).stdout
    assert shown.startswith("4 examples: accuracy 1.0000, macro F1 1.0000, ")
    assert "right \\ given  cat  dog\n" in shown


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("train pets.tsv --task classify --seq-len 3", "--seq-len only applies to --task lm"),
        ("train pets.tsv --task classify --examples line", "--examples only applies to --task lm"),
        ("train t.txt --pool max", "--pool only applies to --task classify"),
        ("train t.txt --max-length 3", "--max-length only applies to --task classify"),
        (
            "train t.txt --bidirectional",
            "--bidirectional lets a network see what",
        ),
        ("train t.txt --errors skip", "--errors skip passes over examples, but --task lm reads"),
        ("train t.txt --task classify --column a", "--column needs --label-column"),
        ("train t.txt --task classify --label-field a", "--label-field needs --field"),
        ("train --resume pets --task lm", "--task lm conflicts with the checkpoint"),
        ("sample pets", "pets is a classifier, not a language model; see charrnn predict"),
        ("eval pets.tsv --run pets --per-line", "--per-line only applies to a language model"),
        ("eval t.txt --run lm --label-column a", "--label-column only applies to a classifier"),
        ("eval pets.tsv --run pets --label-column a", "--label-column needs --column"),
        ("diagnose pets --corpus pets.tsv --field a", "--field needs --label-field"),
        ("train t.txt --init-from pets --task lm", "pets is a classifier, not a language model"),
    ],
)
def test_what_does_not_apply_is_one_line(line, problem, place):
    done = inside(*line.split(), cwd=place)
    assert done.returncode in (1, 2)
    assert done.stderr.count("\n") == 1
    assert problem in done.stderr


def test_info_and_runs_know_the_task(place):
    record = json.loads(inside("info", "pets", "--json", cwd=place).stdout)
    assert (record["task"], record["labels"], record["pool"]) == (
        "classify",
        ["cat", "dog"],
        "mean",
    )
    assert "classify lstm 1×8" in inside("runs", cwd=place).stdout
    assert "task             classify" in inside("info", "pets", cwd=place).stdout


def test_the_task_has_defaults_of_its_own(place):
    words = ("train", "pets.tsv", "--task", "classify", "--steps", "1", "--level", "word")
    done = inside(*words, "--name", "words", "--backend", "numpy", cwd=place)
    assert done.returncode == 0, done.stderr
    record = json.loads(inside("info", "words", "--json", cwd=place).stdout)
    found = [record[name] for name in ("hidden", "batch", "dropout", "eval_every", "min_count")]
    assert found == [128, 64, 0.5, 100, 2]
    assert (record["embed"], record["hide_symbols"], record["bidirectional"]) == (64, 0.2, True)
    assert (record["steps"], record["epochs"], record["ngrams"]) == (1, None, 0)
    shown = inside("train", "--help", cwd=place).stdout.replace("\n", " ")
    assert "512; 128 with --task classify" in " ".join(shown.split())
    pairs = [(text, label) for label, text in ROWS * 3]
    fast = {"task": "classify", "level": "word", "steps": 1, "backend": "numpy"}
    assert package.fit(pairs, **fast).data.min_count == 2


def test_a_run_ends_after_so_many_epochs_unless_its_steps_are_given():
    assert Request(model={"task": "classify"}).fresh_train("classify").epochs == 20
    for given, epochs in (({"minutes": 5.0}, 20), ({"steps": 9}, None), ({"epochs": 3.0}, 3)):
        assert Request(train=given).fresh_train("classify").epochs == epochs
    assert Request(train={"minutes": 5.0}).fresh_train("lm").epochs is None


@pytest.mark.parametrize("task", ["classify", "transduce"])
def test_a_network_reads_in_both_directions_unless_that_is_switched_off(task, place):
    words = ("train", "pets.tsv", "--task", task, "--steps", "1", "--hidden", "4")
    for name, more, both in (("two", (), True), ("one-way", ("--no-bidirectional",), False)):
        done = inside(*words, *more, "--name", f"{task}-{name}", cwd=place)
        assert done.returncode == 0, done.stderr
        record = json.loads(inside("info", f"{task}-{name}", "--json", cwd=place).stdout)
        assert record["bidirectional"] is both
    done = inside("train", "t.txt", "--no-bidirectional", cwd=place)
    assert done.returncode == 2
    assert "--no-bidirectional only applies to --task classify, tag or transduce" in done.stderr


def test_a_classifier_no_better_than_a_guess_is_told_what_applies_to_it():
    losses = {"val_loss": 0.7, "best_val_loss": 0.7, "guess_loss": 0.69}
    end = End(1, "steps", 0, seconds=1.0, run="r", no_better_than="unigram", **losses)
    told = conclusion(
        end, SimpleNamespace(labels=2, settings={"task": "classify"}, plan=None)
    ).splitlines()
    assert told[1:] == [
        "the model is no better than a guess by the frequencies of the labels (0.6900 nats): train "
        "for longer or with another --lr",
        "to label texts: charrnn predict r",
    ]


def test_a_dry_run_makes_nothing(place):
    done = inside("train", "pets.tsv", "--name", "dry", "--dry-run", "--json", *TRAIN, cwd=place)
    record = json.loads(done.stdout)
    assert record["steps_per_epoch"] == 1
    assert record["chars_per_second"] > 0
    assert not (place / "checkpoints/dry").exists()


def test_python_has_the_same(place, monkeypatch):
    monkeypatch.chdir(place)
    pairs = [(text, label) for label, text in ROWS * 10]
    model = package.fit(pairs, task="classify", hidden=8, steps=40, lr=0.05, backend="numpy")
    assert [one.label for one in model.predict(["the cat", "dog!"])] == ["cat", "dog"]
    assert model.evaluate(pairs).accuracy == 1.0
    with pytest.raises(package.CharRNNError, match="is a folder; name a file in it"):
        model.save(".")
    model.save("made.safetensors")
    again = package.load("made.safetensors", backend="numpy")
    assert again.predict(["the cat"]) == model.predict(["the cat"])
    assert repr(again) == repr(model)
    one = package.load("pets", backend="numpy").predict(["the cat"])[0]
    shown = inside("predict", "pets", "lines.txt", cwd=place).stdout.splitlines()[0]
    assert shown == f"{one.label}\t{one.p:.4f}"
    for bad, problem in (
        ("abc", "list of .text, label. pairs, not a string"),
        ([("a", 3)], "pair 0 must be a text and its label"),
        ([("a", "x")] * 3, "fewer than two labels"),
    ):
        with pytest.raises(package.CharRNNError, match=problem):
            package.fit(bad, task="classify")


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


def test_eval_writes_a_page_and_a_drawing(place, tmp_path):
    pytest.importorskip("matplotlib")
    page, drawing = tmp_path / "page.html", tmp_path / "drawing.svg"
    options = ["eval", "pets.tsv", "--run", "pets", "--json"]
    plain = inside(*options, cwd=place)
    done = inside(*options, "--html", str(page), "--plot", str(drawing), cwd=place)
    assert done.returncode == 0, done.stderr
    assert done.stdout == plain.stdout
    assert "pets.tsv" in page.read_text("utf-8")
    assert drawing.read_bytes().startswith(b"<?xml")
    for wrong in ("--html", "--plot"):
        done = inside(*options, wrong, str(tmp_path / "x.txt"), cwd=place)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    done = inside("eval", "pets.tsv", "--run", "lm", "--html", str(page), cwd=place)
    assert done.returncode == 2
    assert "--html only applies to a classifier, a tagger or a transducer" in done.stderr


def test_more_labels_than_there_are_and_an_empty_name_are_told(place):
    done = inside("predict", "pets", "lines.txt", "-k", "9", cwd=place)
    number = len(done.stdout.splitlines()[0].split("\t")) // 2
    told = f"-k 9 has no effect: the model has {number} labels"
    assert (done.returncode, done.stderr) == (0, f"charrnn: note: {told}\n")
    for name in ("--column", "--field"):
        done = inside("predict", "pets", "lines.txt", name, "", cwd=place)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"{name} is empty; name one, or leave it out" in done.stderr


def test_the_training_loss_is_that_of_the_network_alone(place):
    ends = {}
    for share in ("0", "0.9"):
        line = ("train", "pets.tsv", "--name", f"share-{share}", "--counts", share, *TRAIN)
        done = inside(*line, "--json", cwd=place)
        ends[share] = json.loads(done.stdout.splitlines()[-1])
        told = inside("info", f"share-{share}", cwd=place).stdout
        assert (" of the network alone, validation loss " in told) == (share != "0")
    assert ends["0"]["train_loss"] == ends["0.9"]["train_loss"]
    assert ends["0"]["val_loss"] != ends["0.9"]["val_loss"]


@pytest.mark.parametrize("given", ["--ngrams 2", "--counts 0.3", "--writer 4"])
def test_ngrams_and_counts_of_a_run_change_only_in_a_new_one(place, given):
    name, value = given.split()
    refused = inside("train", "--resume", "pets", *given.split(), cwd=place)
    assert refused.returncode == 2
    assert f"{given} conflicts with the checkpoint" in refused.stderr
    command = shlex.split(refused.stderr.partition("from its weights: charrnn ")[2])
    assert "--init-from" in command
    done = inside(*command, "--steps", "1", "--name", f"new{name}", cwd=place)
    assert done.returncode == 0, done.stderr
    of_new = json.loads(inside("info", f"new{name}", "--json", cwd=place).stdout)
    assert of_new[name.removeprefix("--")] == float(value)
    other = inside("train", "--resume", "lm", *given.split(), cwd=place)
    assert other.returncode == 2
    assert other.stderr.endswith("; leave it out\n")


@pytest.mark.parametrize("given", ["--ngrams 2", "--counts 0.3", "--writer 4"])
@pytest.mark.parametrize("task", ["lm", "tag", "generate", "transduce"])
def test_ngrams_and_counts_are_for_classifiers(place, given, task):
    start_from = ("--init-from", "lm") if task == "lm" else ()
    done = inside("train", "pets.tsv", "--task", task, *start_from, *given.split(), cwd=place)
    assert done.returncode == 2
    only = f"charrnn: error: {given.split()[0]} only applies to --task classify; leave it out\n"
    assert done.stderr == only


@pytest.mark.parametrize(
    ("source", "given", "ngrams", "counts"),
    [
        ("pets", "", 4, None),
        ("pets", "--ngrams 0 --counts 0", 0, 0.0),
        ("lm", "", 4, None),
        ("lm", "--ngrams 2 --counts 0.25", 2, 0.25),
    ],
)
def test_a_classifier_from_other_weights_has_the_ngrams_and_counts_it_was_given(
    place, source, given, ngrams, counts
):
    name = f"from-{source}{len(given)}"
    line = ("train", "pets.tsv", "--task", "classify", "--init-from", source, "--name", name)
    done = inside(*line, "--steps", "1", "--backend", "numpy", *given.split(), cwd=place)
    assert done.returncode == 0, done.stderr
    model = json.loads(inside("info", name, "--json", cwd=place).stdout)
    own = json.loads(inside("info", "pets", "--json", cwd=place).stdout)
    assert model["ngrams"] == ngrams
    assert model["counts"] == (own["counts"] if counts is None else counts)
