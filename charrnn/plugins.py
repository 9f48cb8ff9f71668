"""Plug-ins: cells, optimizers and schedules that are defined outside the package.

A plug-in is a Python file or module with classes that derive from
:class:`charrnn.cells.base.Cell`, :class:`charrnn.train.optimizers.base.Optimizer` or
:class:`charrnn.train.schedules.base.Schedule` and have their own ``name``. It is code, and runs
because the user named it; no checkpoint or other file can name one.
"""

from __future__ import annotations

import sys
import traceback
from hashlib import sha256
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from os import PathLike
from pathlib import Path
from types import ModuleType

import charrnn.config  # noqa: F401 - reserves the names of its fields
from charrnn.display import brief, one_line, quoted, shell
from charrnn.errors import PluginError
from charrnn.registry import REGISTRIES, Choice, Registry

_loaded: dict[str, tuple[str, ...]] = {}


def plugin(source: str | PathLike[str]) -> tuple[str, ...]:
    """Load a plug-in and return the names of what it defines.

    A second call with the same source does nothing more.

    Parameters
    ----------
    source
        A Python file, or the name of a module that can be imported.

    Raises
    ------
    PluginError
        If it cannot be loaded, defines no cell, optimizer or schedule, or uses a name that is
        taken.
    """
    if not isinstance(source, str | PathLike) or "\0" in str(source):
        raise PluginError(f"{brief(source)} is not the name of a file or module", "give one")
    text = str(source)
    path = Path(text)
    is_file = path.suffix == ".py" or path.is_file()
    key = str(path.resolve()) if is_file else text
    if key not in _loaded:
        module = _run(text, key, is_file)
        found = list(_choices(module))
        if not found:
            raise PluginError(
                f"{one_line(text)} defines no cell, optimizer or schedule with a name",
                "derive a class from charrnn.cells.base.Cell, charrnn.train.optimizers.base."
                "Optimizer or charrnn.train.schedules.base.Schedule",
            )
        for registry, choice in found:
            registry.check(choice)
        for registry, choice in found:
            registry.add(choice)
        _loaded[key] = tuple(choice.name for _, choice in found)
    return _loaded[key]


def loaded() -> tuple[str, ...]:
    """Return the files and modules that were loaded as plug-ins, files by absolute path."""
    return tuple(_loaded)


def as_options() -> list[str]:
    """Return the options that load the same plug-ins, to be added to a command."""
    return [word for source in loaded() for word in ("--plugin", source)]


def named(run: object) -> str:
    """Return a run for a command that is pasted into a shell, with the plug-ins that it needs."""
    return " ".join([shell(run), *map(quoted, as_options())])


def _run(text: str, key: str, is_file: bool) -> ModuleType:
    """Import the file or module."""
    if is_file and not Path(key).is_file():
        raise PluginError(f"there is no plug-in file {one_line(text)}", "check the path")
    try:
        return _run_file(key) if is_file else import_module(text)
    except (Exception, SystemExit) as problem:
        where = _line(problem, key)
        reason = one_line(f"{type(problem).__name__}: {problem}")
        raise PluginError(
            f"cannot load the plug-in {one_line(text)}: {where}{reason}", "correct it"
        ) from problem


def _run_file(path: str) -> ModuleType:
    name = f"charrnn_plugin_{Path(path).stem}_{sha256(path.encode()).hexdigest()[:8]}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError("not a Python file")
    module = module_from_spec(spec)
    sys.modules[name] = module  # as dataclasses and pickle expect
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _line(problem: BaseException, path: str) -> str:
    """Return where in a plug-in's file an error was raised: ``line 12: ``, or an empty string."""
    if isinstance(problem, SyntaxError) and problem.lineno is not None:
        return f"line {problem.lineno}: "
    frames = traceback.extract_tb(problem.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == path]
    return f"line {lines[-1]}: " if lines else ""


def _choices(module: ModuleType) -> list[tuple[Registry, type[Choice]]]:
    """Return the classes that a module or its submodules define and that have a ``name``."""
    found = []
    for value in vars(module).values():
        if not isinstance(value, type) or "name" not in vars(value):
            continue
        if not f"{value.__module__}.".startswith(f"{module.__name__}."):
            continue  # imported from elsewhere
        found += [(r, value) for r in REGISTRIES if issubclass(value, r.base)]
    return found
