"""Options of ``charrnn sample``, and which of them go together."""

from __future__ import annotations

from typing import Annotated

import typer

from charrnn.cli.parsing.given import is_given, refuse
from charrnn.cli.parsing.shared import note
from charrnn.display import count as counted
from charrnn.errors import UsageError
from charrnn.sampling.options import MAX_SPAN, SampleOptions, check_beam

SAMPLE, PRIME, DRAWING, NOVELTY = "Sample", "Prime", "Drawing", "New text only"
"""Groups of options."""
Novel = Annotated[
    bool,
    typer.Option(
        "--novel",
        help="Draw a line again if it occurs in the run's text, held-out parts included. A "
        "line ends with a newline, or where its document or text ends.",
        rich_help_panel=NOVELTY,
    ),
]
NovelSpan = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Copy at most N symbols in a row from that text.",
        show_default=False,
        rich_help_panel=NOVELTY,
    ),
]
NovelText = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TEXT",
        help="The text that must not be copied, if it is another one or has moved; may be "
        "repeated. [default: the run's own]",
        show_default=False,
        rich_help_panel=NOVELTY,
    ),
]

OF_DRAWING = (
    *("temperature", "temperature_end", "top_k", "top_p", "min_p"),
    *("repetition_penalty", "repetition_window", "seed", "novel", "novel_span", "novel_text"),
)
"""Parameters that have an effect only if text is drawn at random."""
OF_REPETITION = ("repetition_penalty", "repetition_window", "no_repeat")
"""Parameters that have an effect only after some text."""
OF_SAMPLES = (
    *("length", "until", "until_join", "count", "seed", "no_echo", "each_line", "beam"),
    *("novel", "novel_span", "novel_text", "temperature_end"),
)
"""Parameters that have an effect only if there are samples."""


def check(context: typer.Context, options: SampleOptions) -> None:
    """Refuse options that are invalid, contradict each other, or have no effect with others.

    Loads nothing heavy, so that a mistyped option fails at once.
    """
    _check_numbers(context)
    _refuse_useless(context)
    _refuse_greedy(context, options)
    values = context.params
    if is_given(context, "until") and not values["until"]:
        raise UsageError("--until is empty", "leave it out, or name the text that ends a sample")
    if not (values["each_line"] or is_given(context, "prime") or is_given(context, "prime_file")):
        refuse(
            context,
            ("no_echo", "unknown"),
            "only applies to a prime",
            "leave it out, or give --prime",
        )
    if values["as_json"]:
        refuse(
            context,
            ("no_echo",),
            "only applies to text output: with --json the prime is never in the sample",
        )
    if options.repetition_penalty == 1:
        refuse(context, ("repetition_window",), "only applies to --repetition-penalty above 1")
    options.check_sample(values["length"], _end(context), values["novel"])


def check_next(options: SampleOptions, read: int) -> None:
    """Refuse ``--no-repeat N`` with ``--next`` after so few symbols that none can repeat."""
    if read < options.no_repeat:
        why = f"has no effect after {counted(read, 'symbol')}"
        raise UsageError(f"--no-repeat {options.no_repeat} {why}", "give a longer prime, or less")


def _end(context: typer.Context) -> bool:
    """Whether something besides ``--length`` ends a sample."""
    values = context.params
    own = values["label"] is not None  # a label's text has an end
    return bool(values["until"] or values["until_join"] or values["each_line"] or own)


def _check_numbers(context: typer.Context) -> None:
    values = context.params
    length, count, next_ = values["length"], values["count"], values["next_"]
    if length < 0:
        raise UsageError(f"--length must be at least 0, not {length}", "0 means endless")
    if count < 1:
        raise UsageError(f"--count must be at least 1, not {count}")
    if next_ is not None and next_ < 1:
        raise UsageError(f"--next must be at least 1, not {next_}")
    whole = "--count" if count > 1 else "--json" if values["as_json"] else ""
    if next_ is None and length == 0 and whole and not _end(context):
        raise UsageError(
            f"with {whole} a sample is printed when it is complete, but --length 0 never ends",
            "give a --length, --until with the text that ends a sample, or --until-join",
        )
    span = values["novel_span"]
    if span is not None and not 1 <= span <= MAX_SPAN:
        raise UsageError(f"--novel-span must be at least 1 and at most {MAX_SPAN:,}, not {span}")


def _refuse_useless(context: typer.Context) -> None:
    """Refuse options that another option makes useless."""
    values = context.params
    if values["next_"] is not None:
        refuse(context, OF_SAMPLES, "only applies to samples, but --next draws none")
        if not (values["prime"] or values["prime_file"]):
            why = "only applies to what follows some text, but --next has no prime"
            refuse(context, OF_REPETITION, why, "leave it out, or give --prime")
    if values["each_line"]:
        given_otherwise = "says what is continued, but --each-line takes it from standard input"
        refuse(context, ("prime", "prime_file"), given_otherwise)
        refuse(context, ("count",), "and --each-line exclude each other", "repeat the lines")
    if values["beam"] is not None:
        refuse(context, OF_DRAWING, "only applies to drawn text, but --beam draws none")
        check_beam(values["beam"], values["count"], values["length"], _end(context))
    if values["novel_text"] and not (values["novel"] or values["novel_span"]):
        raise UsageError("--novel-text only applies to --novel or --novel-span", "give one of them")


def _refuse_greedy(context: typer.Context, options: SampleOptions) -> None:
    """Refuse options that have no effect if the most likely symbol is always taken."""
    cold = options.temperature == 0 and not options.temperature_end
    if not cold and options.top_k != 1:
        return
    greedy = "--temp 0" if cold else "--top-k 1"
    filters = {"temperature", "temperature_end", "top_k", "top_p", "min_p"}
    filters -= {"temperature" if cold else "top_k"}
    always = f"has no effect with {greedy}, which always takes the most likely symbol"
    refuse(context, sorted(filters), always)
    if context.params["count"] > 1:
        note(f"with {greedy} all samples are the same")
    if is_given(context, "seed"):
        note(f"--seed {always}")
