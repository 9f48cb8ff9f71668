"""Helpers for tests of corpora."""

import numpy as np


def whole(corpus):
    """Return the text of all parts of a corpus."""
    return corpus.vocabulary.decode(np.concatenate([corpus.train, corpus.val, corpus.test]))
