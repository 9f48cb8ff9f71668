"""Messages that fill in the name of an option while they are made: each is provoked here.

``test_remedies.py`` reads the others in the source. A trace proves that the commands below reach
every place that fills one in.
"""

import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import inside, known_options
from helpers.messages import foreign, messages
from safetensors.numpy import load_file, save_file

import charrnn
from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError
from charrnn.options import Option
from charrnn.registry import CELLS
from charrnn.report.bench import command as command_of
from charrnn.text.builtin import create
from charrnn.text.units.examples import Units, fit_examples
from charrnn.text.windows import fit_window
from charrnn.train.bench import Bench, Trial

PACKAGE = Path(charrnn.__file__).parent
TEXT = "the cat sat on the mat.\nA dog ate it!\n" * 8
SMALL = "--hidden 4 --batch 2 --seq-len 4 --steps 3 --backend numpy"

TOLD = f"""
train t.txt --column ''
train t.txt --field ''
train t.txt --val v.txt --val-frac 0.1 --dry-run
train t.txt --test v.txt --test-frac 0.1 --dry-run
train t.txt --join {"x" * 1001}
train t.txt --level line
train t.txt --hidden 99999999999999999999
train t.txt --lr inf
train t.txt --lr -1
train t.txt --momentum 0.8
train t.txt --gru-reset before
sweep t.txt --try hidden=3,4 --hidden 5
sample one --prime-file t.txt --encoding latin-1 --errors replace
sweep t.txt --try level=char,byte
sweep t.txt --try sync-every=2,3
sweep nothing.txt --try hidden=3,4 --config ranks.toml
train t.txt --val-frac 0 --patience 3
train t.txt --val-frac 0 --schedule plateau
train hello --column text
train t.csv --task classify --column text
train t.csv --task classify
train t.txt --rnn-size 3
sample one the
sample one --prime {chr(0xDCE8)}
train t.txt --seq_len 3
train t.txt --temperature 3
train t.csv --task tag --columns 2
eval t.csv --run labels --column text
train hello --field text
train --resume one --lr 0.5
train --resume one --hidden 9
train --resume one --restart 0.3
train --resume one
train --resume one --steps 6 --patience 2 --eval-every 0
train --resume one --state reset
train t.txt --examples line --restart 0.5
train t.txt --watch 4 --name watched {SMALL}
train t.txt --sample-every 4 --name sampled {SMALL}
train t.txt --keep 1 --name kept {SMALL}
train t.txt --core numpy --name cored {SMALL}
train t.txt v.txt --shard-files --examples line
import plain.safetensors --vocabulary symbols.txt --activation relu
diagnose labels --exponents 2
diagnose labels --state reset
eval --split test --run one
eval --split val --run one --encoding utf-8
eval --split val --run one --errors strict
eval --split val --run one --unknown skip
eval --split val --run one --column x
eval t.txt --run bytes --encoding utf-8
eval hello --run table
eval hello --run lines
eval t.csv --run lines
eval t.txt --run one --dynamic-lr 1
eval t.txt --run one --per-char --reset-every 5
sample one --no-repeat 9 --length 9
sample one --prime 'a\\n'
sample slashes --prime 'a\\n' --length 3
sample one --until '\\t'
sample one --prime a --encoding utf-8
sample one --prime a --errors strict
sample bytes --prime-file t.txt --errors strict
sample one --novel --temp 0
sample exact --core native
train t.txt --dtype float64 --core native
train t.txt --dtype float64 --matmul bf16
sample one --novel --top-k 1
sample one --top-p 7
sample one --temp nan
diagnose --compare rnn,lstm --gru-reset before
diagnose --fresh --corpus t.txt --level line
diagnose one --lr -1
diagnose --fresh --corpus v.txt --optimizer sgd --momentum 0.5 --hidden 3
diagnose labels --seq-len 4
diagnose labels --exponents 4
diagnose bytes --corpus t.txt --errors strict
bench --hidden 0
corpus info t.txt --seed 3
corpus info t.txt --order 3
corpus info t.txt --level byte --errors strict
corpus info hello --encoding latin-1
corpus info markov
corpus make hello --order 3
corpus make reber --kinds 2
corpus make markov --order 99
corpus make brackets --flip 0.1
info one
info table
info validated
"""
"""Command lines; what they tell, on either stream, has options of their own command."""


def _fails(call):
    with pytest.raises(CharRNNError) as failure:
        call()
    return str(failure.value)


IN_PYTHON = (
    lambda: charrnn.fit(TEXT, examples="line", restart=0.5),
    lambda: charrnn.fit(TEXT, examples="line", join="; "),
    lambda: charrnn.fit([("one", "a"), ("two", "b")] * 9, task="classify", restart=0.5),
    lambda: charrnn.fit(TEXT, level=3),
    lambda: charrnn.fit(TEXT, hidden="many"),
    lambda: Option((), "").check("val", "a.txt"),
    lambda: Option((), "").check("val", 3),
    lambda: Option(False, "").check("val", 3),
    lambda: CELLS.canonical(3),
    lambda: create("markov", size=3),
    lambda: create("hello", size=3),
    lambda: fit_window(9, 0, 4),
    lambda: fit_examples(Units.joined([np.arange(3)], 0), 0, 4),
)
"""Calls whose messages no command prints; they name settings as Python does."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with texts and runs on them."""
    where = tmp_path_factory.mktemp("told")
    (where / "t.txt").write_text(TEXT)
    (where / "v.txt").write_text("the cat sat at it\n")
    (where / "ranks.toml").write_text("sync-every = 2\n")
    (where / "l.txt").write_text("one\tthe cat\ntwo\tthe dog\n" * 20)
    (where / "s.txt").write_text(TEXT.replace("!", "\\n"))
    (where / "t.csv").write_text("id,text\n" + "1,the cat sat\n" * 40)
    (where / "t.jsonl").write_text('{"text": "the cat sat"}\n' * 40)
    for name, text in {
        "one": "t.txt",
        "bytes": "t.txt --level byte",
        "slashes": "s.txt",
        "table": "t.csv --column text",
        "lines": "t.jsonl --field text",
        "validated": "t.txt --val v.txt",
        "exact": "t.txt --dtype float64",
        "labels": "l.txt --task classify",
    }.items():
        small = SMALL.replace("--seq-len 4", "") if name == "labels" else SMALL
        done = inside("train", *text.split(), *small.split(), "--name", name, cwd=where)
        assert done.returncode == 0, done.stderr
    (where / "symbols.txt").write_text("".join(sorted(set(TEXT))))
    inside("export", "one", "--to", "torch", "--out", "one.safetensors", cwd=where)
    save_file(load_file(where / "one.safetensors"), where / "plain.safetensors")
    return where


class Trace:
    """The lines of some files that run while it is active."""

    def __init__(self, files):
        self._files, self.lines = set(files), set()

    def __enter__(self):
        self._before = sys.gettrace()
        sys.settrace(self._call)

    def __exit__(self, *problem):
        sys.settrace(self._before)

    def _call(self, frame, event, value):
        return self._line if frame.f_code.co_filename in self._files else None

    def _line(self, frame, event, value):
        self.lines.add((frame.f_code.co_filename, frame.f_lineno))
        return self._line


@pytest.mark.slow
def test_names_that_are_filled_in_are_those_of_the_command(place, device):
    """``device`` is a stand-in for a GPU, which two of the messages are about."""
    known = known_options()
    places = {
        (str(path), one.line)
        for path in PACKAGE.rglob("*.py")
        for one in messages(path)
        if one.is_open
    }
    assert len(places) > 40
    trace, wrong = Trace({path for path, _ in places}), []
    gpu = [f"{words} --backend cupy --core native" for words in ("sample one", "train t.txt")]
    gpu += ["train t.txt --backend cupy --matmul bf16"]
    helps = [f"{name} --help" for name in known]
    for line in (*TOLD.strip().splitlines(), *gpu, *helps):
        words = shlex.split(line)
        command = " ".join(words[: 2 if words[0] == "corpus" else 1])
        with trace:
            done = inside(*words, cwd=place)
        told = done.stderr + done.stdout
        if "--help" in words:
            told = " ".join(told.split()).replace(". ", ".\n")
        named = foreign(command, told.replace("No such option: --", ""), known)
        wrong += [f"{line}: {', '.join(named)}: {done.stderr}"] if named else []
    assert not wrong, "\n".join(wrong)
    one = Trial("numpy", 1, 16, 0.1, 900.0)
    for model in (
        ModelConfig(cell="gru", gru_reset="before", layers=2, embed=3),
        ModelConfig(task="classify", pool="last", bidirectional=True),
    ):
        with trace:
            told = command_of(Bench(model, 4, (one,), one, 100.0, "bf16", "native"))
        assert not foreign("bench", told, known)
    for call in IN_PYTHON:
        with trace:
            told = _fails(call)
        assert "--" not in told
    missed = sorted(places - trace.lines)
    assert not missed, f"name a command line in TOLD, or a call in IN_PYTHON, for {missed}"


def test_typographic_quotes_are_told_from_quotes(tmp_path):
    (tmp_path / "t.txt").write_text("the cat sat on the mat.\n" * 20)
    small = ("--hidden", "4", "--steps", "1", "--quiet")
    assert inside("train", "t.txt", *small, "--name", "one", cwd=tmp_path).returncode == 0
    for words, told in (
        ("sample one --prime “the”", "“ is no quote for a shell: type the\n"),
        ("sample one --prime ‘the cat’", "‘ is no quote for a shell: type 'the cat'"),
        ("sample --prime „the cat“", "„ is no quote for a shell: type 'the cat'"),
        ("eval --run one «my text»", "« is no quote for a shell: type 'my text'\n"),
        ("sample one --prime X“the”", "set --unknown to skip, which leaves such symbols out\n"),
        ("sample one --prime “ --until ”", "set --unknown to skip"),
        ("sample two --prime “the”", "charrnn runs lists them"),
    ):
        done = inside(*words.split(" "), cwd=tmp_path)
        assert done.returncode in (1, 2)
        assert told in done.stderr
    (tmp_path / "q.txt").write_text("“the cat” sat. " * 20)
    assert inside("train", "q.txt", *small, "--name", "two", cwd=tmp_path).returncode == 0
    done = inside("sample", "two", "--prime", "“the", "--length", "3", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_long_dashes_are_told_from_hyphens():
    for words, typed in (
        (("sample", "\N{EM DASH}temp", "2"), "--temp"),
        (("sample", "--json", "\N{EN DASH}-temp=2"), "--temp=2"),
        (("train", "t.txt", "\N{EN DASH}hidden", "4"), "--hidden"),
    ):
        done = inside(*words)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.endswith(f" begins with a long dash; type {typed}\n")
    done = inside("sample", "no run", "--prime", "\N{EM DASH}temp")  # a text
    assert "dash" not in done.stderr
