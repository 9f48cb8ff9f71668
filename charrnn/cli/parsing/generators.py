"""A command with the options of every generator of a built-in corpus."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import typer
from typer.core import TyperOption

from charrnn.cli.parsing.command import Command
from charrnn.errors import option
from charrnn.options import declared

_OPTIONS = "charrnn.generator_options"
CORPUS = "Built-in corpus"
"""Group of options."""


class GeneratorCommand(Command):
    """A command that also takes the options of every generator, each declared by its corpus.

    The values given are left in ``ctx.meta``; the command checks whether the named corpus has
    the option.
    """

    @cached_property
    def _generator_params(self) -> list[Any]:
        from charrnn.text import builtin

        kinds: dict[str, type] = {}
        helps: dict[str, list[str]] = {}
        for name in builtin.NAMES:
            for key, item in declared(builtin.get(name)).items():
                kinds[key] = item.kind
                limits = f"from {item.least} to {item.most}, by default {item.default}"
                helps.setdefault(key, []).append(f"{name}: {item.help}; {limits}")
        return [
            TyperOption(
                param_decls=[option(key), key],
                type=kinds[key],
                help=". ".join(texts) + ".",
                callback=_keep_option,
                expose_value=False,
                rich_help_panel=CORPUS,
            )
            for key, texts in sorted(helps.items())
        ]

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the declared parameters and the generators' options."""
        *declared, help_option = super().get_params(ctx)
        return [*declared, *self._generator_params, help_option]


def _keep_option(ctx: Any, param: Any, value: Any) -> None:
    if value is not None:
        ctx.meta.setdefault(_OPTIONS, {})[param.name] = value


def generator_options(ctx: typer.Context) -> dict[str, Any]:
    """Return the options of generators that were given, by name."""
    options: dict[str, Any] = ctx.meta.get(_OPTIONS, {})
    return options
