"""``hello``: the word of the textbook example, repeated."""

from collections.abc import Iterator

from charrnn.text.builtin._base import Builtin
from charrnn.text.builtin._chain import Chain, Move

_WORD = "hello"
_REPEATS = 1 << 13


class Hello(Builtin):
    """The word "hello" repeated without a separator: "hellohellohello".

    Four letters: h, e, l, o. After "l" comes "l" or "o", and only the character before the "l"
    tells which. With two characters of context every next one is certain, so the entropy rate is 0.
    """

    description = 'the word "hello" repeated without a separator: four letters'
    is_random = False
    default_chars = 100_000

    def stream(self, seed: int) -> Iterator[str]:
        """Yield whole words, endlessly."""
        while True:
            yield _WORD * _REPEATS

    def entropy(self, seed: int) -> float:
        """Return the entropy rate, 0: the position in the word determines the next letter."""
        size = len(_WORD)
        chain = Chain([[Move(_WORD[i], (i + 1) % size, 1.0)] for i in range(size)])
        return chain.entropy_rate()

    def alphabet_size(self) -> int:
        """Return 4."""
        return len(set(_WORD))


BUILTIN = Hello
