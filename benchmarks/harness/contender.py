"""Contenders: a task in this process, or one in a process of its own behind a pipe."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

FOLDER = Path(__file__).resolve().parent.parent
THREAD_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


class Task(Protocol):
    """A piece of work, made from keyword arguments; see :mod:`tasks`."""

    def run(self, count: int) -> None:
        """Do it ``count`` times."""
        ...


class WorkerError(RuntimeError):
    """A worker process failed; what it wrote to standard error says why."""


def create(task: str, options: dict[str, Any]) -> Task:
    """Return the task called ``module:class`` (in :mod:`tasks`)."""
    module, _, name = task.partition(":")
    made: Task = getattr(import_module(f"tasks.{module}"), name)(**options)
    return made


def timed(task: Task, count: int, warm: int = 1) -> float:
    """Return the seconds of ``count`` repeats that follow ``warm`` discarded ones.

    The discarded ones bring caches and sleeping threads back after the other contender's turn.
    """
    if warm:
        task.run(warm)
    begun = time.perf_counter()
    task.run(count)
    return time.perf_counter() - begun


class Local:
    """A task in this process."""

    def __init__(self, task: str, **options: Any) -> None:
        self._task = create(task, options)

    def run(self, count: int) -> float:
        """Return the seconds of ``count`` repeats."""
        return timed(self._task, count)

    def call(self, method: str, *arguments: Any) -> Any:
        """Return what a method of the task returns."""
        return getattr(self._task, method)(*arguments)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        return None


class Worker:
    """A task in a process of its own, which waits on a pipe while it has no turn.

    Parameters
    ----------
    task
        ``module:class`` in :mod:`tasks`.
    threads
        Threads that its libraries may use; None leaves what a user gets.
    **options
        Keyword arguments of the task; whatever JSON can hold.
    """

    def __init__(self, task: str, threads: int | None = None, **options: Any) -> None:
        environment = dict(os.environ)
        path = os.environ.get("PYTHONPATH")
        environment["PYTHONPATH"] = os.pathsep.join([str(FOLDER), *([path] if path else [])])
        if threads is not None:
            environment |= dict.fromkeys(THREAD_VARIABLES, str(threads))
        self._task = task
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
            encoding="utf-8",
        )
        try:
            self._ask({"task": task, "options": options | {"threads": threads}})
        except BaseException:
            self.close()
            raise

    def run(self, count: int) -> float:
        """Return the seconds of ``count`` repeats, measured in the process itself."""
        return float(self._ask({"run": count}))

    def call(self, method: str, *arguments: Any) -> Any:
        """Return what a method of the task returns; both ways whatever JSON can hold."""
        return self._ask({"call": method, "arguments": arguments})

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, request: dict[str, Any]) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(OSError):  # a dead process shows in the missing answer
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise WorkerError(f"the process of {self._task} ended without an answer")
        return json.loads(answer)["answer"]


@contextlib.contextmanager
def contenders(
    tasks: dict[str, tuple[str, dict[str, Any]]], threads: int | None, *, apart: bool = True
) -> Iterator[dict[str, Worker | Local]]:
    """Give the named tasks, each in its own process (or all in this one), and end them after."""
    with contextlib.ExitStack() as stack:
        made: dict[str, Worker | Local] = {}
        for name, (task, options) in tasks.items():
            if apart:
                made[name] = stack.enter_context(Worker(task, threads, **options))
            else:
                made[name] = stack.enter_context(Local(task, threads=threads, **options))
        yield made
