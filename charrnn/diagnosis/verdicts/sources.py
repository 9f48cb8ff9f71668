"""The bases of verdicts, and the sources that they cite."""

THEOREM, MEASUREMENT, RULE = "theorem", "measurement", "rule of thumb"
PASCANU = "Pascanu, Mikolov and Bengio 2013, arXiv 1211.5063"
CS231N = "Karpathy, CS231n notes: updates of about 1/1000 of the weights"
