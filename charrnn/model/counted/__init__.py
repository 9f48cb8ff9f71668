"""Counted n-grams beside a language model: what followed the same few symbols in its text.

A recurrent network is good at what is far away and at what no text has said before; frequencies are
good at what a text says again and again, and they need no training. Both together predict better
than either: the probabilities are mixed in the logarithm,

    p(x | all before) ∝ p_network(x | all before)^(1-s) · q(x | the last symbols)^s

that is, logits = (1 - s)(W h + b) + s ln q, the geometric mean with weights (Hinton 2002, "Training
products of experts by minimizing contrastive divergence", of experts that were trained alone).

q is an n-gram model of the training text with modified Kneser-Ney smoothing (Chen and Goodman 1998,
"An empirical study of smoothing techniques for language modeling"). With u the last k symbols, u'
all of them but the first,

    q(x | u) = (C(u x) - D(C(u x))) / Σ_y C(u y) + γ(u) q(x | u')

C counts how often u x occurs if k is the most, else how many different symbols precede it: what a
shorter context is asked for is what follows a *new* longer one. D is a discount, D₁, D₂ or D₃ for
counts of 1, 2, and more, estimated from how many n-grams occur once, twice, three and four times;
γ(u) is what the discounts leave over. Below the shortest context is 1 / V.

Of examples that are read from a zero state, only n-grams within an example count. It is read after
the symbol that ends every example; of n-grams that begin with that symbol C is how often they
occur, for nothing else precedes them.

A model that starts from the weights of another one mixes what both have counted
(:mod:`.merging`).

There is room for a number of n-grams, the most frequent ones. What the others had goes to γ.

Nothing of this is trained, and the network learns as if it stood alone. The tables are parameters
all the same, so that a checkpoint holds all that predicts; :mod:`.counting` makes them and
:mod:`.reading` reads them.
"""

from charrnn.model.counted.counting import enough, needed
from charrnn.model.counted.reading import ALL, READ, Counted, elements

__all__ = ["ALL", "READ", "Counted", "elements", "enough", "needed"]
