"""The process behind :class:`harness.contender.Worker`: a request a line in, an answer a line out.

Whatever a task prints goes to standard error, so that the answers stay alone on the pipe.
"""

from __future__ import annotations

import json
import os
import sys

from harness.contender import create, timed


def main() -> None:
    """Make the task of the first line; then serve requests until the pipe is closed."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(value: object) -> None:
        answers.write(json.dumps({"answer": value}) + "\n")
        answers.flush()

    first = sys.stdin.readline()
    if not first:
        return
    asked = json.loads(first)
    task = create(asked["task"], asked["options"])
    answer(None)
    for line in sys.stdin:
        asked = json.loads(line)
        if "run" in asked:
            answer(timed(task, asked["run"]))
        else:
            answer(getattr(task, asked["call"])(*asked["arguments"]))


if __name__ == "__main__":
    main()
