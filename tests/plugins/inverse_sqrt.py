"""A schedule in one file outside the package: 1 / √(1 + step / timescale)."""

from typing import ClassVar

from charrnn.options import TRAINING, Option
from charrnn.train.schedules.base import Schedule


class InverseSqrt(Schedule):
    name = "inverse-sqrt"
    options: ClassVar = {
        "timescale": Option(100, "Steps after which the rate falls.", group=TRAINING, least=1),
    }

    def factor(self, progress, step):
        return (1 + step / self.timescale) ** -0.5
