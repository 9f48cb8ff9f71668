"""Counted n-grams beside a language model: what followed the same few symbols in its text.

A recurrent network is good at what is far away and at what no text has said before; frequencies are
good at what a text says again and again, and they need no training. Both together predict better
than either: the probabilities are mixed in the logarithm,

    p(x | all before) ∝ p_network(x | all before)^(1-s) · q(x | the last symbols)^s

that is, logits = (1 - s)(W h + b) + s ln q, the geometric mean with weights (Hinton 2002, "Training
products of experts by minimizing contrastive divergence", of experts that were trained alone).

q is an n-gram model of the training text with modified Kneser-Ney smoothing (Chen and Goodman 1998,
"An empirical study of smoothing techniques for language modeling"). With h the last k symbols, h'
all of them but the first,

    q(x | h) = (C(h x) - D(C(h x))) / Σ_y C(h y) + γ(h) q(x | h')

C counts how often h x occurs if k is the most, else how many different symbols precede it: what a
shorter context is asked for is what follows a *new* longer one. D is a discount, D₁, D₂ or D₃ for
counts of 1, 2, and more, estimated from how many n-grams occur once, twice, three and four times;
γ(h) is what the discounts leave over. Below the shortest context is 1 / V.

There is room for a number of n-grams, the most frequent ones. What the others had goes to γ.

Nothing of this is trained, and the network learns as if it stood alone. The tables are parameters
all the same, so that a checkpoint holds all that predicts; :mod:`.counting` makes them and
:mod:`.reading` reads them.
"""

from charrnn.model.counted.reading import ALL, READ, Counted, elements

__all__ = ["ALL", "READ", "Counted", "elements"]
