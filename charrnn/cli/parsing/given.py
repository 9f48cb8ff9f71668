"""Refuse options that were given although they have no effect with the others.

An option counts as given if it is on the command line, or in the file that ``--config`` names, even
with its default value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from charrnn.cli.parsing.command import given, typed
from charrnn.cli.parsing.shared import note
from charrnn.config import DECODING, DataConfig
from charrnn.display import brief, quoted, shell
from charrnn.errors import CharRNNError, UsageError, option

if TYPE_CHECKING:
    from charrnn.text.vocabulary import Vocabulary

LEAVE_OUT = "leave it out"


def is_given(context: typer.Context, name: str) -> bool:
    """Whether the parameter ``name`` is on the command line, or in the file of ``--config``."""
    source = context.get_parameter_source(name)
    return source is not None and source.name in ("COMMANDLINE", "DEFAULT_MAP")


def refuse(context: typer.Context, names: Iterable[str], why: str, remedy: str = LEAVE_OUT) -> None:
    """Raise :class:`UsageError` if one of these parameters was given.

    ``why`` completes a sentence that begins with the option's name.
    """
    flags = {param.name: param.opts[0] for param in context.command.get_params(context)}
    for name in names:
        if is_given(context, name):
            raise UsageError(f"{flags[name]} {why}", remedy)


def again(context: typer.Context, names: Iterable[str]) -> tuple[str, ...]:
    """Return the words of these parameters as they were given, to be added to a command."""
    words: list[str] = []
    for name in names:
        if is_given(context, name):
            words += [option(name), str(context.params[name])]
    return tuple(words)


def refuse_decoding(context: typer.Context, texts: Sequence[str]) -> None:
    """Refuse options for decoding text that have no effect on these texts."""
    of_text = given(context, DataConfig)
    if of_text:
        from charrnn.text.finding import undecoded

        data = DataConfig(**{k: v for k, v in of_text.items() if k in DECODING})
        for name, why in undecoded(texts, data.encoding, data.errors).items():
            refuse(context, (name,), why)


def note_unknown(context: typer.Context, vocabulary: Vocabulary) -> None:
    """Note that ``--unknown`` has no effect on a model that has an unknown symbol, if given."""
    if is_given(context, "unknown") and vocabulary.unknown is not None:
        note("--unknown has no effect: the model has a symbol for all that it does not know")


def refuse_on_gpu(context: typer.Context) -> None:
    """Refuse what is for a CPU, if the backend is CuPy."""
    if context.params["backend"] == "cupy":
        names = ("threads", "core") if context.params["core"] == "numpy" else ("threads",)
        refuse(context, names, "only applies to a CPU, but --backend is cupy")


def refuse_file(
    context: typer.Context, run: str | None, text: str | None, what: str, tasks: Collection[str]
) -> None:
    """Refuse a text as the only argument, where a run was expected, or as the first one.

    The remedy is the command as it was typed, with the newest run of one of the tasks before the
    text; ``what`` says what it is for. If there is a run after the text, it is moved.
    """
    if run is None or not Path(run).is_file():
        return
    from charrnn.own import is_checkpoint

    if not is_checkpoint(Path(run)):
        if text is not None and (text == "-" or not is_run(text)):
            return
        if text is not None:
            rest = [quoted(word) for word in typed(context) if word not in (run, text)]
            line = " ".join([str(context.info_name), shell(text), shell(run), *rest])
            raise UsageError(
                f"{shell(run)} is a file, not a run", f"the run is first: charrnn {line}"
            )
        words = ["charrnn", str(context.info_name), *map(quoted, typed(context))]
        at = words.index(quoted(run)) if quoted(run) in words else len(words)
        words[at : at + 1] = [shell(_newest(tasks)), shell(run)]
        raise UsageError(f"{shell(run)} is a file, not a run", f"{what}: {' '.join(words)}")


def refuse_words(context: typer.Context, text: str | None) -> None:
    """Refuse a text of several words that is typed where its file is to be named."""
    if text is None or len(text.split()) < 2 or text.strip() == "-":
        return
    with suppress(OSError, ValueError):
        if Path(text).exists() or "." in Path(text).name.rstrip("."):
            return
    words = [quoted(word) if word != text else "-" for word in typed(context)]
    line = " ".join(["charrnn", str(context.info_name), *words])
    raise UsageError(
        f"{brief(text)} is not a file", f"to give the text itself: echo {quoted(text)} | {line}"
    )


def is_run(name: str) -> bool:
    """Whether this is the name of a run and of nothing else, or a checkpoint."""
    from charrnn.own import is_checkpoint
    from charrnn.storage import runs

    with suppress(CharRNNError, OSError, ValueError):
        return is_checkpoint(Path(name) if Path(name).exists() else runs.resolve(name))
    return False


def refuse_run(context: typer.Context, texts: Sequence[str], how: str, text: str = "") -> None:
    """Refuse a run among texts.

    ``how`` is what to write, with the command without the run and then the run. In the command
    ``text`` stands for a text if there is no other one; by default the run's own.
    """
    for name in texts:
        if name != "-" and not _is_builtin(name) and is_run(name):
            words = [quoted(word) for word in typed(context) if word != name]
            words = words if set(texts) - {name} else [text or _texts_of(name), *words]
            line = " ".join(["charrnn", str(context.info_name), *words])
            raise UsageError(f"{shell(name)} is a run, not a text", how.format(line, shell(name)))


def _texts_of(run: str) -> str:
    """Return the texts of a run as words of a command; ``TEXT`` if they are not there."""
    from charrnn.storage import checkpoint, runs
    from charrnn.text.finding import in_command

    with suppress(CharRNNError, OSError):
        path = Path(run) if Path(run).is_file() else runs.resolve(run)
        data = checkpoint.load(path, finite=False).data
        texts = [] if data is None else in_command(data)
        if texts and all(_is_builtin(name) or Path(name).exists() for name in texts):
            return " ".join(map(shell, texts))
    return "TEXT"


def _is_builtin(name: str) -> bool:
    from charrnn.text import builtin

    return name in builtin.NAMES


def _newest(tasks: Collection[str]) -> str:
    """Return the name of the newest run of one of the tasks; ``RUN`` if there is none."""
    from charrnn.storage import checkpoint, runs

    for folder in reversed(runs.folders()):
        with suppress(CharRNNError):
            if checkpoint.load(runs.resolve(str(folder)), finite=False).config.task in tasks:
                return folder.name
    return "RUN"
