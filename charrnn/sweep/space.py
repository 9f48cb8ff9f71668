"""What a sweep tries: for each setting a list of values or a range, as ``--try`` gives it.

``hidden=128,256`` is a list, ``dropout=0..0.6`` a range, ``lr=0.001..0.02:log`` a range on a
logarithmic scale, and ``hidden=64..256:64`` one in steps, which has a list of values, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from math import floor, prod
from random import Random
from typing import Any

from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.display import brief, did_you_mean, quoted
from charrnn.errors import UsageError, option, setting
from charrnn.exchange.synonyms import setting_meant, value_meant
from charrnn.options import Option, declared
from charrnn.settings import Configuration
from charrnn.sweep.settings import GRID, TPE, SweepConfig
from charrnn.train.opening.request import Request

Value = bool | int | float | str | None

_RANGE = re.compile(r"(?P<low>[^.].*?|\.\d.*?)\.\.(?P<high>[^:]+)(:(?P<how>.+))?")
_BOOLS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_DIGITS = 6
"""Significant digits of a number that is drawn from a range."""
_MOST_POINTS = 100_000
_MOST_CHECKS = 2_000
_EXAMPLE = "write NAME=VALUES, such as hidden=128,256 or lr=0.001..0.02:log"
OF_RANKS = ("sync_every", "outer_lr", "outer_momentum", "shard_files")
"""Settings of several ranks of one run."""
_MEASURE = frozenset({*declared(DataConfig), "task", "eval_chars"})
"""Settings that change what the validation loss is measured on, so that no two can be compared."""


@dataclass(frozen=True)
class Axis:
    """The values of one setting.

    Attributes
    ----------
    name
        The setting.
    values
        What is tried, in the order given; empty for a range without steps.
    low, high, log
        The range, both ends included, if ``values`` is empty.
    """

    name: str
    values: tuple[Value, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False

    @property
    def corners(self) -> tuple[Value, ...]:
        """The values at which the range of valid ones shows: all that are listed, or both ends."""
        return self.values or (self.low, self.high)

    def rounded(self, drawn: Value) -> Value:
        """Return a value as a trial gets it: one that can be typed, within the range."""
        if self.values or not isinstance(drawn, float):
            return drawn
        return min(max(float(f"{drawn:.{_DIGITS}g}"), self.low), self.high)

    def __str__(self) -> str:
        if self.values:
            return f"{self.name}={','.join(map(shown, self.values))}"
        return f"{self.name}={self.low}..{self.high}{':log' if self.log else ''}"


def shown(value: Value) -> str:
    """Return a value as ``--try`` reads it."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Space:
    """The axes of a sweep, and the settings that all of its trials share.

    Attributes
    ----------
    axes
        What is tried.
    shared
        A training run with the settings that were given for all trials.
    """

    axes: tuple[Axis, ...]
    shared: Request

    @property
    def is_finite(self) -> bool:
        """Whether every axis lists its values."""
        return all(axis.values for axis in self.axes)

    def search(self, config: SweepConfig) -> str:
        """Return how a sweep searches.

        Raises
        ------
        UsageError
            If it would never end.
        """
        search = config.search or (GRID if self.is_finite else TPE)
        if search != GRID and config.trials is None and config.total_minutes is None:
            raise UsageError(
                f"{setting('search')} {search} has no end",
                f"give {setting('trials')} or {setting('total_minutes')}",
            )
        return search

    def settings(self, search: str) -> dict[str, str]:
        """Return what all processes of a sweep must agree on, as it is typed."""
        shared = self.shared
        found = {f"--try {axis.name}": str(axis).partition("=")[2] for axis in self.axes}
        for name, value in {**shared.model, **shared.data, **shared.train}.items():
            found[option(name)] = " ".join(value) if isinstance(value, tuple) else shown(value)
        if shared.init_from is not None:
            found["--init-from"] = shared.init_from
        return found | {"--search": search}

    def request(self, values: Mapping[str, Value], out: str | None = None) -> Request:
        """Return the training run of a trial with these values, into the folder ``out``.

        A trial is not planned unless that is asked for: trials differ in what is tried, and their
        losses are of the same symbols.
        """
        model = {name: value for name, value in values.items() if ModelConfig.knows(name)}
        train = {name: value for name, value in values.items() if name not in model}
        return replace(
            self.shared,
            model={**self.shared.model, **model},
            train={"plan": "none", **self.shared.train, **train},
            out=out,
        )

    def points(self, seed: int) -> list[dict[str, Value]]:
        """Return every combination of the listed values, in an order drawn by the seed.

        Raises
        ------
        UsageError
            If an axis is a range, or there are too many.
        """
        for axis in self.axes:
            if not axis.values:
                raise UsageError(
                    f"{setting('search')} grid needs lists, but {setting('try')} {axis} is a range",
                    f"list its values, give its step ({axis.name}=LOW..HIGH:STEP), or set "
                    f"{setting('search')} to random or tpe",
                )
        number = prod(len(axis.values) for axis in self.axes)
        if number > _MOST_POINTS:
            raise UsageError(
                f"the grid has {number:,} combinations",
                f"list fewer values, or set {setting('search')} to random or tpe",
            )
        names = [axis.name for axis in self.axes]
        rows = product(*(axis.values for axis in self.axes))
        found = [dict(zip(names, row, strict=True)) for row in rows]
        Random(seed).shuffle(found)
        return found

    def check(self) -> None:
        """Raise :class:`UsageError` if a value, or a combination of values, is invalid.

        Of very many combinations the first ones are checked. Loads nothing heavy.
        """
        names = [axis.name for axis in self.axes]
        for row in islice(product(*(axis.corners for axis in self.axes)), _MOST_CHECKS):
            values = dict(zip(names, row, strict=True))
            try:
                self.request(values).check()
            except UsageError as problem:
                if self._is_invalid(problem.message):
                    raise
                point = " ".join(f"{name}={shown(value)}" for name, value in values.items())
                remedy = "try in one sweep only what goes together"
                raise UsageError(f"with {point}: {problem.message}", remedy) from None

    def _is_invalid(self, why: str) -> bool:
        """Whether what all trials share is invalid by itself, for the same reason."""
        try:
            self.shared.check()
        except UsageError as problem:
            return problem.message == why
        return False


def read(tries: Sequence[str], shared: Request) -> Space:
    """Return the space that ``--try`` gives.

    Raises
    ------
    UsageError
        If one is mistyped, names an unknown setting or one that cannot be tried, or has an invalid
        value.
    """
    if not tries:
        raise UsageError(f"nothing to try: {setting('try')} is missing", _EXAMPLE)
    axes: dict[str, Axis] = {}
    given = {*shared.model, *shared.data, *shared.train}
    for name in given.intersection(OF_RANKS):
        _refuse_ranks(name)
    for typed in tries:
        axis = _axis(typed)
        if axis.name in axes:
            raise UsageError(f"{setting('try')} has {axis.name} twice", "give all values in one")
        if axis.name in given:
            why = f"is given for all trials, but {setting('try')} varies it"
            raise UsageError(f"{setting(axis.name)} {why}", "leave one of them out")
        axes[axis.name] = axis
    return Space(tuple(axes.values()), shared)


def _refuse_ranks(name: str) -> None:
    why = "is for several ranks of one run, but each trial of a sweep has one process"
    raise UsageError(f"{setting(name)} {why}", "leave it out")


def tried(typed: str) -> str:
    """Return the setting that one ``--try`` varies."""
    return typed.partition("=")[0].strip().removeprefix("--").replace("-", "_")


def _axis(typed: str) -> Axis:
    """Return the axis of one ``--try``."""
    name, (_, equals, values) = tried(typed), typed.partition("=")
    if not equals or not values.strip():
        raise UsageError(f"{setting('try')} {brief(typed)} has no values", _EXAMPLE)
    declaration = _option(name, values)
    found = _RANGE.fullmatch(values.strip())
    if found is not None:
        return _range(name, declaration, found)
    listed = tuple(_value(name, declaration, word.strip()) for word in values.split(","))
    for value in listed:
        if listed.count(value) > 1:
            raise UsageError(
                f"{setting('try')} {brief(typed)} has {shown(value)} twice", "leave one out"
            )
    return Axis(name, listed)


def _option(name: str, values: str) -> Option:
    """Return the declaration of a setting of training that can be tried."""
    options = dict(_declarations((ModelConfig, TrainConfig, DataConfig)))
    if name in _MEASURE.difference(OF_RANKS):
        why = "the validation losses of its trials could not be compared"
        remedy = f"give {setting(name)} for all trials, and make a sweep for each value"
        raise UsageError(f"{setting('try')} cannot vary {name}: {why}", remedy)
    if name in OF_RANKS:
        _refuse_ranks(name)
    if name in options:
        return options[name]
    raise UsageError(
        f"{setting('try')} names {brief(name)}, which is not an option",
        _advice(name, values, options),
    )


def _advice(name: str, values: str, options: Mapping[str, Option]) -> str:
    """Return what to do about a setting that does not exist."""
    words = [word.strip() for word in values.split(",")]
    if meant := setting_meant(name, options.keys() - _MEASURE.union(OF_RANKS), words[0]):
        listed = ",".join(dict.fromkeys(str(value_meant(meant, word)) for word in words))
        return f"here it is {meant}: {setting('try')} {quoted(f'{meant}={listed}')}"
    return did_you_mean(name, options, cutoff=0.6) or "charrnn train --help lists them"


def _declarations(
    configs: Iterable[type[Configuration]],
) -> Iterator[tuple[str, Option]]:
    """Yield the declarations of all settings, those of the classes that may be chosen included."""
    for config in configs:
        yield from declared(config).items()
        for registry in config.chosen.values():
            for name, owners in registry.options().items():
                yield name, next(iter(owners.values()))


def _value(name: str, option: Option, word: str) -> Value:
    """Return one value, checked against its declaration."""
    value: Any = word
    if word == "none" and option.default is None:
        value = None
    elif option.kind is bool:
        value = _BOOLS.get(word.lower(), word)
    elif option.kind in (int, float):
        try:
            value = option.kind(word)
        except ValueError:
            value = word  # the check says what it must be
    checked: Value = option.check(name, value)
    return checked


def _range(name: str, option: Option, found: re.Match[str]) -> Axis:
    """Return the axis of a range."""
    typed = f"{setting('try')} {name}={found[0]}"
    if option.kind not in (int, float):
        raise UsageError(f"{typed} is a range, but {name} is not a number", "list its values")
    low, high = (_value(name, option, found[end].strip()) for end in ("low", "high"))
    if not isinstance(low, int | float) or not isinstance(high, int | float) or low >= high:
        raise UsageError(f"{typed} is an empty range", "write LOW..HIGH")
    how = found["how"]
    if how == "log":
        if low <= 0:
            raise UsageError(f"{typed} has no logarithm at {low}", "begin above 0")
        return Axis(name, low=low, high=high, log=True)
    if how is None:
        return Axis(name, low=low, high=high)
    try:
        step = option.kind(how)
        number = floor((high - low) / step * (1 + 1e-12)) + 1
    except (ValueError, ZeroDivisionError, OverflowError):
        step, number = 0, 0
    if step <= 0:
        raise UsageError(f"{typed} has no step above 0", "write LOW..HIGH:STEP or LOW..HIGH:log")
    if number > _MOST_POINTS:
        raise UsageError(f"{typed} has {number:,} values", "give a larger step")
    rows = (low + k * step for k in range(number))
    return Axis(name, tuple(option.kind(f"{x:.12g}") if option.kind is float else x for x in rows))
