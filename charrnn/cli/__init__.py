"""The command line: parse, call the library, map errors to exit codes.

Exit codes: 0 success, 1 failure, 2 usage error, 130 and 143 after SIGINT and SIGTERM, 141 when the
reader of the output went away (the code that a shell gives a process that SIGPIPE ended).
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

EXIT_FAILURE = 1
EXIT_SIGINT = 130
EXIT_SIGPIPE = 141


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    from charrnn.cli.app import run

    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:
        code = EXIT_SIGPIPE
    except KeyboardInterrupt:
        code = EXIT_SIGINT
    except OSError as problem:  # stdout full
        code = EXIT_FAILURE
        _complain(f"cannot write: {problem.strerror or problem}")
    _abandon_stdout(code)
    sys.exit(code)


def _complain(message: str) -> None:
    print(f"charrnn: error: {message}", file=sys.stderr)


def _abandon_stdout(code: int) -> None:
    """Keep the interpreter from complaining, as it exits, about a stdout that is gone."""
    if code in (EXIT_FAILURE, EXIT_SIGPIPE):
        try:
            sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
