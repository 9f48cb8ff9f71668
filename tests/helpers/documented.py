"""The blocks of a page of the documentation, how they are run, and what they must print.

- ``python``: typed line by line at one prompt for its page. If a block ``text`` follows, it is what
  is printed.
- ``console``: lines that begin with ``$`` are commands, the others what they print.
- ``sh``: commands as a reader would adapt them. They are run with small models and few steps.

Any other block is only shown.
"""

import code
import contextlib
import io
import os
import re
import stat
import subprocess
import sys
from typing import NamedTuple

FENCE = re.compile(r"(?ms)^( *)```(\w*)[^\n]*\n(.*?)^\1```$")
NUMBER = re.compile(r"[-−]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
ANYTHING = "…"
SMALL = """\
#!{python}
import sys
from charrnn.cli import main

words = sys.argv[1:]
LIMITS = {{"--minutes": "0.01", "--total-minutes": "0.05", "--steps": "4", "--epochs": "1"}}
LIMITS |= {{"--seconds": "1", "--hidden": "20", "--count": "3", "--watch": "2", "--trials": "2"}}
for name, value in LIMITS.items():
    if name in words:
        words[words.index(name) + 1] = value
trains = words[:1] in (["train"], ["sweep"]) and "--resume" not in words
if trains and not {{"--steps", "--epochs", "--minutes"}} & set(words):
    words += ["--steps", "4"]
if (trains and "--init-from" not in words) or words[:1] == ["bench"] or "--fresh" in words:
    given = " ".join(words)
    small = {{"hidden": "20", "batch": "2", "seq-len": "8", "eval-chars": "200"}}
    if words[0] != "train":
        del small["eval-chars"]
    if words[0] == "bench":
        del small["batch"]
    if "--task" in words or "--fresh" in words:
        small = {{"hidden": "20"}}
    for name, value in small.items():
        if name not in given:
            words += ["--" + name, value]
if words[:1] == ["bench"] and "--seconds" not in words:
    words += ["--seconds", "1"]
if "--compare" in words:
    words += ["--steps", "4"]
if words[:1] == ["sweep"] and "--trials" not in words:
    words += ["--trials", "2"]
sys.argv[1:] = words
sys.exit(main())
"""
"""A command ``charrnn`` that makes the sizes of a documented command small."""


class Block(NamedTuple):
    """A fenced block of a page, and the number of its first line."""

    kind: str
    text: str
    line: int


def blocks(page):
    """Return the fenced blocks of a page in Markdown."""
    return [
        Block(
            found[2],
            re.sub(f"(?m)^{found[1]}", "", found[3]),
            page.count("\n", 0, found.start()) + 2,
        )
        for found in FENCE.finditer(page)
    ]


def differs(expected, got, exact=False):
    """Return the first expected line that is not in what was printed, or None.

    ``…`` stands for anything within a line, and by itself for any number of lines. A number may
    differ by one and a half units of its last digit, or, unless it must be ``exact``, by 2 % if it
    is not whole.
    """
    wanted, there = expected.rstrip("\n").split("\n"), got.rstrip("\n").split("\n")
    place, free = 0, False
    for line in wanted:
        if line.strip() == ANYTHING:
            free = True
            continue
        pattern, numbers = _pattern(line)
        while free and place < len(there) and not _fits(pattern, numbers, there[place], exact):
            place += 1
        if place == len(there) or not _fits(pattern, numbers, there[place], exact):
            return f"{line!r}, and not {there[place] if place < len(there) else 'the end'!r}"
        place, free = place + 1, False
    return None if free or place == len(there) else f"the end, and not {there[place]!r}"


def _pattern(line):
    line = line.rstrip()
    parts, numbers, end = [], [], 0
    for found in NUMBER.finditer(line):
        parts.append(_words(line[end : found.start()]))
        numbers.append(found[0])
        parts.append(f"({NUMBER.pattern})")
        end = found.end()
    return re.compile("".join([*parts, _words(line[end:])])), numbers


def _words(text):
    """Return a pattern for the text between two numbers; widths of columns may differ."""
    spaced = re.split(r"(\s+)", text)
    return "".join(
        r"\s+" if part.isspace() else ".*?".join(map(re.escape, part.split(ANYTHING)))
        for part in spaced
    )


def _fits(pattern, numbers, line, exact):
    found = pattern.fullmatch(line.rstrip())
    return bool(found) and all(
        _close(a, b, 0 if exact else 0.02) for a, b in zip(numbers, found.groups(), strict=True)
    )


def _close(expected, got, share):
    a, b = (float(n.replace(",", "").replace("−", "-")) for n in (expected, got))
    if re.fullmatch(r"[-−]?[\d,]+", expected):
        return a == b
    mantissa, _, power = expected.partition("e")
    unit = 10.0 ** (int(power or 0) - len(mantissa.partition(".")[2]))
    return abs(a - b) <= max(1.5 * unit, share * abs(a))


class _Prompt(code.InteractiveConsole):
    """Python's prompt, which passes on what fails."""

    def showtraceback(self):
        raise

    def showsyntaxerror(self, filename=None, **kwargs):
        raise


class Reader:
    """Somebody who types what a page says, in a folder of their own."""

    def __init__(self, folder):
        self.folder = folder
        self.prompt = _Prompt({"__name__": "__main__"})
        tools = folder.parent / f"{folder.name}-tools"
        tools.mkdir()
        self._small = _tool(tools / "small", SMALL.format(python=sys.executable))
        whole = f"#!{sys.executable}\nimport sys\nfrom charrnn.cli import main\nsys.exit(main())\n"
        self._whole = _tool(tools / "whole", whole)

    def python(self, text):
        """Type Python at the prompt; return what it prints."""
        printed = io.StringIO()
        self.prompt.resetbuffer()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(printed):
            for line in [*text.splitlines(), ""]:
                waits = self.prompt.push(line)
        assert not waits, "the prompt waits for more"
        return printed.getvalue()

    def shell(self, command, small=False):
        """Run a command; return its exit code, and what a terminal shows."""
        path = f"{self._small if small else self._whole}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.folder, text=True, timeout=300,
            env=os.environ | {"PATH": path, "COLUMNS": "80"}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return done.returncode, done.stdout


def commands(text):
    """Yield the commands of a block ``sh``, whose lines may be continued, without comments."""
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        command = re.sub(r"\s{2,}#.*", "", line).strip()
        if command and not command.startswith("#"):
            yield command


def sessions(text):
    """Yield each command of a block ``console`` with what it prints."""
    for part in re.split(r"(?m)^\$ ", text)[1:]:
        command, _, printed = part.partition("\n")
        while command.endswith("\\"):
            more, _, printed = printed.partition("\n")
            command = command[:-1] + more.removeprefix("> ")
        yield command, printed


def _tool(folder, text):
    folder.mkdir()
    path = folder / "charrnn"
    path.write_text(text, "utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return folder
