"""``charrnn view`` as a user meets it."""

import json
import math
import os
import pty
import re
import sys
from base64 import b64decode
from pathlib import Path

import pytest
from helpers.commands import command, inside

from charrnn.view import values

TEXT = 'the cat sat on "the mat".\nA dog ate it!\n' * 12


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a text and runs."""
    where = tmp_path_factory.mktemp("view")
    (where / "t.txt").write_text(TEXT)
    (where / "n.txt").write_text("cat\tthe cat sat\ndog\tA dog ate it!\n" * 20)
    base = ("--hidden", "6", "--batch", "2", "--steps", "4")
    for name, *more in (
        ("bytes", "t.txt", "--level", "byte"),
        ("labels", "n.txt", "--task", "classify"),
        ("kinds", "n.txt", "--task", "generate"),
        ("lines", "t.txt", "--examples", "line"),
        ("one", "t.txt"),
    ):
        done = inside("train", *more, "--name", name, *base, cwd=where)
        assert done.returncode == 0, done.stderr
    return where


def viewed(place, *arguments):
    done = inside("view", *arguments, cwd=place)
    assert done.returncode == 0, done.stderr
    return done.stdout


def records(place, *arguments):
    return [json.loads(line) for line in viewed(place, *arguments, "--json").splitlines()]


@pytest.mark.parametrize("run", ["one", "bytes", "lines"])
def test_bits_are_those_of_eval(place, run):
    found = records(place, run, "t.txt")
    done = inside("eval", "t.txt", "--run", run, "--per-char", "--json", cwd=place)
    scored = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["symbol"] for row in found] == [row["symbol"] for row in scored]
    assert [row["position"] for row in found] == [*range(1, len(scored) + 1)]
    for row, score in zip(found, scored, strict=True):
        if score["nats"] is None:
            assert (row["bits"], row["alternatives"]) == (None, [])
        else:
            assert row["bits"] == pytest.approx(score["nats"] / math.log(2), abs=1e-6)


def test_rows_and_records_say_the_same(place):
    rows = [line.split("\t") for line in viewed(place, "one", "t.txt").splitlines()]
    assert rows[0] == ["1", "t", "-"]
    for row, record in zip(rows, records(place, "one", "t.txt"), strict=True):
        assert row[:2] == [str(record["position"]), record["symbol"].replace("\n", "\\n")]
        if record["bits"] is not None:
            assert float(row[2]) == pytest.approx(record["bits"], abs=6e-4)
            assert len(row) == 6
            best = record["alternatives"][0]
            assert row[3] == f"{best['symbol']} {best['p']:.3f}".replace("\n", "\\n")
            assert record["symbol"] not in [one["symbol"] for one in record["alternatives"]]


def test_a_unit_is_shown_in_numbers(place):
    rows = [line.split("\t") for line in viewed(place, "one", "--unit", "0:3:f").splitlines()]
    found = records(place, "one", "--unit", "0:3:f")
    assert [float(row[2]) for row in rows] == pytest.approx([r["value"] for r in found], abs=6e-5)
    assert all(0 < row["value"] < 1 and row["unit"] == "0:3:f" for row in found)
    assert viewed(place, "one", "--unit", "0:3") == viewed(place, "one", "--unit", "0:3:h")


def page_of(place, *arguments):
    """Return the record of a page, and what is printed."""
    printed = viewed(place, *arguments, "--html", "p.html")
    text = (place / "p.html").read_text("utf-8")
    return json.loads(re.search(r'id="record">(.*?)</script>', text, re.S)[1]), printed


def test_a_page_opens_in_the_colours_of_a_unit(place):
    plain, _ = page_of(place, "one", "t.txt", "--length", "40")
    assert plain["asked"] is None
    for unit, ends in (("0:3:c", None), ("0:2:f", (0, 1)), ("0:2:g", (-1, 1))):
        found, _ = page_of(place, "one", "t.txt", "--length", "40", "--unit", unit)
        first = found["units"][0]
        assert found["asked"] == first["name"] == unit
        rows = records(place, "one", "t.txt", "--length", "40", "--unit", unit)
        low, high = first["low"], first["high"]
        most = max(abs(row["value"]) for row in rows)
        assert (low, high) == (ends or pytest.approx((-most, most)))
        got = [low + (high - low) * byte / 255 for byte in b64decode(first["values"])]
        assert got == pytest.approx([row["value"] for row in rows], abs=(high - low) / 500)
        names = [each["name"] for each in found["units"]]
        assert len(names) == len(set(names)) == len(plain["units"]) + (ends is not None)
        assert {key: value for key, value in found.items() if key not in ("asked", "units")} == {
            key: value for key, value in plain.items() if key not in ("asked", "units")
        }


def test_a_page_with_units_shows_the_beginning_and_prints_the_table(place, monkeypatch):
    read, every = [], values.every_state
    counted = lambda model, passage: read.append(len(passage)) or every(model, passage)  # noqa: E731
    monkeypatch.setattr(values, "every_state", counted)
    monkeypatch.setattr("charrnn.view.meanings.every_state", counted)
    monkeypatch.setattr("charrnn.cli.view.OF_PAGE", 50)
    monkeypatch.setattr("charrnn.cli.view.OF_UNITS", 300)
    table = viewed(place, "one", "t.txt", "--units")
    assert read == [300]
    found, printed = page_of(place, "one", "t.txt", "--units", "--unit", "0:1")
    assert read == [300, 300]
    assert printed.startswith(table)
    assert printed.splitlines()[-1].startswith("p.html: ")
    assert (found["asked"], len(found["ids"])) == ("0:1", 50)
    for length in (250, 400):
        shown, _ = page_of(place, "one", "t.txt", "--units", "--length", str(length))
        assert len(shown["ids"]) == read[-1] == length


def test_without_a_text_the_validation_text_is_shown(place):
    shown = "".join(row["symbol"] for row in records(place, "one", "--length", "20"))
    assert len(shown) == 20
    assert shown in TEXT
    assert records(place, "--length", "20") == records(place, "one", "--length", "20")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("t.txt",), 2, "charrnn view one t.txt"),
        (("labels",), 1, "charrnn predict"),
        (("kinds",), 1, "charrnn eval"),
        (("one", "none.txt"), 1, "none.txt"),
        (("one", "--unit", "0:6"), 2, "0 to 5"),
        (("one", "--unit", "x"), 2, "LAYER:UNIT"),
        (("one", "--length", "1"), 2, "--length"),
        (("one", "--units", "--length", "30"), 1, "--length"),
        (("one", "--units", "--html", "q.html", "--length", "30"), 1, "--length"),
        (("one", "--units", "--unit", "0:1"), 2, "--units"),
        (("one", "--html", "q.html", "--unit", "0:6"), 2, "0 to 5"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(place, arguments, code, said):
    done = inside("view", *arguments, cwd=place)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_unit_of_an_untrained_model_means_anything(place):
    text = viewed(place, "one", "t.txt", "--units")
    assert "None: no unit tells a property better" in text
    assert "Too rare here: " in text
    assert viewed(place, "one", "t.txt", "--units", "--json") == ""


def on_terminal(place, *arguments, **env):
    """Return exit code and output of a command on a terminal."""
    pid, screen = pty.fork()
    if not pid:
        os.chdir(place)
        words = command(*arguments)
        kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
        os.execve(sys.executable, words, {**kept, "TERM": "xterm-256color", **env})
    out = b""
    while True:
        try:
            part = os.read(screen, 1 << 16)
        except OSError:
            break
        if not part:
            break
        out += part
    os.close(screen)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out.decode()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
def test_a_terminal_shows_the_text_in_colour(place):
    Path(place, "escape.txt").write_text("the cat \x1b[31msat\x85\n")
    code, out = on_terminal(place, "view", "one", "escape.txt", "--unknown", "skip")
    assert code == 0, out
    assert "surprisal in bits" in out
    assert "\x1b[38;5;16;48;5;" in out
    assert "↵" in out
    _, values = on_terminal(place, "view", "one", "t.txt", "--unit", "0:2")
    assert "unit 0:2" in values
    assert "48;5;" in values
    _, plain = on_terminal(place, "view", "one", "t.txt", NO_COLOR="1")
    assert "\x1b[" not in plain
    assert plain.replace("\r\n", "\n") == viewed(place, "one", "t.txt")
