"""What can be chosen by name: cells.

The built-in classes are found by file, one a file, and a file is imported only when its name is
chosen or when all have to be known. The rooms are named here as strings, so that a configuration
can check a name without importing what lies above it.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import Any

from charrnn.errors import UsageError
from charrnn.options import one


class Registry:
    """The classes of one kind, by name.

    Parameters
    ----------
    kind
        What they are called in messages: ``cell``.
    package
        The package whose files define the built-in ones. A file called NAME defines one class with
        ``name = "NAME"``. Its ``base`` defines the class from which all derive.
    helpers
        Files of the package that define none.
    """

    def __init__(self, kind: str, package: str, helpers: tuple[str, ...] = ("base",)) -> None:
        self.kind = kind
        self._package = package
        self._helpers = helpers

    def builtin(self) -> tuple[str, ...]:
        """Return the names of the built-in classes in alphabetical order; imports none of them."""
        return _files(self._package, self._helpers)

    def names(self) -> tuple[str, ...]:
        """Return the names of all classes in alphabetical order."""
        return self.builtin()

    def canonical(self, name: str) -> str:
        """Return the class's own name for ``name``, which may be an alias of it.

        Raises
        ------
        UsageError
            If there is no such class.
        """
        if name in self.builtin():
            return name
        for own in self.names():
            if name in self.get(own).aliases:
                return own
        raise UsageError(f"unknown {self.kind} {name!a}", one(self.names()))

    def get(self, name: str) -> type[Any]:
        """Return the class called ``name``, which may be an alias.

        Raises
        ------
        UsageError
            If there is no such class.
        """
        own = self.canonical(name)
        module = import_module(f"{self._package}.{own}")
        for found in vars(module).values():
            if isinstance(found, type) and vars(found).get("name") == own:
                return found
        raise TypeError(f"{module.__name__} defines no class with name = {own!r}")


@cache
def _files(package: str, helpers: tuple[str, ...]) -> tuple[str, ...]:
    spec = find_spec(package)
    assert spec is not None
    folders = spec.submodule_search_locations
    return tuple(sorted(m.name for m in iter_modules(folders) if m.name not in helpers))


CELLS = Registry("cell", "charrnn.cells", ("base", "pointwise"))
