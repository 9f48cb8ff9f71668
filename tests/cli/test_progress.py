"""Progress of long work: a line on a terminal that leaves nothing behind, and nothing elsewhere."""

import io
import os
import subprocess
import sys
import time
from contextlib import contextmanager, redirect_stderr

import pytest
from helpers.commands import command, inside

from charrnn.cli.process import progress as drawing


def on_screen(line):
    """Return what a line shows in the end: after a return, text replaces what was there."""
    shown = ""
    for part in line.split("\r"):
        shown = part + shown[len(part) :]
    return shown.rstrip()


class Terminal(io.StringIO):
    """A terminal in memory."""

    def isatty(self):
        return True

    def screen(self):
        """Return the lines as they stand on the screen, the last one may be unfinished."""
        return [on_screen(line) for line in self.getvalue().split("\n")]


@pytest.fixture
def terminal(monkeypatch):
    shown = Terminal()
    monkeypatch.setattr(drawing, "DELAY", 0.0)
    monkeypatch.setattr(drawing, "_INTERVAL", 0.001)
    monkeypatch.setenv("TERM", "xterm")
    return shown


@contextmanager
def progress(terminal, text, *names):
    """Show progress on the terminal."""
    with redirect_stderr(terminal), drawing.progress(text, names) as show:
        yield show


def wait_for(text, terminal):
    """Wait until the terminal shows a text."""
    for _ in range(10_000):
        if text in terminal.screen()[-1]:
            return
        time.sleep(0.001)
    raise AssertionError(f"{text!r} is not in {terminal.getvalue()!r}")


def test_the_line_says_how_far_the_work_has_come_and_goes(terminal):
    with progress(terminal, "reading\x1b the text") as show:
        wait_for("reading\\x1b the text, 0 s", terminal)
        drawing.counted(show, "bytes")(1234)
        wait_for("1,234 bytes", terminal)
    assert terminal.screen() == [""]


def test_a_note_stands_on_a_line_of_its_own(terminal):
    with progress(terminal, "reading"):
        wait_for("reading", terminal)
        print("a note", file=sys.stderr)
        wait_for("reading", terminal)
    assert terminal.screen() == ["a note", ""]


def test_the_line_goes_if_the_work_fails(terminal):
    with pytest.raises(ValueError, match="x"), progress(terminal, "reading"):
        wait_for("reading", terminal)
        raise ValueError("x")
    assert terminal.screen() == [""]


def test_a_line_that_has_ended_does_not_appear_again(terminal):
    with progress(terminal, "drawing") as show:
        wait_for("drawing", terminal)
        show.end()
        show("again")
        time.sleep(0.02)
    assert terminal.screen() == [""]


def test_short_work_shows_nothing(terminal, monkeypatch):
    monkeypatch.setattr(drawing, "DELAY", 60.0)
    with progress(terminal, "reading") as show:
        show("more")
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("kind", ["pipe", "dumb", "none"])
def test_elsewhere_nothing_is_shown(terminal, monkeypatch, kind):
    if kind == "pipe":
        monkeypatch.setattr(terminal, "isatty", lambda: False)
    elif kind == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    else:
        monkeypatch.delenv("TERM")
    with progress(terminal, "reading") as show:
        show("more")
        time.sleep(0.01)
    assert terminal.getvalue() == ""


@pytest.mark.parametrize("typed", [True, False])
def test_nothing_is_written_over_what_is_typed(terminal, monkeypatch, typed):
    monkeypatch.setattr(sys, "stdin", Terminal() if typed else io.StringIO())
    with progress(terminal, "reading", "a.txt", "-"):
        if typed:
            time.sleep(0.01)
        else:
            wait_for("reading", terminal)
    assert bool(terminal.getvalue()) is not typed
    with progress(terminal, "reading", "a.txt"):
        wait_for("reading", terminal)


SLOW = """
import time
from charrnn.cli import main
from charrnn.cli.process import progress as drawing
begin = drawing.Line.__init__
def begin_and_wait(*arguments):
    begin(*arguments)
    time.sleep(0.3)
drawing.Line.__init__, drawing.DELAY, drawing._INTERVAL = begin_and_wait, 0, 0.0005
main()
"""
"""The program with work that takes long enough for its line to appear."""

SMALL = ("--hidden", "4", "--batch", "2", "--seq-len", "4", "--steps", "2", "--backend", "numpy")
QUICK = ("--windows", "1", "--anchors", "2", "--targets", "2", "--lyapunov-steps", "10")


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("train", "t.txt", *SMALL, "--json"), "reading the text"),
        (("train", "t.txt", *SMALL, "--dry-run"), "reading the text"),
        (("sample", "one", "--count", "2", "--seed", "1"), "drawing"),
        (("sample", "one", "--beam", "2", "--length", "50"), "searching"),
        (("eval", "t.txt", "--run", "one"), "characters scored"),
        (("diagnose", "one", "--corpus", "t.txt", *QUICK), "reading the text"),
        (("diagnose", "one", *QUICK), "use of context"),
        (("corpus", "info", "t.txt"), "reading the text"),
        (("corpus", "make", "reber", "--out", "made"), "bytes written"),
    ],
)
def test_long_work_of_each_command(arguments, says, tmp_path):
    """On a terminal the line is there; standard output has what it has without one."""
    import pty

    (tmp_path / "t.txt").write_text("the cat sat on the mat.\n" * 4000)
    done = inside("train", "t.txt", *SMALL, "--name", "one", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    mine, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            data = os.read(mine, 1 << 16)
        except OSError:  # the end, on Linux
            break
        if not data:
            break
        shown += data
    assert process.stdout is not None
    out = process.stdout.read()
    process.stdout.close()
    os.close(mine)
    assert process.wait(60) == 0, shown
    assert says in shown.decode()
    assert b"\r" not in out
    assert all(not on_screen(line) or "note" in line for line in lines_of(shown))
    if arguments[0] != "train" and "--out" not in arguments:
        piped = subprocess.run(command(*arguments), cwd=tmp_path, capture_output=True)
        assert (piped.returncode, piped.stdout) == (0, out)
        assert b"\r" not in piped.stderr


def lines_of(shown):
    return shown.decode().replace("\r\n", "\n").split("\n")
