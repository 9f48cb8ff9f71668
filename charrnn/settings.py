"""Base class of the configurations: a frozen dataclass of settings, checked on construction.

Some settings choose a class by name, such as a cell, and the class declares its own settings.
Those are given like the others, ``ModelConfig(cell="gru", gru_reset="before")``, and kept in
``config.cell_options``. In a file all settings are in one flat object, so that a
setting may move from a configuration to a class, or back, and older files stay valid.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from charrnn.display import brief
from charrnn.errors import CheckpointError, UsageError, in_words, option, setting
from charrnn.options import MAX_FREE_TEXT, Option, check_values, declared
from charrnn.registry import Registry, UnknownNameError

_MAX_TEXT = 100  # characters of a string in a file


class Values(Mapping[str, Any]):
    """Values by name, immutable and hashable."""

    def __init__(self, values: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._values})"


@dataclass(frozen=True, init=False)
class Configuration:
    """A set of settings; every instance is valid.

    Parameters
    ----------
    **settings
        Fields, and options of the classes that the fields choose; missing ones get their defaults.

    Raises
    ------
    UsageError
        If a setting is unknown, belongs to another class than the chosen one, or is invalid.
    """

    chosen: ClassVar[Mapping[str, Registry]] = {}
    """The fields that choose a class by name. A field ``NAME_options`` holds its options."""

    def __init__(self, **settings: Any) -> None:
        for field in self.chosen:
            if field in settings:
                settings[field] = self.chosen[field].canonical(settings[field])
        for name, how in declared(type(self)).items():
            value = settings.pop(name, how.default)
            object.__setattr__(self, name, how.check(name, value))
        for field in self.chosen:
            given = settings.pop(f"{field}_options", {})
            if not isinstance(given, Mapping):
                name = f"{field}_options"
                raise UsageError(f"{name} must be a mapping of options, not {brief(given)}")
            given = dict(given)
            own = self.own_options(field)
            given |= {name: settings.pop(name) for name in own if name in settings}
            for name in given:
                if name not in own:
                    self._refuse(name)
            object.__setattr__(self, f"{field}_options", Values(check_values(own, given)))
        for name in settings:
            self._refuse(name)
        self._check_together()

    def _check_together(self) -> None:
        """Raise :class:`UsageError` if settings that are valid alone exclude each other."""

    def unused(self) -> dict[str, str]:
        """Return the settings that have no effect together with the others, and why, by name.

        Each reason completes a sentence that begins with the setting's name.
        """
        return {}

    def refuse_unused(self, given: Iterable[str]) -> None:
        """Raise :class:`UsageError` if a setting that was given has no effect."""
        unused = self.unused()
        for name in given:
            if name in unused:
                raise UsageError(f"{setting(name)} {unused[name]}", "leave it out")

    def own_options(self, field: str) -> Mapping[str, Option]:
        """Return the options of the class that ``field`` chooses."""
        options: Mapping[str, Option] = self.chosen[field].get(getattr(self, field)).options
        return options

    def _refuse(self, name: str) -> None:
        for field, registry in self.chosen.items():
            owners = registry.owners(name)
            if owners:
                raise UsageError(
                    f"{setting(name)} only applies to {setting(field)} {' or '.join(owners)}, "
                    f"not {getattr(self, field)}",
                    "leave it out",
                )
        fields = f"{type(self).__module__}.{type(self).__name__}"
        raise UsageError(f"unknown option {name!r}", f"see the fields of {fields}")

    @classmethod
    def knows(cls, name: str) -> bool:
        """Return whether ``name`` is a field, or an option of a class that a field can choose."""
        own = {f.name for f in fields(cls)}
        return name in own or any(registry.owners(name) for registry in cls.chosen.values())

    def settings(self) -> dict[str, Any]:
        """Return all settings by name, the options of the chosen classes among them."""
        groups = {f"{field}_options" for field in self.chosen}
        found = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in groups}
        for group in sorted(groups):
            found |= getattr(self, group)
        return found

    def get(self, name: str) -> Any:
        """Return the value of a setting, None if it belongs to a class that is not chosen."""
        return self.settings().get(name)

    def declarations(self) -> dict[str, Option]:
        """Return the declaration of each setting, those of the chosen classes among them."""
        found = dict(declared(type(self)))
        for field in self.chosen:
            found |= self.own_options(field)
        return found

    def words(self, names: Iterable[str]) -> list[str]:
        """Return the words of a command line that give these settings, of those with a value."""
        how, words = self.declarations(), list[str]()
        for name in names:
            value = self.get(name)
            for each in value if isinstance(value, tuple) else (value,):
                words += how[name].words(option(name), each) if each is not None else ()
        return words

    def changed(self, **settings: Any) -> Self:
        """Return a copy with other settings.

        If another class is chosen, its options start at their defaults.
        """
        kept = self.settings()
        for field, registry in self.chosen.items():
            if field in settings and registry.canonical(settings[field]) != kept[field]:
                kept = {k: v for k, v in kept.items() if k not in self.own_options(field)}
        return type(self)(**(kept | settings))

    def to_json(self) -> dict[str, Any]:
        """Return all settings as values of JSON."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in self.settings().items()}

    def facts(self, most: int = 100) -> dict[str, Any]:
        """Return all settings as values of JSON, in brief.

        A list is cut after its first ``most`` entries; ``NAME_count`` is their number.
        """
        found: dict[str, Any] = {}
        for name, value in self.settings().items():
            if isinstance(value, tuple):
                found |= {name: list(value[:most]), f"{name}_count": len(value)}
            else:
                found[name] = value
        return found

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Rebuild a configuration that :meth:`to_json` wrote.

        A field that is missing, because an older version wrote the file, gets its default. An
        option of a built-in class that is not chosen, as older versions wrote them all, is dropped.

        Raises
        ------
        CheckpointError
            If a field is unknown, of the wrong type, or invalid.
        """
        if not isinstance(data, dict):
            raise CheckpointError(f"damaged configuration: {cls.__name__} is not an object")
        try:
            options, foreign = cls._declarations(data)
        except UnknownNameError as problem:
            raise CheckpointError(
                f"the run needs the {problem.kind} {problem.name!r}, which is not installed",
                f"give the file that defines it with {setting('plugin')}",
            ) from None
        refuse_unknown(data, options.keys() | foreign.keys())
        values = {}
        for name, value in data.items():
            option = options.get(name) or foreign[name]
            if not _from_json(value, option):
                raise CheckpointError(
                    f"damaged configuration: {cls.__name__}.{name} has the wrong type"
                )
            if name in options:
                values[name] = value
        try:
            return cls(**values)
        except UsageError as problem:
            raise CheckpointError(f"damaged configuration: {in_words(problem.message)}") from None

    @classmethod
    def _declarations(cls, data: dict[Any, Any]) -> tuple[dict[str, Option], dict[str, Option]]:
        """Return the options that a file's settings have, and those of classes not chosen."""
        foreign: dict[str, Option] = {}
        options = declared(cls)
        for field, registry in cls.chosen.items():
            name = data.get(field, options[field].default)
            if isinstance(name, str):
                options |= registry.get(name[:_MAX_TEXT]).options
        unknown = [name for name in data if name not in options]
        for registry in cls.chosen.values() if unknown else ():
            for owner in registry.builtin():
                foreign |= registry.get(owner).options
        return options, foreign


def refuse_unknown(data: Iterable[object], known: Container[str]) -> None:
    """Raise :class:`CheckpointError` for a field that this version does not have."""
    for name in data:
        if name not in known:
            raise CheckpointError(
                f"its field {str(name)[:60]!r} is unknown", "a newer charrnn may have written it"
            )


def _from_json(value: object, option: Option) -> bool:
    """Return whether a value of JSON has the type of an option."""
    if value is None:
        return option.default is None
    if option.repeatable:
        return isinstance(value, list) and all(
            isinstance(item, str) and "\0" not in item for item in value
        )
    if option.kind is str:
        if option.free:
            return isinstance(value, str) and len(value) <= MAX_FREE_TEXT
        return isinstance(value, str) and len(value) <= _MAX_TEXT and value.isprintable()
    if option.kind is bool:
        return isinstance(value, bool)
    return type(value) is int or (type(value) is float and option.kind is float)
