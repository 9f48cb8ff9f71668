"""Starting is light: the list of what may be loaded for help and for wrong options."""

import subprocess
import sys

import pytest

MAY_BE_LOADED = {"charrnn", "typer", "shellingham", "annotated_doc", "typing_extensions"}
"""Besides the standard library: the command line itself, and what Typer brings along."""
BELOW_THE_COMMAND_LINE = {
    *("charrnn.backend", "charrnn.cells", "charrnn.model", "charrnn.train"),
    "charrnn.cli",
    "charrnn.config",
    "charrnn.diagnosis",
    "charrnn.display",
    "charrnn.errors",
    "charrnn.options",
    "charrnn.registry",
    "charrnn.sampling",
    "charrnn.settings",
}
"""The parts of charrnn that declare options, defaults and errors, and what these are built on."""

COMMANDS = ("train", "sample", "eval", "info", "runs", "corpus", "bench", "diagnose")


def loaded(arguments):
    """Return the modules that a command line adds to an empty Python, and its exit code."""
    code = (
        "import sys\nbefore = set(sys.modules)\nfrom charrnn.cli.app import run\n"
        f"code = run({arguments!r})\n"
        "print('loaded', code, *(set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    code, *names = done.stderr.rsplit("loaded ", 1)[1].split()
    return int(code), set(names)


def foreign(names):
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)


@pytest.mark.parametrize("arguments", [[], *([name] for name in COMMANDS)])
def test_help_loads_nothing_but_the_command_line(arguments):
    code, names = loaded([*arguments, "--help"])
    assert code == 0
    assert "typer" in names
    assert foreign(names) <= MAY_BE_LOADED
    own = {".".join(name.split(".")[:2]) for name in names if name.startswith("charrnn.")}
    assert own <= BELOW_THE_COMMAND_LINE


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["train", "hello", "--no-such-option"],
        ["train", "hello", "--hidden", "many"],
        ["train"],
        ["train", "hello", "--hidden", "-3"],
        ["train", "hello", "--cell", "elman"],
        ["train", "hello", "--optimizer", "newton"],
        ["train", "hello", "--gru-reset", "before"],
        ["sample", "--temp", "-1"],
        ["sample", "--length", "-5"],
        ["sample", "--prime", "a", "--prime-file", "b"],
        ["eval", "--split", "val", "--per-line", "--per-char"],
        ["bench", "--seconds", "0"],
        ["bench", "--hidden", "0"],
        ["bench", "--cell", "elman"],
    ],
)
def test_wrong_options_are_told_before_anything_heavy_is_loaded(arguments):
    code, names = loaded(arguments)
    assert code == 2
    assert "numpy" not in names
    assert foreign(names) <= MAY_BE_LOADED
