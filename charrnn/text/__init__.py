"""Text: vocabulary, encoding to memory-mapped ids, splits, streams, built-in corpora.

A name below loads its module when it is first used, so that importing the package is light.
"""

from typing import TYPE_CHECKING

from charrnn.lazy import exports

if TYPE_CHECKING:
    from charrnn.text.cache.store import cache_dir, cache_entries, clear_cache
    from charrnn.text.corpus import Corpus, corpus_from_text, open_corpus, read_corpus
    from charrnn.text.layout import Layout
    from charrnn.text.reading import iter_ids, iter_lines, live_lines, read_text
    from charrnn.text.vocabulary import Level, Vocabulary
    from charrnn.text.windows import Streams, evaluation_streams, fit_window

_HOME = {
    "Corpus": "corpus",
    "Layout": "layout",
    "Level": "vocabulary",
    "Streams": "windows",
    "Vocabulary": "vocabulary",
    "cache_dir": "cache.store",
    "cache_entries": "cache.store",
    "clear_cache": "cache.store",
    "corpus_from_text": "corpus",
    "evaluation_streams": "windows",
    "fit_window": "windows",
    "iter_ids": "reading",
    "iter_lines": "reading",
    "live_lines": "reading",
    "open_corpus": "corpus",
    "read_corpus": "corpus",
    "read_text": "reading",
}

__all__ = [
    "Corpus",
    "Layout",
    "Level",
    "Streams",
    "Vocabulary",
    "cache_dir",
    "cache_entries",
    "clear_cache",
    "corpus_from_text",
    "evaluation_streams",
    "fit_window",
    "iter_ids",
    "iter_lines",
    "live_lines",
    "open_corpus",
    "read_corpus",
    "read_text",
]

__getattr__, __dir__ = exports(__name__, _HOME)
