"""``charrnn.import_model``: a language model of PyTorch."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from charrnn.api import arguments
from charrnn.api.model import Model
from charrnn.backend import Backend
from charrnn.display import brief
from charrnn.errors import CheckpointError, UsageError
from charrnn.exchange import foreign, symbols
from charrnn.exchange.symbols import Symbols
from charrnn.text import Vocabulary


def import_model(
    path: str | PathLike[str],
    vocabulary: Any = None,
    *,
    activation: str | None = None,
    backend: str | Backend = "auto",
) -> Model:
    """Return the language model in a safetensors file that PyTorch, or ``Model.export``, wrote.

    Parameters
    ----------
    path
        The file: a state dict with the parameters of a ``torch.nn.RNN``, ``GRU`` or ``LSTM``, of a
        ``Linear`` after it and perhaps of an ``Embedding`` before it, under any names.
    vocabulary
        Its symbols: a list in the order of their ids, a dictionary with the id of each, a
        :class:`~charrnn.text.vocabulary.Vocabulary`, or the path of a file of them. By default
        those that the file lists.
    activation
        ``tanh`` or ``relu``, of a ``torch.nn.RNN``; by default ``tanh``.
    backend
        ``auto``, ``numpy`` or ``cupy``.

    Raises
    ------
    UsageError
        If an argument is invalid.
    CharRNNError
        If the file cannot be read, or is no character model that charrnn can compute.
    """
    engine, file = arguments.backend(backend), Path(arguments.path(path, "path"))
    options = {} if activation is None else {"activation": activation}
    found = foreign.read(file, _symbols(vocabulary), options)
    return Model(found.language_model(engine), found.vocabulary, None, found.data)


def _symbols(value: Any) -> Symbols | None:
    """Return the symbols that the argument ``vocabulary`` stands for."""
    if value is None:
        return None
    if isinstance(value, Vocabulary):
        return symbols.known(value)
    if isinstance(value, str | PathLike):
        return symbols.read(Path(arguments.path(value, "vocabulary")))
    if isinstance(value, list | tuple | dict):
        try:
            return symbols.listed(dict(value) if isinstance(value, dict) else list(value))
        except (ValueError, CheckpointError) as problem:
            raise UsageError(f"vocabulary {brief(value)}: {problem}") from None
    raise UsageError(f"vocabulary must be a list of symbols, not {brief(value)}")
