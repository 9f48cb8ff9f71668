"""charrnn's side of the tasks of separate examples."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from tasks.charrnn_side import _Threaded
from tasks.examples import Plan, Run


class Learn(_Threaded):
    """Training on a table, by the loop of ``charrnn train``."""

    def __init__(self, threads: int | None = None, **plan: Any) -> None:
        super().__init__(threads)
        self.run_ = Run(Plan(**plan), self.backend)

    def run(self, count: int) -> None:
        """Make ``count`` updates."""
        for _ in range(count):
            self.run_.loop.step()

    def timed(self, count: int) -> float:
        """Make ``count`` updates and return the seconds that they took."""
        begun = perf_counter()
        self.run(count)
        return perf_counter() - begun

    def examples(self) -> float:
        """Return the mean number of examples in a batch."""
        return len(self.run_.data.train) / self.run_.task.windows_per_epoch

    def scores(self) -> dict[str, float | None]:
        """Return the validation loss, and the accuracy of a classifier."""
        task = self.run_.task
        loss = task.evaluate(lambda: False)
        return {"loss": loss, "accuracy": task.measures().get("accuracy")}
