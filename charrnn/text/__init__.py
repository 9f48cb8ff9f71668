"""Text: vocabulary, encoding to memory-mapped ids, splits, streams, built-in corpora.

The names below load their modules when first used, so that importing the package is light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charrnn.text.cache import CacheEntry, cache_dir, cache_entries, clear_cache
    from charrnn.text.corpus import Corpus, corpus_from_text, open_corpus
    from charrnn.text.reading import iter_ids, iter_lines, read_text
    from charrnn.text.streams import (
        EvaluationStreams,
        EvaluationWindow,
        Streams,
        Window,
        evaluation_streams,
        fit_window,
    )
    from charrnn.text.vocabulary import Level, Vocabulary

_HOME = {
    "CacheEntry": "cache",
    "Corpus": "corpus",
    "EvaluationStreams": "streams",
    "EvaluationWindow": "streams",
    "Level": "vocabulary",
    "Streams": "streams",
    "Vocabulary": "vocabulary",
    "Window": "streams",
    "cache_dir": "cache",
    "cache_entries": "cache",
    "clear_cache": "cache",
    "corpus_from_text": "corpus",
    "evaluation_streams": "streams",
    "fit_window": "streams",
    "iter_ids": "reading",
    "iter_lines": "reading",
    "open_corpus": "corpus",
    "read_text": "reading",
}

__all__ = [
    "CacheEntry",
    "Corpus",
    "EvaluationStreams",
    "EvaluationWindow",
    "Level",
    "Streams",
    "Vocabulary",
    "Window",
    "cache_dir",
    "cache_entries",
    "clear_cache",
    "corpus_from_text",
    "evaluation_streams",
    "fit_window",
    "iter_ids",
    "iter_lines",
    "open_corpus",
    "read_text",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
