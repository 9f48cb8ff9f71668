"""What several commands share: the options of the backend, notes to stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from charrnn import backend as backends

Backend = Annotated[
    str, typer.Option(help="Where to compute: auto (a working GPU, else NumPy), numpy or cupy.")
]
Threads = Annotated[
    int | None,
    typer.Option(help="Threads of matrix products. [default: one a core]", show_default=False),
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


def note(message: str) -> None:
    """Tell the user something that is no error, on stderr."""
    print(f"charrnn: note: {message}", file=sys.stderr)


def open_backend(name: str, threads: int | None) -> backends.Backend:
    """Select the backend and set the number of threads of matrix products."""
    from charrnn.backend import limit_threads, select

    backend = select(name)
    limit_threads(threads)
    return backend
