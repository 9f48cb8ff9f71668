"""The command line as a user runs it: in a new process, or, faster, in this one."""

import contextlib
import io
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import typer
from helpers.command_tree import commands, options
from helpers.messages import foreign

from charrnn.cli.app import run
from charrnn.cli.parsing import command as building

ENDLESS = ["--hidden", "8", "--steps", "1000000", "--log-every", "1"]
ENDLESS += ["--save-every", "0", "--eval-every", "0", "--backend", "numpy"]
"""Options of a small run that does not end by itself."""

PIPES = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}


def command(*arguments):
    """Return the command line that runs charrnn with this Python."""
    return [sys.executable, "-m", "charrnn", *map(str, arguments)]


def charrnn(*arguments, text=True, env=None, **options):
    """Run a command to its end in a new process; return exit code and output.

    ``env`` is added to the environment. One thread for BLAS is enough for what tests compute.
    """
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        encoding="utf-8" if text else None,
        timeout=120,
        env=_environment(env),
        **options,
    )


def start(*arguments, env=None, **options):
    """Start a command whose output is read through pipes; return its process."""
    return subprocess.Popen(
        command(*arguments), encoding="utf-8", env=_environment(env), **{**PIPES, **options}
    )


def inside(*arguments, cwd=None, text=True):
    """Run a command to its end in this process, which takes a tenth of the time.

    It is not for signals, standard input or closed streams. An exception is not caught. What it
    says must name only options that the command has.
    """
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with (
        contextlib.chdir(cwd or Path.cwd()),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = run([str(argument) for argument in arguments])
    told = []
    for stream in (out, err):
        stream.flush()
        data = stream.buffer.getvalue()
        told.append(data.decode() if text else data)
    check_names(arguments, told[1])
    return subprocess.CompletedProcess(arguments, code, *told)


def built_once(patch):
    """Keep the commands that were built, in the form that a process of their own has.

    What they declare is found anew each time: plug-ins add to it.
    """
    build = cache(building.build)

    def kept(name, function):
        command = build(name, function)
        command._declared = None
        return command

    patch.setattr(building, "build", kept)
    patch.setattr(typer.main, "get_command", cache(typer.main.get_command))


def check_names(arguments, told):
    """Check that what a command said on standard error names only options that it has."""
    told = told.decode() if isinstance(told, bytes) else told
    command = " ".join(map(str, arguments[: 2 if arguments[:1] == ("corpus",) else 1]))
    if "--" in told and command in known_options():
        wrong = foreign(command, told.replace("No such option: --", ""), known_options())
        assert not wrong, f"{command} has no {', '.join(wrong)}: {told}"


@cache
def known_options():
    """Return the options of each command; ``info`` also shows those of ``train``."""
    known = {name: options(command) for name, command in commands().items() if name}
    known["info"] |= known["train"]
    return known


def _environment(more):
    return {**os.environ, "OPENBLAS_NUM_THREADS": "1", **(more or {})}
