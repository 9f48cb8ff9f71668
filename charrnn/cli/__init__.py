"""The command line: parse, call the library, map errors to exit codes.

Exit codes: 0 success; 1 failure; 2 usage error; 3 a verdict that ``diagnose --fail-on`` names;
129, 130 and 143 after SIGHUP, SIGINT and SIGTERM; 141 when the reader of the output went away (the
code that a shell gives a process that SIGPIPE ended).
"""

from __future__ import annotations

import sys
from typing import NoReturn

EXIT_FAILURE = 1
EXIT_SIGINT = 130
EXIT_SIGPIPE = 141


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    try:
        from charrnn.cli.process import signals, streams

        streams.open_closed()
        signals.raise_on_signals()
        code = _outcome()
        signals.ignore_signals()
        streams.abandon()
    except KeyboardInterrupt as problem:  # during start-up, or while the exit code was determined
        code = getattr(problem, "exit_code", EXIT_SIGINT)
    sys.exit(code)


def _run(words: list[str]) -> int:
    from charrnn.cli.parsing.stored import answer

    if (text := answer(words)) is not None:
        from charrnn.cli.process.output import write_text

        write_text(text)
        return 0
    from charrnn.cli.app import run

    return run(words)


def _outcome() -> int:
    """Run the command line and return the exit code, with at most one line of complaint."""
    from charrnn.cli.process.streams import complain, unwritten
    from charrnn.errors import to_standard_output

    try:
        code = _run(sys.argv[1:])
        with to_standard_output():
            sys.stdout.flush()
    except BrokenPipeError:
        return EXIT_SIGPIPE
    except KeyboardInterrupt as problem:
        return int(getattr(problem, "exit_code", EXIT_SIGINT))
    except OSError as problem:  # stdout full or closed
        complain(unwritten(problem))
        return EXIT_FAILURE
    except MemoryError as problem:
        complain(
            f"out of memory: {problem or 'an allocation failed'}; use a smaller model or batch"
        )
        return EXIT_FAILURE
    return code
