"""Examples in memory: whole texts, each with its end."""

from charrnn.text.units.examples import Units


def units_of(texts, vocabulary, start="\n"):
    """Return the texts as examples, in their order."""
    ids = [vocabulary.encode(text) for text in texts]
    return Units.joined(ids, vocabulary.symbols.index(start))


def words(rng, count, longest, letters="abcde"):
    """Return random lines."""
    sizes = rng.integers(0, longest, count)
    return ["".join(rng.choice(list(letters), size)) + "\n" for size in sizes]
