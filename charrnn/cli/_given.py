"""Options that were given although they have no effect beside others: they are refused.

An option counts as given if it stands on the command line, even with its default.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import typer

from charrnn.cli._command import given
from charrnn.config import DECODING, DataConfig
from charrnn.errors import UsageError

LEAVE_OUT = "leave it out"


def is_given(context: typer.Context, name: str) -> bool:
    """Whether the parameter called ``name`` stands on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def refuse(context: typer.Context, names: Iterable[str], why: str, remedy: str = LEAVE_OUT) -> None:
    """Raise :class:`UsageError` if one of these parameters was given.

    ``why`` completes a sentence that begins with the option's name.
    """
    flags = {param.name: param.opts[0] for param in context.command.get_params(context)}
    for name in names:
        if is_given(context, name):
            raise UsageError(f"{flags[name]} {why}", remedy)


def refuse_decoding(context: typer.Context, texts: Sequence[str]) -> None:
    """Refuse what says how text is decoded, if it has no effect on the texts."""
    of_text = given(context, DataConfig)
    if of_text:
        from charrnn.text.finding import undecoded

        data = DataConfig(**{k: v for k, v in of_text.items() if k in DECODING})
        for name, why in undecoded(texts, data.encoding, data.errors).items():
            refuse(context, (name,), why)
