"""Examples in memory: whole texts, each with its end."""

import numpy as np

from charrnn.text.units.examples import Units, in_order


def units_of(texts, vocabulary, start="\n"):
    """Return the texts as examples, in their order."""
    ids = [vocabulary.encode(text) for text in texts]
    ends = np.cumsum([len(each) for each in ids]).astype(np.int64)
    first = vocabulary.symbols.index(start)
    return Units.of(np.concatenate(ids), ends, len(ends), in_order, first)


def words(rng, count, longest, letters="abcde"):
    """Return random lines."""
    sizes = rng.integers(0, longest, count)
    return ["".join(rng.choice(list(letters), size)) + "\n" for size in sizes]
