"""AdamW: Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101).

w ← (1 - lr · λ) w,    then as Adam
"""

from __future__ import annotations

from charrnn.train.optimizers.adam import Adam


class AdamW(Adam):
    """Adam; weight decay shrinks the weights and leaves the gradient alone."""

    name = "adamw"

    def decay(self, lr: float) -> tuple[float, float]:
        return 0.0, 1 - lr * self.weight_decay
