"""``charrnn corpus``: built-in corpora, statistics of any text, and the cache of encoded texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli.parsing.command import Command, Fields, given, takes
from charrnn.cli.parsing.generators import CORPUS, GeneratorCommand, generator_options
from charrnn.cli.parsing.given import refuse
from charrnn.cli.parsing.shared import OUTPUT, READING, Json, note
from charrnn.cli.process.output import Output, write_json, write_text
from charrnn.config import DataConfig
from charrnn.display import count, one_line, unit
from charrnn.errors import CorpusError, UsageError, option

if TYPE_CHECKING:
    from charrnn.text.statistics import TextStatistics

app = typer.Typer(
    help="Built-in corpora, statistics of a text, and the cache.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

CACHE = "Cache"
"""Group of options."""
_NATS_TO_BITS = 1.4426950408889634


@app.command("list", cls=Command, short_help="List the built-in corpora.")
def list_(as_json: Json = False) -> None:
    """List the built-in corpora: name, default size, entropy in nats per character, description.

    With --json: "corpora", a list of objects with "name", "description", "chars" (default size;
    null if this Python lacks the text), "entropy_nats_per_char" (null if unknown) and
    "options".
    """
    from charrnn.text import builtin

    records: list[dict[str, Any]] = []
    for name in builtin.NAMES:
        corpus = builtin.create(name)
        try:
            chars: int | None = corpus.size()
        except CorpusError:
            chars = None
        records.append(
            {
                "name": name,
                "description": corpus.description,
                "chars": chars,
                "entropy_nats_per_char": corpus.entropy(0),
                "options": corpus.options(),
            }
        )
    if as_json:
        write_json({"corpora": records})
        return
    rows = [("name", "chars", "nats/char", "description")]
    for record in records:
        chars, entropy = record["chars"], record["entropy_nats_per_char"]
        rows.append(
            (
                record["name"],
                "missing" if chars is None else f"{chars:,}",
                "unknown" if entropy is None else f"{entropy:.4f}",
                record["description"],
            )
        )
    _print_table(rows)


@app.command(cls=GeneratorCommand, short_help="Write a built-in corpus.")
def make(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A built-in corpus.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE|-", help="The file to write.", rich_help_panel=OUTPUT),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the file if it exists.", rich_help_panel=OUTPUT)
    ] = False,
    chars: Annotated[
        int | None,
        typer.Option("--chars", help="Number of characters to write.", rich_help_panel=CORPUS),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            help="Seed of the generator; hello and python-* do not use it.",
            rich_help_panel=CORPUS,
        ),
    ] = 0,
) -> None:
    """Write a built-in corpus to standard output, as UTF-8, or to a file.

    A corpus of examples ends with the last whole one.
    """
    from charrnn.text import builtin

    if out is None or str(out) == "-":
        refuse(ctx, ("force",), "replaces a file, but --out names none")
    if name in builtin.NAMES and not builtin.get(name).is_random:
        refuse(ctx, ("seed",), f"has no effect: {name} makes no random choices")
    chunks = builtin.generate(name, chars, seed, **generator_options(ctx))
    if builtin.get(name).of_examples:
        chunks = builtin.whole_lines(chunks)
    if out is None or str(out) == "-":
        stdout = Output()
        for chunk in chunks:
            stdout.write(chunk)
        stdout.flush()
        return
    from charrnn.cli.process.progress import counted, progress

    with progress("writing") as show:
        _save(_told(chunks, counted(show, "bytes written")), out, force)


@app.command(cls=GeneratorCommand, short_help="Describe a built-in corpus or a text.")
@takes(Fields(DataConfig, ("level", *READING)))
def info(
    ctx: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE", help="A built-in corpus, a file, a directory, or - (stdin)."
        ),
    ],
    as_json: Json = False,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            help="Seed of a built-in corpus; determines the transition table of markov.",
            rich_help_panel=CORPUS,
        ),
    ] = None,
) -> None:
    """Describe a built-in corpus or a text; a file takes precedence over a corpus of the same name.

    With --json, for a built-in corpus: "name", "description", "chars" (default size), "alphabet"
    (distinct characters), "entropy_nats_per_char" and "entropy_bits_per_char" (null if
    unknown), "seed", "options". For a text: "name", "level", "bytes", "chars" (symbols of the
    level), "lines", "distinct" (distinct symbols), "sha256", "unigram_nats_per_char" and
    "bigram_nats_per_char" (entropy of a symbol, and of one given the one before), "frequent" (the
    most frequent symbols: "symbol", "count"; integers at byte level), "left_out" (the files of a
    directory that are not read or are empty: "file", "reason").
    """
    from charrnn.text import builtin

    of_text = given(ctx, DataConfig)
    data = DataConfig(**of_text)  # checks the values
    level: Any = data.level
    options = generator_options(ctx)
    if name in builtin.NAMES and not Path(name).exists():
        _refuse(of_text, f"only applies to texts, but {name} is a built-in corpus")
        if not builtin.get(name).has_random_entropy:
            refuse(ctx, ("seed",), f"has no effect: {name} is described alike for every seed")
        _show_builtin(name, seed or 0, options, as_json)
        return
    _refuse({"seed": seed, **options}, f"only applies to built-in corpora, but {name!r} is not one")
    data.refuse_unused(of_text)
    from charrnn.cli.process.progress import progress
    from charrnn.text.layout import Layout
    from charrnn.text.statistics import text_statistics

    how: dict[str, Any] = {
        "encoding": data.encoding,
        "errors": data.errors,
        "layout": Layout.of(data),
    }
    with progress("reading the text", [name]):
        statistics = text_statistics(name, level=level, **how, tell=note)
    _show_text(statistics, as_json)


@app.command(cls=Command, short_help="Show the cache of encoded texts, or empty it.")
def cache(
    clear: Annotated[
        bool, typer.Option("--clear", help="Delete every entry.", rich_help_panel=CACHE)
    ] = False,
    as_json: Json = False,
) -> None:
    """Show where encoded texts are cached and how much space they use; with --clear, delete them.

    With --json: "path", "bytes" and "entries" (each with "path", "bytes" and "last_used", in Unix
    seconds) as they are afterwards, and "freed" (bytes).
    """
    from charrnn.text.cache.store import cache_dir, cache_entries, clear_cache, place

    if why := place()[1]:
        note(why)
    freed = clear_cache() if clear else 0
    entries = cache_entries()
    total = sum(entry.bytes for entry in entries)
    if as_json:
        listed = [
            {"path": str(entry.path), "bytes": entry.bytes, "last_used": entry.last_used}
            for entry in entries
        ]
        path = str(cache_dir())
        write_json({"path": path, "bytes": total, "entries": listed, "freed": freed})
        return
    rows = [("path", one_line(str(cache_dir())))]
    rows.append(("entries", f"{len(entries):,}"))
    rows.append(("size", count(total, "byte")))
    if clear:
        rows.append(("freed", count(freed, "byte")))
    _print_table(rows)


def _show_builtin(name: str, seed: int, options: dict[str, Any], as_json: bool) -> None:
    from charrnn.text import builtin

    corpus = builtin.info(name, seed, **options)
    bits = None if corpus.entropy is None else corpus.entropy * _NATS_TO_BITS
    if as_json:
        write_json(
            {
                "name": corpus.name,
                "description": corpus.description,
                "chars": corpus.chars,
                "alphabet": corpus.alphabet,
                "entropy_nats_per_char": corpus.entropy,
                "entropy_bits_per_char": bits,
                "seed": seed,
                "options": corpus.options,
            }
        )
        return
    known = (
        "unknown" if bits is None else f"{corpus.entropy:.6f} nats, {bits:.6f} bits per character"
    )
    rows = [
        ("name", corpus.name),
        ("description", corpus.description),
        ("characters", f"{corpus.chars:,} by default"),
        ("alphabet", f"{corpus.alphabet:,}"),
        ("entropy", known),
        ("seed", str(seed)),
    ]
    rows += [(f"--{key.replace('_', '-')}", str(value)) for key, value in corpus.options.items()]
    _print_table(rows)


def _show_text(statistics: TextStatistics, as_json: bool) -> None:
    if as_json:
        write_json(
            {
                "name": statistics.name,
                "level": statistics.level,
                "bytes": statistics.bytes,
                "chars": statistics.chars,
                "lines": statistics.lines,
                "distinct": statistics.distinct,
                "sha256": statistics.sha256,
                "unigram_nats_per_char": statistics.unigram,
                "bigram_nats_per_char": statistics.bigram,
                "frequent": [{"symbol": s, "count": times} for s, times in statistics.frequent],
                "left_out": [
                    {"file": file, "reason": reason} for file, reason in statistics.left_out
                ],
            }
        )
        return
    called = unit(statistics.level)
    rows = [("name", one_line(statistics.name))]
    if statistics.level != "byte":
        rows.append(("bytes", f"{statistics.bytes:,}"))
    rows += [
        (f"{called}s", f"{statistics.chars:,}"),
        ("distinct symbols", f"{statistics.distinct:,}"),
        ("lines", f"{statistics.lines:,}"),
        ("sha256", statistics.sha256),
        ("entropy", f"{statistics.unigram:.4f} nats per {called} without context"),
    ]
    if statistics.bigram is not None:
        rows.append(("", f"{statistics.bigram:.4f} nats per {called} given the previous one"))
    for rank, (symbol, times) in enumerate(statistics.frequent):
        sign = bytes([symbol]) if isinstance(symbol, int) else symbol
        rows.append(("" if rank else "most frequent", f"{sign!r}  {times:,}"))
    _print_table(rows)


def _refuse(options: dict[str, Any], why: str) -> None:
    for name, value in options.items():
        if value is not None:
            raise UsageError(f"{option(name)} {why}", f"leave {option(name)} out")


def _save(chunks: Iterable[bytes], path: Path, force: bool) -> None:
    """Write the file that ``--out`` names."""
    from charrnn import files

    shown = one_line(path)
    try:
        if path.is_dir():
            raise CorpusError(f"--out {shown} is a directory", "name a file")
        if path.is_file() and not force:
            raise CorpusError(f"{shown} exists", "give --force to replace it, or another --out")
        files.save(path, chunks)
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CorpusError(
            f"cannot write {shown} ({reason})", "check the path, its permissions and free space"
        ) from error


def _told(chunks: Iterable[bytes], tell: Callable[[int], object]) -> Iterator[bytes]:
    """Yield the chunks; tell the size of each."""
    for chunk in chunks:
        tell(len(chunk))
        yield chunk


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    from charrnn.report.tables import aligned

    write_text(aligned(rows[0], rows[1:], left=len(rows[0])))
