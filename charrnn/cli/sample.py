"""``charrnn sample``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from charrnn.cli._command import Fields, given, takes
from charrnn.cli._given import is_given, refuse
from charrnn.cli._output import Output, json_line, json_text, utf8
from charrnn.cli._shared import (
    OUTPUT,
    Backend,
    Run,
    Threads,
    decoding,
    note,
    open_backend,
)
from charrnn.config import DECODING, DataConfig
from charrnn.errors import UsageError, VocabularyError, option
from charrnn.sampling.options import DEFAULT_LENGTH, SampleOptions

if TYPE_CHECKING:
    from charrnn.sampling import Frame, Sample
    from charrnn.text.vocabulary import Vocabulary

SEPARATOR = b"---\n"
LONG = 100_000
"""Symbols of an endless sample after which a note says that it has not ended."""


@takes(
    Fields(SampleOptions, group="Drawing"),
    Fields(DataConfig, DECODING, dict.fromkeys(DECODING, "the run's own")),
)
def sample(
    context: typer.Context,
    run: Run = None,
    length: Annotated[
        int,
        typer.Option(help="Symbols to draw (characters, bytes or words); 0: endless."),
    ] = DEFAULT_LENGTH,
    prime: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="Text to continue (a newline: $'\\n'). Without it the model starts as after the "
            "--join of its training, or a newline (or, if it has none, its first symbol), which is "
            "not printed.",
        ),
    ] = None,
    prime_file: Annotated[
        str | None, typer.Option(metavar="FILE|-", help="Read the prime from a file.")
    ] = None,
    no_echo: Annotated[
        bool, typer.Option("--no-echo", help="Do not print the prime before the sample.")
    ] = False,
    until: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help="Stop after this text once it has been written (a newline: $'\\n').",
        ),
    ] = "",
    until_join: Annotated[
        bool,
        typer.Option(
            "--until-join",
            help="Stop where the next text would begin: at the --join that the run was trained "
            "with, which is not printed.",
        ),
    ] = False,
    count: Annotated[
        int,
        typer.Option(metavar="K", help="Number of samples, computed together; --- between them."),
    ] = 1,
    unknown: Annotated[
        Literal["error", "skip"],
        typer.Option(help="What to do with symbols of the prime that the model does not know."),
    ] = "error",
    seed: Annotated[
        int | None,
        typer.Option(
            help="The same seed gives the same text. [default: random]", show_default=False
        ),
    ] = None,
    next_: Annotated[
        int | None,
        typer.Option(
            "--next",
            metavar="K",
            help="Instead of a sample, the K symbols most likely to be drawn next.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object per line.", rich_help_panel=OUTPUT)
    ] = False,
    backend: Backend = "auto",
    threads: Threads = None,
) -> None:
    """Write text drawn from a trained model to standard output as it is drawn.

    Nothing but the text is written (UTF-8; the bytes themselves at byte level), and on a terminal a
    newline at the end. Temperature, top-k, top-p and min-p are applied in this order. The unknown
    symbol is never drawn.

    With --count, the samples are separated by a line of three hyphens (---), and a sample that does
    not end with a newline gets one before it. Each sample has its own random numbers, which do not
    depend on the count.

    With --json, for each sample: "sample" (from 1), "seed", "prime", "text" (without the prime, but
    with the text that ended it) and "log_probs": for each symbol ln p under the model itself,
    before temperature and filters. Texts are lists of integers at byte level.

    With --next, each line is a symbol in quotes, a tab and its probability; with --json one object
    with "prime" and "next", a list of "symbol", "p" and "log_p" (ln p).
    """
    options = SampleOptions(**given(context, SampleOptions))
    _check(length, until, count, next_, as_json, until_join)
    _refuse_unused(context, options)
    reading = _reading(context, prime, prime_file)
    from charrnn import sampling
    from charrnn.randomness import new_seed
    from charrnn.storage import checkpoint, runs

    path = runs.resolve(run)
    engine = open_backend(backend, threads)
    loaded = checkpoint.load(path)
    vocabulary, model = loaded.vocabulary, loaded.model(engine)
    strict = unknown == "error" and vocabulary.unknown is None
    _check_typed(vocabulary, until=until, prime=prime if prime and strict else "")
    frame = sampling.Frame.of(loaded.data, until_join)
    beginning = _prime(prime, prime_file, vocabulary, decoding(loaded, reading))
    out = Output()
    if next_ is not None:
        found = sampling.next_symbols(
            model, vocabulary, options, count=next_, prime=beginning, unknown=unknown, frame=frame
        )
        _show_next(out, beginning, found, as_json)
        return
    if seed is None:
        seed = new_seed()
    arguments: dict[str, Any] = {
        "length": length,
        "prime": beginning,
        "until": until,
        "seed": seed,
        "unknown": unknown,
        "frame": frame,
    }
    echo = b"" if no_echo else utf8(beginning)
    if count == 1 and not as_json:
        symbols = frame.shown(sampling.stream(model, vocabulary, options, **arguments))
        first = next(symbols)  # errors in the prime are raised before anything is printed
        out.write(echo)
        out.write(utf8(first))
        for symbol in symbols:
            out.write(utf8(symbol))
        out.finish()
        return
    progress = _tell_of_no_end(length, "--until" if until else "the --join of the run")
    arguments |= {"count": count, "log_probs": as_json, "progress": progress}
    _show(
        out,
        sampling.samples(model, vocabulary, options, **arguments),
        frame,
        echo,
        {"seed": seed, "prime": json_text(beginning)} if as_json else None,
    )


def _show(
    out: Output, made: list[Sample], frame: Frame, echo: bytes, facts: dict[str, Any] | None
) -> None:
    """Write samples; as JSON if there are ``facts`` about them."""
    for number, one in enumerate(made, 1):
        if facts is not None:
            record = {"sample": number, **facts, "text": json_text(one.text)}
            out.write(json_line(record | {"log_probs": one.log_probs}))
            continue
        text = echo + b"".join(map(utf8, frame.shown([one.text])))
        out.write(text)
        if number < len(made):
            out.write(SEPARATOR if text.endswith(b"\n") else b"\n" + SEPARATOR)
    out.finish()


def _check(
    length: int, until: str, count: int, next_: int | None, as_json: bool, until_join: bool
) -> None:
    if length < 0:
        raise UsageError(f"--length must be at least 0, not {length}", "0 means endless")
    if count < 1:
        raise UsageError(f"--count must be at least 1, not {count}")
    if next_ is not None:
        if next_ < 1:
            raise UsageError(f"--next must be at least 1, not {next_}")
    elif length == 0 and not until and not until_join and (count > 1 or as_json):
        option = "--count" if count > 1 else "--json"
        raise UsageError(
            f"with {option} a sample is printed when it is complete, and --length 0 never ends",
            "give a --length, or --until TEXT",
        )


def _refuse_unused(context: typer.Context, options: SampleOptions) -> None:
    """Refuse what was given and has no effect beside the other options."""
    if is_given(context, "next_"):
        names = ("length", "until", "until_join", "count", "seed", "no_echo")
        refuse(context, names, "is for samples, and --next draws none")
    if not options.temperature or options.top_k == 1:
        greedy = "--top-k 1" if options.temperature else "--temp 0"
        filters = {"temperature", "top_k", "top_p", "min_p"}
        filters -= {"top_k" if options.temperature else "temperature"}
        always = f"has no effect with {greedy}, which always takes the most likely symbol"
        refuse(context, sorted(filters), always)
        if context.params["count"] > 1:
            note(f"with {greedy} all samples are the same")
        if is_given(context, "seed"):
            note(f"--seed {always}")
    if is_given(context, "until") and not context.params["until"]:
        raise UsageError("--until is empty", "leave it out, or name the text that ends a sample")
    if not (is_given(context, "prime") or is_given(context, "prime_file")):
        refuse(context, ("no_echo", "unknown"), "is for a prime", "leave it out, or give --prime")
    if context.params["as_json"]:
        refuse(context, ("no_echo",), "is for text: with --json the prime is never in the sample")


def _check_typed(vocabulary: Vocabulary, **texts: str) -> None:
    """Say how a newline or a tab is typed, if its escape is and the vocabulary has no backslash."""
    backslash: Any = ord("\\") if vocabulary.level == "byte" else "\\"
    if backslash in vocabulary.symbols:
        return
    for name, typed in texts.items():
        for escape, meant in ((r"\n", "newline"), (r"\t", "tab")):
            if escape in typed:
                raise VocabularyError(
                    f"{option(name)} holds a backslash, which the vocabulary does not have",
                    f"write a {meant} as $'{escape}'",
                )


def _tell_of_no_end(length: int, end: str) -> Callable[[int], object]:
    """Return what says once that samples are long in ending, if only a text can end them."""

    def tell(drawn: int) -> None:
        if length == 0 and drawn == LONG:
            note(f"{LONG:,} symbols are drawn and {end} has not come; --length sets a limit")

    return tell


def _reading(context: typer.Context, prime: str | None, prime_file: str | None) -> dict[str, Any]:
    """Return what was given on how the file of the prime is decoded."""
    if prime is not None and prime_file is not None:
        raise UsageError("--prime and --prime-file exclude each other", "give one of them")
    reading = given(context, DataConfig)
    DataConfig(**reading)  # checks the values
    for name in reading if prime_file is None else ():
        raise UsageError(f"{option(name)} is for --prime-file", "leave it out")
    return reading


def _prime(
    prime: str | None, prime_file: str | None, vocabulary: Vocabulary, reading: dict[str, Any]
) -> str | bytes:
    if prime_file is not None:
        from charrnn.text.reading import read_text

        return read_text(prime_file, vocabulary.level, **reading)
    given = prime or ""
    return utf8(given) if vocabulary.level == "byte" else given


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
