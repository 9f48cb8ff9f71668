"""The symbols of a model from another program, in the order of its ids."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from charrnn import files
from charrnn.display import brief, one_line
from charrnn.errors import CharRNNError, CheckpointError
from charrnn.text.vocabulary import UNKNOWN_BYTE, Vocabulary

_MAX_BYTES = 1 << 26
_FORMS = (
    'give JSON: a list of symbols in the order of their ids, or an object such as {"a": 0}; or a '
    "text of all characters in this order"
)


class Symbols(NamedTuple):
    """A vocabulary, which is sorted, and the id that each of its symbols has in the file (V,)."""

    vocabulary: Vocabulary
    ids: np.ndarray


def read(path: Path) -> Symbols:
    """Return the symbols that a file lists.

    It holds JSON: a list of strings, or of integers for bytes, in the order of their ids; an object
    with an id for each symbol, or a symbol for each id; or what ``charrnn export`` keeps under
    ``charrnn.vocabulary``. Or it holds each character once, in the order of their ids.

    Raises
    ------
    CharRNNError
        If the file cannot be read, or it is not clear which symbol has which id.
    """
    text = _text(path)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and {"level", "symbols", "unknown"} == found.keys():
        try:
            return known(Vocabulary.from_json(found))
        except CheckpointError as problem:
            raise CharRNNError(f"{one_line(path)}: {problem.message}", _FORMS) from None
    try:
        return listed(found if isinstance(found, list | dict) else list(text))
    except (ValueError, CheckpointError) as problem:
        reason = problem.message if isinstance(problem, CheckpointError) else str(problem)
        raise CharRNNError(f"{one_line(path)} is not a vocabulary: {reason}", _FORMS) from None


def listed(symbols: list[Any] | dict[str, Any]) -> Symbols:
    """Return the symbols of a list in the order of their ids, or of an object that gives the ids.

    Raises
    ------
    ValueError
        If it is not clear which symbol has which id.
    CheckpointError
        If they cannot be the symbols of a model.
    """
    return _sorted(_by_id(symbols) if isinstance(symbols, dict) else symbols)


def known(vocabulary: Vocabulary) -> Symbols:
    """Return the symbols of a vocabulary whose ids are its own."""
    return Symbols(vocabulary, np.arange(len(vocabulary)))


def _text(path: Path) -> str:
    try:
        with os.fdopen(files.open_regular(path, follow=True), "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or "it is not a file name"
        raise CharRNNError(f"cannot read {one_line(path)}: {reason}") from None
    if len(data) > _MAX_BYTES:
        raise CharRNNError(f"{one_line(path)} is too long for a vocabulary", _FORMS)
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise CharRNNError(f"{one_line(path)} is not a vocabulary in UTF-8", _FORMS) from None


def _by_id(found: dict[str, Any]) -> list[Any]:
    """Return the symbols of an object in the order of their ids; empty if any is missing."""
    if all(isinstance(value, str) for value in found.values()):
        pairs = {key: value for key, value in found.items() if key.isdecimal()}
        by_id = {int(key): value for key, value in pairs.items()}
    else:
        by_id = {value: key for key, value in found.items() if type(value) is int}
    complete = len(by_id) == len(found) and set(by_id) == set(range(len(found)))
    return [by_id[i] for i in range(len(found))] if complete else []


def _sorted(symbols: list[Any]) -> Symbols:
    """Return a vocabulary of symbols in the order of their ids; ValueError if it is none."""
    if not symbols:
        raise ValueError("its ids are not 0, 1, 2, …")
    kinds = {type(symbol) for symbol in symbols}
    if kinds not in ({str}, {int}):
        raise ValueError("its symbols are neither strings nor integers")
    for symbol, times in Counter(symbols).items():
        if times > 1:
            raise ValueError(f"{brief(symbol)} occurs twice")
    ids = sorted(range(len(symbols)), key=symbols.__getitem__)
    ordered = [symbols[i] for i in ids]
    words = kinds == {str} and any(len(symbol) > 1 for symbol in symbols)
    level = "byte" if kinds == {int} else "word" if words else "char"
    unknown = len(ordered) - 1 if ordered[-1] == UNKNOWN_BYTE else None
    facts = {"level": level, "symbols": ordered, "unknown": unknown}
    return Symbols(Vocabulary.from_json(facts), np.array(ids))
