"""Paired timing: interleaved rounds, medians, and two kinds of ratio.

One round times every contender once, in order, so that whatever the machine does meanwhile (other
load, clock, temperature) falls on all of them alike. The ratio of two contenders is given twice: of
their medians, and as the median of the ratios round by round. Where the two disagree, the machine
changed during the run and neither should be trusted.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Protocol

TARGET = 0.4
"""Seconds that one turn of a contender should last."""
PAUSE = 0.15
"""Seconds between two turns: OpenBLAS's idle threads spin for about 0.1 s before they sleep."""


class Contender(Protocol):
    """Something that can be done ``count`` times."""

    def run(self, count: int) -> float:
        """Do it and return the seconds that it took in all, warming up excluded."""
        ...


@dataclass(frozen=True)
class Plan:
    """How long to measure: rounds, seconds of a turn, seconds between turns."""

    rounds: int = 9
    target: float = TARGET
    pause: float = PAUSE


QUICK = Plan(rounds=1, target=0.0, pause=0.0)
"""Just enough to see that a benchmark runs; its figures mean nothing."""


@dataclass(frozen=True)
class Samples:
    """Seconds of one repeat, by contender and round."""

    seconds: Mapping[str, Sequence[float]]

    def median(self, name: str) -> float:
        """Return the contender's median in seconds."""
        return median(self.seconds[name])

    def ratio(self, over: str, under: str) -> float:
        """Return the ratio of the medians."""
        return self.median(over) / self.median(under)

    def paired_ratio(self, over: str, under: str) -> float:
        """Return the median of the ratios of each round."""
        pairs = zip(self.seconds[over], self.seconds[under], strict=True)
        return median(a / b for a, b in pairs)

    def spread(self, name: str) -> float:
        """Return the distance between the quartiles as a share of the median."""
        values = self.seconds[name]
        if len(values) < 2:
            return 0.0
        low, _, high = quantiles(values, n=4, method="inclusive")
        return (high - low) / self.median(name)


def repeats(seconds: float, target: float) -> int:
    """Return how many repeats of ``seconds`` each fill ``target`` seconds, at least one."""
    return max(1, round(target / seconds)) if seconds > 0 else 1


def interleave(contenders: Mapping[str, Contender], plan: Plan) -> Samples:
    """Time all contenders in turn, ``plan.rounds`` times: A B C A B C, and so on.

    How many repeats a turn has is found once, from discarded turns of each: of one repeat, and of
    as many as that suggests, for a turn may take long to begin.
    """
    counts = {}
    for name, contender in contenders.items():
        count = repeats(contender.run(1), plan.target)
        if count > 1:
            count = repeats(contender.run(count) / count, plan.target)
        counts[name] = count
        time.sleep(plan.pause)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(plan.rounds):
        for name, contender in contenders.items():
            seconds[name].append(contender.run(counts[name]) / counts[name])
            time.sleep(plan.pause)
    return Samples(seconds)
