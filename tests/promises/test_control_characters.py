"""No control character of a text, a name or a file reaches a terminal, sampled text excepted."""

import json
import os
import re
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.commands import charrnn, start

from charrnn.cli.app import run
from charrnn.errors import CharRNNError
from charrnn.storage import checkpoint as checkpoints

EVIL = "\x1b[31m\x1b]0;pwned\x07\x9b2J\x08\r\x7f\u2028\u202e\u2067"
"""A colour, a window title, C1, backspace, carriage return, DEL, a line separator, text turned."""
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
TEXT = ("some words " + EVIL + " and more of them\n") * 60
SMALL = (
    "--hidden",
    "4",
    "--batch",
    "4",
    "--seq-len",
    "8",
    "--backend",
    "numpy",
    "--log-every",
    "2",
)


def clean(done):
    """Neither stream holds a control character other than newline and tab."""
    for stream in (done.stdout, done.stderr):
        text = stream.decode("utf-8", "backslashreplace")
        assert not CONTROL.search(text), ascii(text)
        assert "Traceback" not in text
    return done


@pytest.fixture
def call(place, monkeypatch, capfdbinary):
    """Run a command line in this process, in the folder; nothing that it shows may be bad."""
    monkeypatch.chdir(place)

    def run_it(*arguments):
        code = run(arguments)
        out, err = capfdbinary.readouterr()
        return clean(SimpleNamespace(returncode=code, stdout=out, stderr=err))

    return run_it


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a text, a run and names that are all as bad as can be."""
    folder = tmp_path_factory.mktemp("evil")
    (folder / f"text{EVIL}").write_text(TEXT, encoding="utf-8", newline="")
    (folder / "plain").write_text("plain text\n" * 30)
    done = charrnn(
        "train", f"text{EVIL}", *SMALL, "--steps", "8", "--eval-every", "4", "--sample-every", "2",
        "--watch", "2", "--test-frac", "0.1", "--name", f"run{EVIL}", cwd=folder, text=False,
    )  # fmt: skip
    assert clean(done).returncode == 0
    assert b"sample at step" in done.stderr
    return folder


RUN = f"checkpoints/run{EVIL}"
FINE = {
    "info": ["info", RUN],
    "info in JSON": ["info", RUN, "--json"],
    "runs": ["runs"],
    "runs in JSON": ["runs", "--json"],
    "eval": ["eval", f"text{EVIL}", "--run", RUN],
    "eval of lines": ["eval", f"text{EVIL}", "--run", RUN, "--per-line"],
    "eval of lines in JSON": ["eval", f"text{EVIL}", "--run", RUN, "--per-line", "--json"],
    "eval of symbols": ["eval", f"text{EVIL}", "--run", RUN, "--per-char"],
    "eval of symbols in JSON": ["eval", f"text{EVIL}", "--run", RUN, "--per-char", "--json"],
    "eval in JSON": ["eval", "--split", "test", "--run", RUN, "--json"],
    "diagnose": ["diagnose", RUN],
    "diagnose a text": ["diagnose", RUN, "--corpus", f"text{EVIL}"],
    "diagnose in JSON": ["diagnose", RUN, "--json"],
    "history": ["diagnose", RUN, "--history"],
    "history in JSON": ["diagnose", RUN, "--history", "--json"],
    "a new model": [
        "diagnose",
        "--fresh",
        "--cell",
        "rnn",
        "--hidden",
        "3",
        "--corpus",
        f"text{EVIL}",
    ],
    "what comes next": ["sample", RUN, "--next", "20", "--prime", "some"],
    "what comes next in JSON": ["sample", RUN, "--next", "20", "--json", "--prime", EVIL],
    "a sample in JSON": ["sample", RUN, "--json", "--length", "200"],
    "a text": ["corpus", "info", f"text{EVIL}"],
    "a text in JSON": ["corpus", "info", f"text{EVIL}", "--json"],
    "words": ["corpus", "info", f"text{EVIL}", "--level", "word"],
    "bytes": ["corpus", "info", f"text{EVIL}", "--level", "byte"],
    "going on": ["train", "--resume", RUN, "--steps", "10"],
    "nothing to do": ["train", "--resume", RUN],
    "from its weights": ["train", "plain", "--init-from", RUN, "--steps", "2", "--json"],
    "training in JSON": [
        *("train", f"text{EVIL}", *SMALL, "--steps", "4", "--sample-every", "1", "--json"),
        *("--name", f"json{EVIL}"),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("command", FINE.values(), ids=FINE.keys())
def test_what_commands_show_is_clean(call, command):
    done = call(*command)
    assert done.returncode == 0, done.stderr
    if "--json" in command:
        for line in done.stdout.decode().splitlines():
            json.loads(line)


BAD = {
    "a text that is missing": ["train", f"none{EVIL}"],
    "a text of a wrong encoding": ["train", f"text{EVIL}", "--encoding", "utf-16"],
    "an encoding that is none": ["train", "plain", "--encoding", EVIL],
    "an empty text": ["train", f"empty{EVIL}"],
    "a folder without text": ["train", f"folder{EVIL}"],
    "a run that is missing": ["sample", f"none{EVIL}"],
    "a run that is no checkpoint": ["info", f"text{EVIL}"],
    "a symbol that is unknown": ["eval", "strange", "--run", RUN],
    "a prime that is unknown": ["sample", RUN, "--prime", "\x85\x84"],
    "a text that is missing beside": ["eval", "--split", "val", "--run", f"alone{EVIL}.x"],
    "metrics that are none": ["diagnose", f"hurt{EVIL}", "--history"],
    "a folder that is a file": ["train", "plain", "--out", f"text{EVIL}/below"],
    "a run that is there already": ["train", "plain", "--name", f"run{EVIL}"],
    "a name that is none": ["train", "plain", "--name", f"a/{EVIL}"],
    "an option that is none": ["train", "plain", f"--{EVIL}"],
    "a number that is none": ["train", "plain", "--hidden", EVIL],
    "a cell that is none": ["train", "plain", "--cell", EVIL],
    "a level that is none": ["train", "plain", "--level", EVIL],
    "a command that is none": [EVIL],
    "a backend that is none": ["train", "plain", "--backend", EVIL],
    "a verdict that is none": ["diagnose", RUN, "--fail-on", EVIL],
    "a schedule that is none": ["train", "plain", "--schedule", EVIL],
    "an optimizer that is none": ["train", "plain", "--optimizer", EVIL],
    "a file that exists": ["corpus", "make", "hello", "--out", f"text{EVIL}"],
    "a corpus that is none": ["corpus", "make", EVIL],
    "another vocabulary": ["train", "--resume", RUN, "plain"],
    "a held-out text that is missing": ["train", "plain", "--val", f"none{EVIL}"],
    "a picture that cannot be": ["diagnose", RUN, "--html", f"none{EVIL}/page.html"],
}


@pytest.mark.parametrize("command", BAD.values(), ids=BAD.keys())
def test_errors_are_clean(place, call, command):
    (place / f"empty{EVIL}").touch()
    (place / f"folder{EVIL}").mkdir(exist_ok=True)
    (place / "strange").write_text("\x85\x84", encoding="utf-8")
    (place / f"alone{EVIL}.x").write_bytes((place / RUN / "last.safetensors").read_bytes())
    hurt = place / f"hurt{EVIL}"
    hurt.mkdir(exist_ok=True)
    (hurt / "last.safetensors").write_bytes((place / RUN / "last.safetensors").read_bytes())
    (hurt / "metrics.jsonl").write_text('{"event": "step", "step": "\\u001b[31m"}\n')
    done = call(*command)
    assert done.returncode in (1, 2)
    assert done.stderr.count(b"\n") == 1 + done.stderr.count(b"charrnn: note")


def test_the_cache_is_told_cleanly(place, call, monkeypatch):
    monkeypatch.setenv("CHARRNN_CACHE", str(place / f"cache{EVIL}"))
    call("corpus", "cache")
    call("corpus", "cache", "--json")
    (place / f"closed{EVIL}").touch()
    monkeypatch.setenv("CHARRNN_CACHE", str(place / f"closed{EVIL}"))
    done = call("train", "plain", *SMALL, "--steps", "1")
    assert b"cannot be written" in done.stderr


def test_sampled_text_alone_is_as_it_is(place):
    done = charrnn("sample", RUN, "--length", "3000", "--temp", "5", cwd=place, text=False)
    assert CONTROL.search(done.stdout.decode())
    done.stdout = b""
    clean(done)


@pytest.mark.skipif(os.name != "posix", reason="needs a terminal of POSIX")
def test_a_terminal_is_shown_nothing_of_it(place):
    """The live display moves the cursor itself; no title, no sequence of the text gets through."""
    import pty

    master, slave = pty.openpty()
    command = ["train", f"text{EVIL}", *SMALL, "--steps", "6", "--sample-every", "1"]
    terminal = {"stdout": slave, "stderr": slave, "env": {"TERM": "xterm", "COLUMNS": "200"}}
    with start(*command, "--name", f"live{EVIL}", cwd=place, **terminal) as process:
        os.close(slave)
        seen = b""
        while True:
            try:
                data = os.read(master, 1 << 16)
            except OSError:
                break
            if not data:
                break
            seen += data
    os.close(master)
    assert process.returncode == 0, seen
    text = seen.decode()
    assert "sample at step" in text
    for bad in ("\x1b]", "\x07", "\x9b", "\x08", "\u2028", "\u202e", "\u2067", "\x7f"):
        assert bad not in text, ascii(bad)


def test_facts_of_a_checkpoint_cannot_hold_them(tmp_path):
    from helpers.checkpoints import checkpoint_of, parts

    from charrnn.storage import container

    path = tmp_path / "file.safetensors"
    checkpoints.save(path, checkpoint_of("rnn-tanh"))
    for where in (("version",), ("model", "activation"), ("model", "init"), ("train", "optimizer")):
        tensors, facts = parts(path)
        place = facts
        for key in where[:-1]:
            place = place[key]
        place[where[-1]] = EVIL
        container.write(tmp_path / "evil", tensors, facts)
        with pytest.raises(CharRNNError) as caught:
            checkpoints.load(tmp_path / "evil")
        assert str(caught.value).isprintable()
    tensors, facts = parts(path)
    container.write(tmp_path / "evil", tensors | {EVIL: np.ones(3, np.float32)}, facts)
    with pytest.raises(CharRNNError) as caught:
        checkpoints.load(tmp_path / "evil")
    assert str(caught.value).isprintable()
