"""Starting is light: the list of what may be loaded for help and for wrong options."""

import json
import subprocess
import sys

MAY_BE_LOADED = {"charrnn", "typer", "shellingham", "annotated_doc", "typing_extensions"}
"""Besides the standard library: the command line itself, and what Typer brings along."""
BELOW_THE_COMMAND_LINE = {
    *("charrnn.backend", "charrnn.cells", "charrnn.model", "charrnn.train"),
    "charrnn.architecture",
    "charrnn.reading",
    "charrnn.cli",
    "charrnn.config",
    "charrnn.diagnosis",
    "charrnn.display",
    "charrnn.errors",
    "charrnn.evaluate",
    "charrnn.installed",
    "charrnn.lazy",
    "charrnn.options",
    "charrnn.registry",
    "charrnn.sampling",
    "charrnn.settings",
    "charrnn.sweep",
}
"""The parts of charrnn that declare options, defaults and errors, and what these are built on."""

COMMANDS = (
    "train",
    "sweep",
    "sample",
    "eval",
    "plot",
    "view",
    "info",
    "runs",
    "corpus",
    "bench",
    "diagnose",
    "export",
    "import",
    "completion",
    "man",
)


def loaded(command_lines):
    """Run command lines in one new Python; return each with its exit code and what is loaded then.

    What is loaded are the modules that all command lines so far have added to an empty Python.
    """
    code = (
        "import json, sys\nbefore = set(sys.modules)\nfrom charrnn.cli.app import run\n"
        f"for arguments in {command_lines!r}:\n"
        "    code = run(arguments)\n"
        "    added = sorted(set(sys.modules) - before)\n"
        "    print('loaded', json.dumps([arguments, code, added]), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("loaded ")]
    assert len(lines) == len(command_lines)
    return [json.loads(line.removeprefix("loaded ")) for line in lines]


def foreign(names):
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)


def test_help_loads_nothing_but_the_command_line():
    for arguments, code, names in loaded([["--help"], *([name, "--help"] for name in COMMANDS)]):
        assert code == 0, arguments
        assert "typer" in names
        assert foreign(names) <= MAY_BE_LOADED, arguments
        own = {".".join(name.split(".")[:2]) for name in names if name.startswith("charrnn.")}
        assert own <= BELOW_THE_COMMAND_LINE, arguments


WRONG = (
    ["nonsense"],
    ["train", "hello", "--no-such-option"],
    ["train", "hello", "--hidden", "many"],
    ["train"],
    ["train", "hello", "--hidden", "-3"],
    ["train", "hello", "--cell", "elman"],
    ["train", "hello", "--optimizer", "newton"],
    ["train", "hello", "--gru-reset", "before"],
    ["sweep", "hello"],
    ["sweep", "hello", "--try", "hiddn=3"],
    ["sweep", "hello", "--try", "hidden=0,3"],
    ["sweep", "hello", "--try", "hidden=3..5"],
    ["sample", "--temp", "-1"],
    ["sample", "--length", "-5"],
    ["sample", "--prime", "a", "--prime-file", "b"],
    ["eval", "--split", "val", "--per-line", "--per-char"],
    ["bench", "--seconds", "0"],
    ["bench", "--hidden", "0"],
    ["bench", "--cell", "elman"],
    ["export", "--out", "m"],
    ["export", "--to", "nothing"],
    ["import"],
    ["plot", "--out", "a.txt"],
    ["plot", "--x", "letters"],
    ["view", "--length", "1"],
)


def test_wrong_options_are_reported_before_anything_heavy_is_loaded():
    for arguments, code, names in loaded(WRONG):
        assert code == 2, arguments
        assert "numpy" not in names, arguments
        assert foreign(names) <= MAY_BE_LOADED, arguments
