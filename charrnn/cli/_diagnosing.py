"""Which options of ``charrnn diagnose`` go together: it examines a run, or something else."""

from __future__ import annotations

import typer

from charrnn.cli.parsing.command import given
from charrnn.cli.parsing.given import is_given, refuse, refuse_decoding
from charrnn.cli.parsing.shared import LABELS, READING, check_reading
from charrnn.config import DataConfig, ModelConfig
from charrnn.errors import UsageError

MODES = {"fresh": "--fresh", "compare": "--compare", "history": "--history"}
"""Options that examine something else than a run's model."""
OF_HISTORY = ("run", "history", "as_json", "html", "plugin")
"""Parameters that ``--history`` allows."""


def check(context: typer.Context) -> None:
    """Refuse options that exclude each other, or have no effect together."""
    modes = [flag for name, flag in MODES.items() if is_given(context, name)]
    if len(modes) > 1:
        raise UsageError(f"{modes[0]} and {modes[1]} exclude each other", "give one of them")
    if "--history" in modes:
        others = [
            name
            for p in context.command.get_params(context)
            if (name := p.name) and name not in OF_HISTORY
        ]
        refuse(
            context, others, "only applies to an examination, but --history shows what was recorded"
        )
    elif modes:
        _check_fresh(context, modes[0])
    else:
        refuse(
            context,
            (*given(context, ModelConfig), "level"),
            "only applies to --fresh and --compare",
        )
        check_reading(given(context, DataConfig))
        refuse(context, ("target_level",), "only applies to --fresh and --compare")
    if "--compare" not in modes:
        refuse(context, ("steps",), "only applies to --compare")
    refuse_decoding(context, context.params["corpus"] or ())
    if not is_given(context, "corpus"):
        refuse(
            context,
            (*READING, *LABELS, "target", "unknown"),
            "only applies to a text that is given",
            "leave it out, or give --corpus",
        )


def _check_fresh(context: typer.Context, mode: str) -> None:
    """Check the options that go with a freshly made model."""
    if is_given(context, "run"):
        raise UsageError(f"{mode} makes its own model", "leave out RUN, or the option")
    refuse(
        context, ("unknown",), f"only applies to a run: with {mode} the model knows the whole text"
    )
    if mode == "--compare":
        refuse(context, ("cell",), "chooses one cell, but --compare names the cells itself")
