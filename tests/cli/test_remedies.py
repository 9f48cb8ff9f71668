"""What a message advises can be done: the options and commands that it names exist there."""

import io
import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from helpers.command_tree import commands, options
from helpers.commands import inside
from helpers.messages import NAMED, messages

import charrnn

PACKAGE = Path(charrnn.__file__).parent

TEXTS = ("train", "eval", "diagnose", "corpus info")
READERS = (*TEXTS, "sample")
COMPUTING = ("train", "sample", "eval", "bench")

PRINTED_BY = {
    "api/drawing.py": ("sample",),
    "architecture.py": ("train",),
    "backend/gpu/nccl.py": ("train",),
    "backend/gpu/open.py": COMPUTING,
    "backend/native/library.py": COMPUTING,
    "backend/selection.py": COMPUTING,
    "backend/threads.py": (*COMPUTING, "diagnose"),
    "cells/": ("train",),
    "cli/_diagnosing.py": ("diagnose",),
    "cli/_sample_options.py": ("sample",),
    "cli/parsing/candidates.py": ("", "train"),
    "cli/parsing/config_file.py": (*COMPUTING, "diagnose", "corpus make"),
    "cli/parsing/given.py": ("sample", "eval"),
    "cli/process/ranks.py": ("train",),
    "cli/_samples.py": ("sample",),
    "cli/scoring/text.py": ("eval",),
    "cli/scoring/whole.py": ("eval",),
    "cli/parsing/shared.py": COMPUTING,
    "cli/parsing/command.py": (*COMPUTING, "diagnose", "info", "corpus make"),
    "cli/app.py": ("diagnose",),
    "cli/parsing/misplaced.py": ("train",),
    "cli/parsing/repeated.py": ("view",),
    "cli/parsing/stored.py": ("train",),
    "cli/bench.py": ("bench",),
    "cli/corpus.py": ("corpus make",),
    "cli/diagnose.py": ("diagnose",),
    "cli/evaluate.py": ("eval",),
    "cli/export.py": ("export",),
    "cli/manual.py": ("man",),
    "cli/importing.py": ("import",),
    "cli/info.py": ("info",),
    "cli/_board.py": ("export",),
    "cli/parsing/habits.py": ("eval",),
    "cli/_page.py": ("export",),
    "cli/plot.py": ("plot",),
    "cli/predict.py": ("predict", "train"),
    "cli/scoring/lines.py": ("eval",),
    "cli/scoring/tagged.py": ("predict", "eval"),
    "cli/scoring/written.py": ("predict",),
    "cli/sample.py": ("sample",),
    "cli/sweep.py": ("sweep",),
    "cli/train.py": ("train",),
    "cli/view.py": ("view",),
    "config.py": ("train",),
    "reading.py": ("train",),
    "diagnosis/": ("diagnose",),
    "diagnosis/history.py": ("train",),
    "diagnosis/verdicts/": ("train",),
    "evaluate/curves.py": ("plot",),
    "evaluate/dynamic/settings.py": ("eval",),
    "exchange/export.py": ("export",),
    "exchange/foreign.py": ("import",),
    "exchange/portable.py": ("train",),
    "exchange/rounding.py": ("export",),
    "plugins.py": ("train", "sample", "diagnose"),
    "registry.py": ("train", "diagnose", "bench"),
    "report/bench.py": ("train",),
    "report/configuration.py": ("train",),
    "report/diagnose/history.py": ("train",),
    "report/diagnose/history_page.py": ("diagnose",),
    "report/outcome.py": ("train",),
    "report/standing.py": ("train",),
    "report/training.py": ("train",),
    "sampling/": ("sample",),
    "settings.py": ("train", "sample", "eval", "info"),
    "view/": ("view",),
    "storage/checkpoint.py": ("info",),
    "storage/container.py": ("train",),
    "storage/given.py": ("sample",),
    "storage/heldout.py": ("train",),
    "storage/progress.py": ("train",),
    "storage/runs.py": ("train",),
    "sweep/": ("sweep",),
    "tasks/": ("train",),
    "text/builtin/": ("corpus make",),
    "text/corpus.py": ("train",),
    "text/decoding.py": READERS,
    "text/encode.py": ("train",),
    "text/finding.py": READERS,
    "text/formats.py": READERS,
    "text/labelled/": ("train", "eval"),
    "text/pairs/": ("train", "eval"),
    "text/tagged/": ("train", "eval"),
    "text/layout.py": TEXTS,
    "text/remarks.py": READERS,
    "text/units/": ("train",),
    "text/values/": TEXTS,
    "text/vocabulary.py": ("sample", "eval", "diagnose"),
    "text/windows.py": ("train",),
    "train/": ("train",),
    "train/bench.py": ("bench",),
}
"""For each file, or folder, the commands that its messages are about; the longest name counts."""

OTHERWISE = {
    "its gradients over training: charrnn train --watch": ("train", "diagnose"),
    "name another --encoding, set --level to byte, or set --errors to replace": (
        "train",
        "diagnose",
        "corpus info",
    ),
    "train it with a lower --min-count": ("train",),
    "wait, or train with a smaller --log-every": ("train",),
    "its training has diverged; train again with a lower --lr or --clip-norm": ("train",),
    "--until-join needs an end, but --join was empty": ("sample", "train"),
    "--until-join needs a run that was trained with --join": ("sample", "train"),
    "the --join of the run": ("train",),
    "has no effect: samples of a run that was trained on --examples": ("train",),
    "the end of a document, {}, also stands inside": ("train",),
    "Stop where the next text would begin: at the --join": ("train",),
    "Text to continue (a newline: $'\\n')": ("train",),
    "newline for a run trained on --examples line]": ("eval", "train"),
    "name a text, or its --encoding, or set --level": ("train",),
    "see charrnn sample --label": ("sample",),
    "to write texts: charrnn sample --label NAME": ("sample",),
    "--min-count {} folds the end of a text, too": ("train",),
    "--tensorboard": ("train",),
    "--matmul": ("train", "bench"),
    "leave out --matmul": ("train", "bench"),
    "Steps between records of gradient norms by layer (charrnn diagnose --history)": ("diagnose",),
    "--fail-on {} is not a verdict": ("diagnose",),
    "see charrnn sample and charrnn eval, or charrnn train --task": ("train",),
    "The label of the texts, of a run that was trained with --task": ("train",),
    "--version": ("",),
    "--clear": ("corpus cache",),
}
"""The beginning or end of single messages that are about other commands, often a training run.

Each option must be one of any of them.
"""


def about(name, text):
    """Return the commands that a message is about, and whether any of them may have its options."""
    for part, found in OTHERWISE.items():
        if text.startswith(part) or text.endswith(part):
            return found, True
    fitting = [
        key for key in PRINTED_BY if name == key or (key[-1] == "/" and name.startswith(key))
    ]
    assert fitting, f"{name} has a message that names an option; say which commands print it"
    return PRINTED_BY[max(fitting, key=len)], False


def all_messages():
    """Yield each message with its file."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for one in messages(path):
            yield path.relative_to(PACKAGE).as_posix(), one


def test_what_a_message_names_is_there():
    tree = commands()
    known = {name: options(command).keys() | {"--help"} for name, command in tree.items()}
    first_words = {name.split()[0] for name in tree if name}
    wrong, seen = [], 0
    for name, (line, text, _) in all_messages():
        for word in set(NAMED.findall(text)):
            seen += 1
            if word.startswith("--"):
                printed, of_any = about(name, text)
                there = [word in known[command] for command in printed]
                right = any(there) if of_any else all(there)
            else:
                first = word.split()[1]
                is_command = re.search(rf"(?<!this )charrnn {first} (--|\{{|[A-Z]{{2}})", text)
                right = first in first_words or not is_command
            if not right:
                wrong.append(f"{name}:{line}: {word}: {text}")
    assert not wrong, "\n".join(wrong)
    assert seen > 150


SMALL = ("--hidden", "4", "--batch", "2", "--seq-len", "4", "--backend", "numpy", "--quiet")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a text and a run, whose names have spaces and quotes."""
    where = tmp_path_factory.mktemp("it's a place")
    (where / "a text.txt").write_text("the cat sat on the mat.\n" * 20)
    (where / "other.txt").write_text("the mat sat on the cat.\n" * 20)
    run = ("--out", "my runs/it's", "--steps", "3", "--momentum", "0.3", "--optimizer", "sgd")
    done = inside("train", "a text.txt", *SMALL, *run, cwd=where)
    assert done.returncode == 0, done.stderr
    return where


def follow(place, *arguments, code=2):
    """Run a command that fails; run what it advises after its last colon; return that."""
    refused = inside(*arguments, "--backend", "numpy", cwd=place)
    assert refused.returncode == code, refused.stderr
    assert refused.stderr.count("\n") == 1
    line = refused.stderr.strip().rpartition(": ")[2]
    words = shlex.split(line.replace("FOLDER/a text.txt", "moved text.txt"))
    assert words[0] == "charrnn"
    done = inside(*words[1:], "--backend", "numpy", "--quiet", cwd=place)
    assert done.returncode == 0, done.stderr
    return words


@pytest.mark.parametrize(
    ("given", "made"),
    [
        (["--lr", "0.001"], {"lr": 0.001, "momentum": 0.3, "val_frac": 0.1}),
        (["--val-frac", "0.3"], {"lr": 0.008, "momentum": 0.3, "val_frac": 0.3}),
        (["--lr", "0.02", "--batch", "3", "--steps", "5"], {"lr": 0.02, "batch": 3, "step": 5}),
        (["--dropout", "0.3", "--steps", "4"], {"dropout": 0.3, "hidden": 4, "step": 4}),
        (["--lr", "0.02", "--epochs", "0.1"], {"epochs": 0.1, "steps": None, "minutes": None}),
    ],
)
def test_what_a_resumed_run_refuses_is_had_by_a_new_one(given, made, place):
    follow(place, "train", "--resume", "my runs/it's", *given)
    told = json.loads(inside("info", "--json", cwd=place).stdout)
    assert {name: told[name] for name in made} == made


def test_a_run_of_many_files_names_their_folder(place):
    folder = place / "many texts"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number}.txt").write_text("the cat sat.\n" * 5)
    done = inside("train", "many texts", *SMALL, "--steps", "3", "--name", "many", cwd=place)
    assert done.returncode == 0, done.stderr
    words = follow(place, "train", "--resume", "many", "--lr", "0.5")
    assert words[2:4] == [str(folder), "--init-from"]
    (folder / "new.txt").write_text("the mat.\n")
    told = inside("train", "--resume", "many", "--lr", "0.5", cwd=place).stderr
    assert "charrnn train CORPUS --init-from checkpoints/many --lr 0.5 --seq-len 4" in told


def test_another_text_is_had_by_a_new_run(place):
    words = follow(place, "train", "other.txt", "--resume", "my runs/it's", code=1)
    assert Path(words[2]).name == "other.txt"


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not UTF-8")
def test_names_that_are_not_utf_8_can_be_pasted(place):
    name = "bad\udcff.txt"
    (place / name).write_text("the cat sat on the mat.\n" * 20)
    done = inside("train", name, *SMALL, "--steps", "2", "--name", "odd\udcff", cwd=place)
    assert done.returncode == 0, done.stderr
    refused = inside("train", "--resume", "odd\udcff", "--lr", "0.5", cwd=place)
    line = refused.stderr.rpartition(": ")[2]
    assert r"bad\xff.txt' --init-from $'checkpoints/odd\xff'" in line
    (place / name).unlink()


def test_a_text_from_a_pipe_is_piped_in_again(place, monkeypatch):
    text = io.BytesIO((place / "a text.txt").read_bytes())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(text))
    done = inside("train", "-", *SMALL, "--steps", "2", "--name", "pipe's", cwd=place)
    assert done.returncode == 0, done.stderr
    how = ("--backend", "numpy", "--threads", "1")
    refused = inside("train", "--resume", "pipe's", *how, cwd=place)
    assert shlex.split(refused.stderr)[-6:] == ["--resume", "pipe's", *how]
    refused = inside("train", "--resume", "pipe's", "--steps", "3", cwd=place)
    words = shlex.split(refused.stderr.rpartition("pipe the text into ")[2])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.getvalue())))
    again = inside(*words[1:], "--backend", "numpy", "--quiet", cwd=place)
    assert again.returncode == 0, again.stderr
    assert json.loads(inside("info", "pipe's", "--json", cwd=place).stdout)["step"] == 3


def test_a_text_that_was_moved_is_named_again(place):
    (place / "a text.txt").rename(place / "moved text.txt")
    try:
        more = ("--steps", "6", "--keep", "0", "--patience", "7")
        words = follow(place, "train", "--resume", "my runs/it's", *more, code=1)
    finally:
        (place / "moved text.txt").rename(place / "a text.txt")
    assert words[-8:-2] == list(more)
    told = json.loads(inside("info", "my runs/it's", "--json", cwd=place).stdout)
    assert (told["step"], told["patience"]) == (6, 7)


def test_texts_that_were_moved_here_are_named_without_a_placeholder(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    for name in ("a b.txt", "c.txt"):
        (old / name).write_text("the cat sat on the mat.\n" * 20)
    run = ("--out", str(new / "run"), "--steps", "3")
    done = inside("train", "a b.txt", "c.txt", *SMALL, *run, cwd=old)
    assert done.returncode == 0, done.stderr
    (old / "a b.txt").rename(new / "a b.txt")
    words = follow(new, "train", "--resume", "run", "--steps", "5", code=1)
    assert words[2:7] == ["a b.txt", str(old / "c.txt"), "--resume", "run", "--steps"]
