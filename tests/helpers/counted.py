"""Language models with counted n-grams, and the equation of those n-grams."""

from collections import Counter, defaultdict

import numpy as np

from charrnn.config import ModelConfig
from charrnn.model.counted import contexts
from charrnn.model.language import LanguageModel

LONGEST = contexts.LONGEST + 1


def text_of(rng, V, symbols):
    """Return a text in which some symbols often follow others."""
    tastes = rng.dirichlet(np.full(V, 0.2), (V, V))
    ids = [0, V - 1]
    while len(ids) < symbols:
        ids.append(int(rng.choice(V, p=tastes[ids[-2], ids[-1]])))
    return np.array(ids)


def filled(ids, V, backend=None, grams=4000, **config):
    """Return a model of random weights that has counted a text."""
    model = LanguageModel.fresh(ModelConfig(grams=grams, **config), V, 3, backend)
    model.counted.fill(model.weights, ids)
    return model


class Naive:
    """q as the equation of modified Kneser-Ney smoothing says; nothing is left out.

    ``texts`` is one text, or several examples that begin with ``start``.
    """

    def __init__(self, texts, V, start=None):
        texts = [tuple(map(int, text)) for text in ([texts] if start is None else texts)]
        self.V, self.counts = V, defaultdict(Counter)
        every = [
            Counter(text[i : i + n] for text in texts for i in range(len(text) - n + 1))
            for n in range(1, LONGEST + 1)
        ]
        for n, times in enumerate(every, 1):
            found = times
            if n < LONGEST:
                found = Counter(longer[1:] for longer in every[n])
                found |= Counter(dict.fromkeys(times, 1))  # what nothing precedes
                if n > 1:
                    found |= Counter({g: times[g] for g in times if g[0] == start})
            for gram, count in found.items():
                self.counts[gram[:-1]][gram[-1]] = count
        self.discounts = [self._discounts(n) for n in range(LONGEST)]

    def _discounts(self, n):
        each = [c for h, of in self.counts.items() if len(h) == n for c in of.values()]
        n1, n2, n3, n4 = (max(1, each.count(k)) for k in (1, 2, 3, 4))
        y = n1 / (n1 + 2 * n2)
        found = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
        return [min(max(d, 0.1), k - 0.05) for k, d in enumerate(found, 1)]

    def q(self, x, context):
        context = tuple(map(int, context))[-(LONGEST - 1) :]
        shorter = self.q(x, context[1:]) if context else 1 / self.V
        of = self.counts.get(context)
        if not of:
            return shorter
        discount = self.discounts[len(context)]
        total = sum(of.values())
        left = sum(discount[min(c, 3) - 1] for c in of.values()) / total
        own = of[x] - discount[min(of[x], 3) - 1] if of[x] else 0
        return own / total + left * shorter
