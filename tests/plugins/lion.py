"""An optimizer in one file outside the package: Lion (Chen et al. 2023, arXiv 2302.06675).

w ← (1 - lr λ) w - lr sign(β₁ m + (1 - β₁) g)
m ← β₂ m + (1 - β₂) g
"""

from typing import ClassVar

from charrnn.options import TRAINING, Option
from charrnn.train.optimizers.base import Optimizer

BETA2 = 0.99


class Lion(Optimizer):
    name = "lion"
    slots = ("m",)
    options: ClassVar = {
        "beta": Option(0.9, "β₁ of the update.", group=TRAINING, least=0, below=1),
    }

    def update(self, w, g, moments, a, lr, scale, count):
        xp, (m,) = self.backend.xp, moments
        g *= scale
        w *= 1 - lr * self.weight_decay
        xp.multiply(m - g, self.beta, out=a)
        a += g
        w -= lr * xp.sign(a)
        m += (1 - BETA2) * (g - m)
