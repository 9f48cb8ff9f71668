"""Shared by several commands: options of the backend, notes to stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperOption

from charrnn.backend import selection
from charrnn.config import DECODING, DataConfig
from charrnn.display import one_line
from charrnn.errors import UsageError, in_words, option
from charrnn.options import TEXT

if TYPE_CHECKING:
    from charrnn import backend as backends
    from charrnn.storage.checkpoint import Checkpoint

LABELLED, RUN, OUTPUT = "Labels and targets", "Run", "Output"
DEVICE, GENERAL = "Device", "General"
"""Groups of options that no configuration has: headings of a command's help."""
PLUGIN = "--plugin"

Backend = Annotated[
    str,
    typer.Option(
        help="Where to compute: auto (a working GPU, else the CPU), numpy (the CPU) or "
        "cupy (a GPU).",
        autocompletion=lambda: list(selection.NAMES),
        rich_help_panel=DEVICE,
    ),
]
Matmul = Annotated[
    str,
    typer.Option(
        help="Products of float32 matrices: fp32, tf32 (on a GPU) or bf16 (--core native), which "
        "are less precise and may be faster.",
        autocompletion=lambda: list(selection.MATMULS),
        rich_help_panel=DEVICE,
    ),
]
Core = Annotated[
    str,
    typer.Option(
        help="On a CPU: native (compiled code, the same result on every machine), numpy, or auto "
        "(native if it can run).",
        autocompletion=lambda: list(selection.CORES),
        rich_help_panel=DEVICE,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        help="Threads on a CPU. [default: one per core]",
        show_default=False,
        rich_help_panel=DEVICE,
    ),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="One JSON object on standard output.", rich_help_panel=OUTPUT),
]
Run = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        help="A run folder, a checkpoint file, or a run's name under checkpoints/. "
        "[default: the newest run]",
        show_default=False,
    ),
]

Unknown = Annotated[
    Literal["error", "skip"] | None,
    typer.Option(
        help="What to do with symbols that the model does not know. [default: error]",
        show_default=False,
        rich_help_panel=TEXT,
    ),
]

Beam = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        min=1,
        help="With a transducer, search for the likeliest target with K hypotheses. "
        "[default: 1, the likeliest symbol at each step]",
        show_default=False,
        rich_help_panel=LABELLED,
    ),
]


def plugin_option() -> TyperOption:
    """Return the option ``--plugin``, which every command has."""
    return TyperOption(
        param_decls=["plugin", PLUGIN],
        type=str,
        multiple=True,
        metavar="FILE|MODULE",
        help="Load cells, optimizers or schedules from a Python file or module; may be repeated.",
        expose_value=False,
        rich_help_panel=GENERAL,
    )


def note(message: str) -> None:
    """Print a note, which is not an error, on stderr."""
    print(f"charrnn: note: {one_line(in_words(message, option))}", file=sys.stderr)


READING = (*DECODING, "column", "field", "join")
"""How a text is read: decoded, and laid out."""
LABELS = ("label_column", "label_field")
"""Where the labels of a table are."""
PAIRS = ("target", "target_level")
"""Where the targets of pairs are, and of what symbols they consist."""
TAGS = ("format", "columns")
"""How labelled sequences are laid out."""
OWN_READING = dict.fromkeys((*READING, *LABELS, *TAGS), "the run's own") | dict.fromkeys(
    ("column", "field"), "the run's own; '' reads the whole text"
)
"""What help shows as the defaults where a run is given."""


def decoding(run: Checkpoint, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return how to decode a text for a run: as given, else as the run's own text was.

    Raises
    ------
    UsageError
        If the run's level decodes no text, or its encoding every byte.
    """
    if run.vocabulary.level == "byte":
        for name in given.keys() & set(DECODING):
            why = "only applies to decoded text, but the run reads bytes"
            raise UsageError(f"{option(name)} {why}", "leave it out")
    from charrnn.text.finding import undecoded

    own = run.data or DataConfig()
    how = {name: given.get(name, own.get(name)) for name in DECODING}
    useless = undecoded((), **how) if "errors" in given else {}
    for name, why in useless.items():
        raise UsageError(f"{option(name)} {why}", "leave it out")
    return how


def reading(run: Checkpoint, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return how to read a text for a run: as given, else as the run's own text was.

    An empty column or field that was given means none. The result holds the arguments of
    :func:`charrnn.text.iter_ids`.
    """
    from charrnn.text import Layout

    own = (run.data or DataConfig()).settings()
    examples = own["examples"]
    inherited = set(READING[2:]) - given.keys()
    if {"column", "field"} & given.keys():
        inherited -= {"column", "field"}
    chosen = {k: given.get(k) or None for k in ("column", "field")} | {"join": given.get("join")}
    chosen |= {name: own[name] for name in inherited}
    return {
        **decoding(run, given),
        "layout": Layout(**chosen, inherited=frozenset(inherited), examples=examples),
    }


def check_reading(given: Mapping[str, Any]) -> None:
    """Raise :class:`UsageError` if an option for reading a text has an invalid value."""
    DataConfig(**{k: v for k, v in given.items() if v or k not in ("column", "field")})


@contextmanager
def explaining_memory(need: int | None) -> Iterator[None]:
    """If memory runs out, raise an error that says that the work needs ``need`` bytes."""
    try:
        yield
    except Exception as problem:
        from charrnn.backend.memory import explain

        explained = explain(problem, need)
        if explained is None:
            raise
        raise explained from None


def open_backend(
    name: str,
    threads: int | None,
    matmul: str = "fp32",
    core: str = "auto",
    *,
    tell: bool = True,
    place: tuple[int, int] = (0, 1),
) -> backends.Backend:
    """Select the backend and its core, and set the number of threads.

    ``place`` is the number of this process among those on its machine, and how many they are.

    With ``tell``, print a note if ``auto`` falls back to the CPU although a GPU should work.
    """
    from charrnn.backend import select
    from charrnn.backend.threads import set_threads

    backend = select(name, matmul, core, place=place)
    set_threads(backend, threads)
    if threads is not None and backend.name != "numpy":
        note(f"--threads has no effect: --backend {name} computes on a GPU")
    if tell:
        note_fallback(backend)
    return backend


def refuse_core(dtype: str, core: str, matmul: str = "fp32") -> None:
    """Raise :class:`UsageError` if the compiled core is asked for, but the model is in float64."""
    for name, value, wanted in (("core", core, "native"), ("matmul", matmul, "bf16")):
        if dtype != "float32" and value == wanted:
            why = f"{value} computes in float32, but the model is in {dtype}"
            raise UsageError(f"{option(name)} {why}", "leave it out")


def note_fallback(backend: backends.Backend) -> None:
    """Print why ``auto`` chose the CPU although a GPU should work: CuPy is installed."""
    if backend.note and not backend.expected:
        note(f"no GPU: {backend.note}; computing on the CPU")


def note_slower(backend: backends.Backend) -> None:
    """Print why a GPU computed more slowly than it could, if it did."""
    if backend.graphs is not None and backend.graphs.note:
        note(f"computed without CUDA graphs, which is slower: {backend.graphs.note}")
