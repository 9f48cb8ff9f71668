"""``charrnn sample``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from charrnn.cli._sample_options import (
    DRAWING,
    PRIME,
    SAMPLE,
    Novel,
    NovelSpan,
    NovelText,
    check,
    check_next,
)
from charrnn.cli._samples import (
    Samples,
    check_typed,
    end_of_line,
    note_skipped,
    note_top_k,
    novelty_of,
    skipped,
)
from charrnn.cli.parsing.command import Fields, given, takes
from charrnn.cli.parsing.config_file import STDIN, is_stdin
from charrnn.cli.parsing.given import note_unknown, refuse_on_gpu
from charrnn.cli.parsing.shared import (
    OUTPUT,
    OWN_READING,
    Backend,
    Core,
    Run,
    Threads,
    check_reading,
    decoding,
    open_backend,
    reading,
    refuse_core,
)
from charrnn.cli.process.output import Output, json_line, json_text
from charrnn.config import DECODING, DataConfig
from charrnn.errors import UsageError, option
from charrnn.sampling.options import DEFAULT_LENGTH, SampleOptions

if TYPE_CHECKING:
    from charrnn.text.vocabulary import Unknown, Vocabulary


@takes(
    Fields(SampleOptions, group=DRAWING),
    Fields(DataConfig, (*DECODING, "column", "field"), OWN_READING),
)
def sample(
    context: typer.Context,
    run: Run = None,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The label of the texts, of a run that was trained with --task generate.",
            show_default=False,
            rich_help_panel=SAMPLE,
        ),
    ] = None,
    length: Annotated[
        int,
        typer.Option(
            help="Symbols to draw (characters, bytes or words); 0: endless.", rich_help_panel=SAMPLE
        ),
    ] = DEFAULT_LENGTH,
    prime: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Text to continue (a newline: $'\\n'). Without it the model starts as after the "
            "--join of its training, or else a newline (or, if it has none, its first symbol), "
            "which is not printed.",
            rich_help_panel=PRIME,
        ),
    ] = None,
    prime_file: Annotated[
        str | None,
        typer.Option(metavar="FILE|-", help="Read the prime from a file.", rich_help_panel=PRIME),
    ] = None,
    no_echo: Annotated[
        bool,
        typer.Option(
            "--no-echo", help="Do not print the prime before the sample.", rich_help_panel=PRIME
        ),
    ] = False,
    until: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help="Stop after this text once it has been written (a newline: $'\\n').",
            rich_help_panel=SAMPLE,
        ),
    ] = "",
    until_join: Annotated[
        bool,
        typer.Option(
            "--until-join",
            help="Stop where the next text would begin: at the --join that the run was trained "
            "with, which is not printed.",
            rich_help_panel=SAMPLE,
        ),
    ] = False,
    count: Annotated[
        int,
        typer.Option(
            metavar="K",
            help="Number of samples, computed together; --- between them.",
            rich_help_panel=SAMPLE,
        ),
    ] = 1,
    each_line: Annotated[
        bool,
        typer.Option(
            "--each-line",
            help="Continue each line of standard input, as soon as it has been read, to the end of "
            "the line or --length.",
            rich_help_panel=SAMPLE,
        ),
    ] = False,
    beam: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="Instead of drawing, write the most likely text that a beam search with K "
            "hypotheses finds; with --count, the most likely ones.",
            show_default=False,
            rich_help_panel=DRAWING,
        ),
    ] = None,
    novel: Novel = False,
    novel_span: NovelSpan = None,
    novel_text: NovelText = None,
    unknown: Annotated[
        Literal["error", "skip"],
        typer.Option(
            help="What to do with symbols of the prime that the model does not know.",
            rich_help_panel=PRIME,
        ),
    ] = "error",
    seed: Annotated[
        int | None,
        typer.Option(
            help="The same seed gives the same text. [default: random]",
            show_default=False,
            rich_help_panel=DRAWING,
        ),
    ] = None,
    next_: Annotated[
        int | None,
        typer.Option(
            "--next",
            metavar="K",
            help="Instead of a sample, write the K symbols most likely to be drawn next.",
            show_default=False,
            rich_help_panel=SAMPLE,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per line.", rich_help_panel=OUTPUT)
    ] = False,
    backend: Backend = "auto",
    core: Core = "auto",
    threads: Threads = None,
) -> None:
    """Write text drawn from a trained model to standard output as it is drawn.

    Only the text is written (UTF-8; the bytes themselves at byte level), and on a terminal a
    newline at the end. Temperature, top-k, top-p and min-p are applied in this order. The unknown
    symbol is never drawn.

    A sample of a run that was trained on --examples is a line or document from its beginning to its
    end. With --count, the samples are separated by a line of three hyphens (---), except such
    lines, and a sample that does not end with a newline gets one before the next. Each sample has
    its own random numbers, which do not depend on the count, and is written once it and those
    before it are complete.

    With --each-line, each line of standard input is a prime, and its output is written before the
    next line is read. Line K is continued in the same way as sample K with that prime. A
    continuation ends with its line, unless --until or --until-join says otherwise.

    A sample of a run trained with --task generate is a text of the label that --label names, from
    its beginning to its end, or with --prime its continuation. Where no text has a newline, each is
    written on a line of its own.

    With --beam, probabilities are not normalised by length: among the texts that have --length
    symbols or end with --until, the search looks for the most probable one.

    With --novel, a line is written once it is complete. Lines of only white space may be copies.
    The index of the text, 2 to 4 bytes per line or span, is kept in the run's folder; a new line or
    symbol is mistaken for a copy in at most 1 in 1,700 cases. A --novel-text is read as the run's
    own text was; with --column '' or --field '' it is a plain text, such as a list of names.

    With --json, for each sample: "sample" (from 1; with --each-line "line"), "seed" (null with
    --beam), "prime", "text" (without the prime, but with the text that ended it, unless that is the
    end of a label's text), with --label "label", "log_probs" (for each symbol ln p under the model
    itself, before temperature and filters) and their sum "log_prob"; with --unknown skip also
    "skipped" (symbols of the prime that were left out). Texts are lists of integers at byte level.

    With --next, each line is a symbol in quotes, a tab and its probability; with --json one object
    with "prime" and "next", a list of "symbol", "p" and "log_p" (ln p).
    """
    options = SampleOptions(**given(context, SampleOptions))
    ends = until or ("--until-join" if until_join else "")
    check(context, options)
    refuse_on_gpu(context)
    _check_input(context, prime_file, each_line, novel_text or [])
    how = _reading(context, bool(prime_file or each_line), bool(novel_text))
    from charrnn import sampling
    from charrnn.randomness import new_seed
    from charrnn.storage import checkpoint, runs
    from charrnn.storage.given import given as given_label

    path = runs.resolve(run)
    engine = open_backend(backend, threads, core=core)
    whole = checkpoint.load(path)
    loaded = given_label(whole, label)
    refuse_core(loaded.config.dtype, core)
    vocabulary, model = loaded.vocabulary, loaded.language_model(engine, "see charrnn predict")
    note_unknown(context, vocabulary)
    strict = unknown == "error" and vocabulary.unknown is None
    check_typed(vocabulary, until=until, prime=prime if prime and strict else "")
    frame = sampling.Frame.of(loaded.data, until_join)
    if until_join and frame.examples:
        why = "has no effect: samples of a run that was trained on --examples end there anyway"
        raise UsageError(f"--until-join {why}", "leave it out")
    decoded = decoding(loaded, how)
    note_top_k(options.top_k, vocabulary)
    if next_ is not None:
        beginning = _prime(prime, prime_file, vocabulary, unknown, decoded)
        check_next(options, frame.read(vocabulary, beginning))
        symbols = sampling.next_symbols(
            model, vocabulary, options, count=next_, prime=beginning, unknown=unknown, frame=frame
        )
        if unknown == "skip":
            note_skipped(skipped(vocabulary, beginning))
        _show_next(Output(), beginning, symbols, as_json)
        return
    novelty = novelty_of(whole, novel, novel_span, novel_text, frame, reading(loaded, how))
    if each_line and not ends and not (label is not None and vocabulary.newline is None):
        until = end_of_line(vocabulary, length)
    samples = Samples(
        model,
        vocabulary,
        options,
        novelty,
        seed=None if beam else new_seed() if seed is None else seed,
        beam=beam or 0,
        ends={"length": length, "until": until, "unknown": unknown, "frame": frame},
        count=count,
        as_json=as_json,
        echo=not no_echo,
        label=label,
    )
    if each_line:
        from charrnn.text import live_lines

        samples.after_each(live_lines(vocabulary.level, **decoded))
    else:
        beginning = _prime(prime, prime_file, vocabulary, unknown, decoded)
        samples.after(beginning, {"no_repeat": options.no_repeat, "novel_span": novel_span})


def _check_input(
    context: typer.Context, prime_file: str | None, each_line: bool, novel_text: list[str]
) -> None:
    """Raise :class:`UsageError` if standard input would be read more than once."""
    readers = [STDIN] if is_stdin(context) else []
    readers += ["--each-line"] if each_line else []
    readers += ["--prime-file -"] if prime_file == "-" else []
    readers += ["--novel-text -"] * novel_text.count("-")
    if len(readers) > 1:
        raise UsageError(
            f"{' and '.join(readers)}: standard input can be read only once",
            "put one of the texts into a file",
        )


def _reading(context: typer.Context, prime: bool, novel_text: bool) -> dict[str, Any]:
    """Return the options given for reading texts: ``prime`` and ``novel_text`` say which are."""
    if context.params["prime"] is not None and context.params["prime_file"] is not None:
        raise UsageError("--prime and --prime-file exclude each other", "give one of them")
    reading = given(context, DataConfig)
    check_reading(reading)
    for name in reading:
        texts = "--prime-file, --each-line or --novel-text" if name in DECODING else "--novel-text"
        if not (novel_text or (prime and name in DECODING)):
            raise UsageError(f"{option(name)} only applies to {texts}", "leave it out")
    return reading


def _prime(
    prime: str | None,
    prime_file: str | None,
    vocabulary: Vocabulary,
    unknown: Unknown,
    reading: dict[str, Any],
) -> str | bytes:
    """Return the prime with line ends that the model knows."""
    if prime_file is not None:
        from charrnn.text.reading import read_text

        text = read_text(prime_file, vocabulary.level, **reading)
    else:
        text = vocabulary.text(prime or "")
    plain = vocabulary.newlines(text)
    if returns := len(text) - len(plain):
        from charrnn.text.reading import encoded

        encoded(vocabulary, text, unknown)  # an error has its offset in the prime as given
        note_skipped(returns, returns)
    return plain


def _show_next(out: Output, prime: str | bytes, found: Any, as_json: bool) -> None:
    from math import log

    if as_json:
        listed = [{"symbol": one.symbol, "p": one.p, "log_p": log(one.p)} for one in found]
        out.write(json_line({"prime": json_text(prime), "next": listed}))
    else:
        for symbol, p in found:
            shown = repr(bytes([symbol]) if isinstance(symbol, int) else symbol)
            out.write(f"{shown}\t{p:.6f}\n".encode())
    out.finish()
