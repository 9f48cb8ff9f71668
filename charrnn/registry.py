"""Components that are selected by name: cells, optimizers and schedules.

The classes that come with charrnn are found by file, one per file; a file is imported only when
its name is chosen or when all classes are needed. Others are plug-ins: added by
:mod:`charrnn.plugins`, or installed by a package that declares an entry point in the group
``charrnn.cells``, ``charrnn.optimizers`` or ``charrnn.schedules``.

The packages are named as strings, so that a configuration can check a name without importing the
packages above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, ClassVar

from charrnn.display import brief
from charrnn.errors import PluginError, UsageError, setting
from charrnn.installed import plugins_are_installed
from charrnn.options import Option, choose_one_of

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_OPTION = re.compile(r"[a-z][a-z0-9_]{0,39}")
_reserved: set[str] = set()


class Choice:
    """A class that is chosen by name and declares its own options."""

    name: ClassVar[str]
    """Its name: lower-case letters, digits, ``-`` and ``_``."""
    aliases: ClassVar[tuple[str, ...]] = ()
    """Other names by which it can be chosen."""
    options: ClassVar[Mapping[str, Option]] = {}
    """Its own settings by name; the constructor takes their values as keyword arguments."""


class UnknownNameError(UsageError):
    """No class has the name that was chosen."""

    def __init__(self, kind: str, name: str, names: tuple[str, ...]) -> None:
        self.kind, self.name = kind, name
        remedy = (
            f"{choose_one_of(names)}, or give the file that defines it with {setting('plugin')}"
        )
        super().__init__(f"unknown {kind} {name!r}", remedy)


class Registry:
    """The classes of one kind, by name.

    Parameters
    ----------
    kind
        What they are called in messages: ``cell``.
    package
        The package whose files define the built-in ones. A file NAME.py defines a class with
        ``name = "NAME"``; a ``-`` in the name is a ``_`` in the file's. The
        package's ``base.py`` defines the class ``base`` from which all derive.
    base
        The name of that class.
    helpers
        Files of the package that define no class to be chosen.
    """

    def __init__(
        self, kind: str, package: str, base: str, helpers: tuple[str, ...] = ("base",)
    ) -> None:
        self.kind = kind
        self.group = f"charrnn.{kind}s"
        self._package, self._base, self._helpers = package, base, helpers
        self._added: dict[str, type[Choice]] = {}

    @property
    def base(self) -> type[Choice]:
        """The class from which all derive."""
        base: type[Choice] = getattr(import_module(f"{self._package}.base"), self._base)
        return base

    def builtin(self) -> tuple[str, ...]:
        """Return the names of the built-in classes in alphabetical order; imports none of them."""
        return _files(self._package, self._helpers)

    def names(self) -> tuple[str, ...]:
        """Return the names of the built-in classes and loaded plug-ins in alphabetical order."""
        return tuple(sorted({*self.builtin(), *self._added}))

    def canonical(self, name: str) -> str:
        """Return the class's own name for ``name``, which may be an alias.

        Raises
        ------
        UsageError
            If no class has this name.
        PluginError
            If an installed plug-in has this name and cannot be loaded.
        """
        if not isinstance(name, str):
            raise UsageError(f"{setting(self.kind)} must be a string, not {brief(name)}")
        if name in self.builtin() or name in self._added:
            return name
        for found in self.classes():
            if name in found.aliases:
                return found.name
        if name in _entry_points(self.group):
            self._install(name)
            return name
        raise UnknownNameError(self.kind, name, self.names())

    def get(self, name: str) -> type[Any]:
        """Return the class called ``name``, which may be an alias; raises like ``canonical``."""
        own = self.canonical(name)
        if own in self._added:
            return self._added[own]
        module = import_module(f"{self._package}.{own.replace('-', '_')}")
        for found in vars(module).values():
            if isinstance(found, type) and vars(found).get("name") == own:
                return found
        raise TypeError(f"{module.__name__} defines no class with name = {own!r}")

    def classes(self) -> list[type[Choice]]:
        """Return the built-in classes and loaded plug-ins, ordered by name."""
        return [self.get(name) for name in self.names()]

    def owners(self, option: str) -> tuple[str, ...]:
        """Return the names of the classes that declare an option of this name."""
        return tuple(found.name for found in self.classes() if option in found.options)

    def options(self) -> dict[str, dict[str, Option]]:
        """Return for each option's name its declarations by the names of their classes."""
        found: dict[str, dict[str, Option]] = {}
        for each in self.classes():
            for name, option in each.options.items():
                found.setdefault(name, {})[each.name] = option
        return found

    def defaults(self) -> dict[str, Any]:
        """Return the defaults of all options that built-in classes declare."""
        classes = [self.get(name) for name in self.builtin()]
        return {name: o.default for each in classes for name, o in each.options.items()}

    def add(self, found: type[Choice]) -> None:
        """Make a plug-in's class available under its name; raises like :meth:`check`."""
        self.check(found)
        self._added[found.name] = found

    def check(self, found: type[Choice]) -> None:
        """Raise :class:`PluginError` if a class's name, alias or option is invalid or taken."""
        name = found.name
        if not _NAME.fullmatch(name):
            raise PluginError(
                f"{self.kind} {name!r} has an invalid name",
                "begin with a letter a to z; then a to z, 0 to 9, - and _ are valid, 40 in all",
            )
        mine = {name, *found.aliases}
        for each in self.classes():
            for taken in sorted(mine & {each.name, *each.aliases}):
                raise PluginError(
                    f"there is already a {self.kind} {taken!r}", "choose another name"
                )
        for option, declaration in found.options.items():
            self._check_option(f"{self.kind} {name!r}", option, declaration)

    def _check_option(self, owner: str, name: str, option: Option) -> None:
        """Raise :class:`PluginError` if the name of a plug-in's option is invalid or taken.

        Two classes of one kind may share an option, because only one of them is chosen at a time.
        """
        if not isinstance(option, Option) or not _OPTION.fullmatch(name):
            raise PluginError(f"{owner} declares an invalid option {name!r}", "see charrnn.options")
        others = [registry for registry in REGISTRIES if registry is not self]
        if name in _reserved or any(registry.owners(name) for registry in others):
            raise PluginError(f"{owner} declares the option {name}, which is taken", "rename it")
        for declaration in self.options().get(name, {}).values():
            if (declaration.kind, declaration.repeatable) != (option.kind, option.repeatable):
                kind = declaration.kind.__name__
                raise PluginError(
                    f"{owner} declares the option {name}, which is of type {kind} elsewhere",
                    f"rename it, or use {kind}",
                )

    def install_all(self) -> list[PluginError]:
        """Load all installed plug-ins; return the errors of those that cannot be loaded."""
        problems = []
        for name in sorted(set(_entry_points(self.group)) - set(self.names())):
            try:
                self._install(name)
            except PluginError as problem:
                problems.append(problem)
        return problems

    def _install(self, name: str) -> None:
        """Load the installed plug-in that an entry point of this name declares."""
        entry = _entry_points(self.group)[name]
        owner = f"the installed plug-in {entry.value!r}"
        try:
            found = entry.load()
        except Exception as problem:
            reason = f"{type(problem).__name__}: {problem}"
            raise PluginError(f"cannot load {owner} ({reason})", "repair or remove it") from problem
        if not (isinstance(found, type) and issubclass(found, self.base)):
            raise PluginError(f"{owner} is not a {self._package}.base.{self._base}", "correct it")
        if getattr(found, "name", None) != name:
            raise PluginError(
                f"{owner} is not called {name!r}", "name the entry point as its class"
            )
        self.add(found)


@cache
def _files(package: str, helpers: tuple[str, ...]) -> tuple[str, ...]:
    spec = find_spec(package)
    assert spec is not None
    folders = spec.submodule_search_locations
    names = (m.name.replace("_", "-") for m in iter_modules(folders) if m.name not in helpers)
    return tuple(sorted(names))


def _entry_points(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name."""
    if not plugins_are_installed():
        return {}
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in entry_points(group=group)}


def reserve(names: Iterable[str]) -> None:
    """Reserve these names: no plug-in option may use them."""
    _reserved.update(names)


CELLS = Registry("cell", "charrnn.cells", "Cell", ("base", "layouts", "pointwise"))
OPTIMIZERS = Registry("optimizer", "charrnn.train.optimizers", "Optimizer")
SCHEDULES = Registry("schedule", "charrnn.train.schedules", "Schedule")
REGISTRIES = (CELLS, OPTIMIZERS, SCHEDULES)
