"""``charrnn eval``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from charrnn.cli.parsing.command import Fields, given, takes
from charrnn.cli.parsing.given import (
    is_given,
    note_unknown,
    refuse,
    refuse_decoding,
    refuse_on_gpu,
    refuse_run,
    refuse_words,
)
from charrnn.cli.parsing.shared import (
    LABELS,
    OUTPUT,
    OWN_READING,
    READING,
    TAGS,
    Backend,
    Beam,
    Core,
    Threads,
    Unknown,
    check_reading,
    decoding,
    note,
    note_fallback,
    refuse_core,
)
from charrnn.cli.parsing.shared import reading as reading_of
from charrnn.cli.scoring.examples import score_examples
from charrnn.cli.scoring.lines import newline, per_char_scores, per_line_scores
from charrnn.cli.scoring.pictures import Html, Pictures, Plot
from charrnn.cli.scoring.text import ScoredText
from charrnn.cli.scoring.whole import Whole
from charrnn.config import DataConfig
from charrnn.display import shell
from charrnn.errors import UsageError, option
from charrnn.evaluate.dynamic.settings import Dynamic

SCORING, DYNAMIC = "Scoring", "Dynamic evaluation"
"""Groups of options."""


@takes(
    Fields(DataConfig, (*READING, *LABELS, *TAGS, "target"), OWN_READING),
    Fields(Dynamic, group=DYNAMIC),
)
def evaluate(
    context: typer.Context,
    text: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT...",
            help="Files (also gzip, bzip2, xz), directories, - for standard input, or a built-in "
            "corpus; joined in order.",
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="A run folder, a checkpoint file, or a run's name under checkpoints/. "
            "[default: the newest run]",
            show_default=False,
            rich_help_panel=SCORING,
        ),
    ] = None,
    split: Annotated[
        Literal["val", "test"] | None,
        typer.Option(help="Score the run's own validation or test text.", rich_help_panel=SCORING),
    ] = None,
    per_line: Annotated[
        bool,
        typer.Option("--per-line", help="Score each line on its own.", rich_help_panel=SCORING),
    ] = False,
    per_char: Annotated[
        bool,
        typer.Option(
            "--per-char", help="Show the surprisal of each symbol.", rich_help_panel=SCORING
        ),
    ] = False,
    start: Annotated[
        Literal["none", "newline"] | None,
        typer.Option(
            help="With --per-line, what is read before each line; after a newline its first symbol "
            "is scored too. [default: none; newline for a run trained on --examples line]",
            show_default=False,
            rich_help_panel=SCORING,
        ),
    ] = None,
    unknown: Unknown = None,
    dynamic: Annotated[
        bool,
        typer.Option(
            "--dynamic",
            help="Let a copy of the model learn from each window of the text once it is scored.",
            rich_help_panel=DYNAMIC,
        ),
    ] = False,
    reset_every: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Score a text in pieces of N symbols, each from a zero state, to compare with "
            "models that read at most N symbols.",
            rich_help_panel=SCORING,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="JSON on standard output.", rich_help_panel=OUTPUT)
    ] = False,
    plot: Plot = None,
    html: Html = None,
    beam: Beam = None,
    backend: Backend = "auto",
    core: Core = "auto",
    threads: Threads = None,
) -> None:
    """Score a text: how well the model predicts each symbol from all preceding ones, or each label.

    The text is read once, in one stream from a zero state. Its first symbol has no context and is
    not scored. With --json: "chars" (scored symbols), "nats_per_char", "bits_per_char",
    "perplexity" (null if not finite), the totals "nats" and "bits", "bytes" (of the text in
    UTF-8, its first symbol included), "bits_per_byte" ("bits" by "bytes", to compare models of
    different levels), "skipped" (symbols left out), "folded" (symbols of a text that were read as
    the unknown one, which makes the figures too low; null with --split), "run" (the checkpoint),
    "source" (the texts, or null) and "split" (or null). "bytes" is null if a held-out text holds
    symbols that were folded into the unknown one.
    With --dynamic, "dynamic" is true, and the figures are those of a copy of the model that learns
    from each window after it has scored it (Krause et al. 2018); the run is not changed.
    --reset-every N adds "reset_every"; each symbol is predicted from at most N before it.
    CR LF line ends are read as newlines if the model knows no carriage return, with a note.

    Of a classifier, TEXT is a table of labelled texts like the one that it was trained on. With
    --json: "examples", "nats" (the mean of -ln p of the right label), "accuracy", "macro_f1" (the
    mean F1 of the labels), "labels" (for each "precision", "recall", "f1" and "support"),
    "confusion" (a row for each right label, a column for each label given), "skipped" (lines that
    were passed over), "left_out" (symbols that the model does not know), "run", "source", "split".
    --plot draws the confusion, --html writes a page.

    Of a generator, TEXT is such a table, too: each text is scored given its label, from its first
    symbol to its end. With --json what a text has (of all texts together), "examples", "labels"
    (for each "examples", "chars", "nats_per_char") and "passed_over" (lines).

    Of a tagger, TEXT is labelled sequences. With --json also "tokens" (how many have a label), and
    if labels are O, B-TYPE and I-TYPE "span_f1": spans are counted as the script conlleval does.
    --plot draws the confusion of the labels, --html writes a page.

    Of a transducer, TEXT is a table of pairs, source<TAB>target a line, or sources with --target.
    With --json: "examples", "nats" (of all targets), "exact_match" (the share of targets that are
    written without an error), "cer" (edits for each symbol of the targets), "nats_per_symbol" (the
    end of each target included), "skipped", "left_out", "run", "source", "split". --plot draws what
    the first targets attend to, --html writes a page.

    With a run that was trained on --examples, each line or document of the text is scored by
    itself, from a zero state and with its first symbol; "examples" is their number (else null).

    With --per-line, each line, including its newline, is scored from a zero state. It is printed
    after its nats per character and a tab; a line with nothing to score has - there. The first
    symbol of a line is not scored, unless --start newline has the model read a newline before it:
    "nats" is then minus the logarithm of the probability of the whole line. Control
    characters and, at byte level, invalid UTF-8 are written as Python's escapes. With --json one
    object per line: "line" (from 1), "chars", "nats_per_char" (or null), "nats" (in all), "bytes",
    "skipped", "text" (exactly, without its line end; a list of integers at byte level).

    With --per-char, each symbol is printed with Python's escapes, then a tab and its surprisal in
    nats; the first has - there. With --json one object per symbol: "symbol" (an integer at byte
    level), "nats" (or null).

    Started by mpirun -n K, K processes share the work, a long text in blocks that begin from a zero
    state some way before them; a note says so.
    """
    _check(text, split, per_line and per_char)
    learning = _learning(context, dynamic)
    pictures = Pictures(plot, html)
    pictures.check()
    if start is not None and not per_line:
        raise UsageError("--start only applies to --per-line", "leave it out, or give --per-line")
    reading = given(context, DataConfig)
    check_reading(reading)
    only_for_text = [*reading, *([] if unknown is None else ["unknown"])]
    for name in only_for_text if split else ():
        raise UsageError(f"{option(name)} only applies to a text, not to --split", "leave it out")
    if not is_given(context, "run"):
        refuse_run(context, text or (), "write {} --run {}", "--split val")
    for name in text or ():
        refuse_words(context, name)
    refuse_decoding(context, text or ())
    refuse_on_gpu(context)
    options = {"unknown": unknown or "error"}
    from charrnn.cli.process.ranks import ranks

    with ranks() as command:
        for name, value in (("--per-line", per_line), ("--per-char", per_char)):
            if value:
                command.alone(f"{name} needs a single process")
        if dynamic:
            command.alone("--dynamic needs a single process")
        if reset_every is not None:
            command.alone("--reset-every needs a single process")
        if "-" in (text or ()):
            command.alone("standard input reaches only one of the ranks")
        loaded = command.load(run)
        assert loaded.path is not None
        engine = command.open_backend(backend, threads, core=core)
        note_fallback(engine)
        refuse_core(loaded.config.dtype, core)
        decoding(loaded, reading)
        rest: Any = (text or [], split, reading, beam, as_json, pictures, command.alone)
        if dynamic and loaded.config.task != "lm":
            raise UsageError(
                f"--dynamic needs a language model, not a {loaded.config.task} run", "leave it out"
            )
        if score_examples(context, loaded, engine, *rest):
            return
        vocabulary, model = loaded.vocabulary, loaded.language_model(engine)
        note_unknown(context, vocabulary)
        options |= reading_of(loaded, reading)
        source = ScoredText(text or [], split, loaded.path, vocabulary, options)
        if source.examples is not None:
            why = "reads one text, but the run was trained on examples"
            refuse(context, ("dynamic", "reset_every"), why)
        if per_line:
            as_examples = start is None and source.examples == "line"
            before = newline(vocabulary) if start == "newline" or as_examples else None
            per_line_scores(source, model, before, as_json)
        elif per_char:
            per_char_scores(source, model, vocabulary, as_json)
        else:
            Whole(source, model, command.team, learning, reset_every).show(as_json)
        if told := source.skipped(as_json):
            note(told)


def _learning(context: typer.Context, dynamic: bool) -> Dynamic | None:
    """Return how a copy of the model learns; refuse what does not go with the way of scoring."""
    how = given(context, Dynamic)
    for name in how if not dynamic else ():
        raise UsageError(f"{option(name)} only applies to --dynamic", "leave it out, or give it")
    if dynamic:
        parts = ("per_line", "per_char", "reset_every")
        refuse(context, parts, "scores parts, but --dynamic one whole text")
        return Dynamic(**how)
    for name in ("per_line", "per_char"):
        if context.params[name]:
            why = f"scores a whole text, but {option(name)} each part of it"
            refuse(context, ("reset_every",), why)
    return None


def _check(text: list[str] | None, split: str | None, both: bool) -> None:
    if text and split:
        raise UsageError(f"{shell(text[0])} and --split exclude each other", "give one of them")
    if not text and not split:
        raise UsageError(
            "there is nothing to score", "name a text (- for standard input), or give --split val"
        )
    if both:
        raise UsageError("--per-line and --per-char exclude each other", "give one of them")
