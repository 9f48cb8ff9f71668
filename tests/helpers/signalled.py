"""Run ``charrnn`` with one phase of it held up: ``signalled.py PHASE SECONDS ARGUMENTS...``.

When the phase is reached, a line goes to standard error, for whoever wants to send a signal then.
"""

import sys
import time

from charrnn import cli


def hold():
    print(f"@{PHASE}", file=sys.stderr, flush=True)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(0.02)


def held(owner, name, at=1):
    """Hold before the ``at``-th call of a function."""
    inner, calls = getattr(owner, name), []

    def slow(*args, **options):
        calls.append(None)
        if len(calls) == at:
            hold()
        return inner(*args, **options)

    setattr(owner, name, slow)


def prepare(phase):
    if phase == "start":
        return held(cli, "_outcome")
    from charrnn import files
    from charrnn.model.language import LanguageModel
    from charrnn.report.training import PlainLines
    from charrnn.storage import checkpoint, heldout
    from charrnn.train.loop import Loop
    from charrnn.train.recipes import language

    return {
        "none": lambda: None,
        "read": lambda: held(language, "read_corpus"),
        "model": lambda: held(LanguageModel, "fresh"),
        "begin": lambda: held(heldout, "write"),
        "step": lambda: held(LanguageModel, "loss_and_gradient", 8),
        "eval": lambda: held(LanguageModel, "surprisal", 3),
        "save": lambda: held(files, "flush_folder", 3),
        "before the rename": lambda: held(checkpoint.container, "write", 2),
        "flush": lambda: held(files, "flush", 6),
        "told": lambda: held(PlainLines, "show", 4),
        "end": lambda: held(Loop, "_end"),
    }[phase]()


if __name__ == "__main__":
    PHASE, SECONDS = sys.argv[1], float(sys.argv[2])
    sys.argv[1:] = sys.argv[3:]
    prepare(PHASE)
    cli.main()
