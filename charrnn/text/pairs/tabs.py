"""How a table with commas, or JSON lines, becomes the lines with tabs that a task reads.

The commands that are shown are for a shell, and need nothing but Python.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from charrnn.display import brief, brief_list, quoted, shell
from charrnn.text.labelled.looks import Look, is_table, look
from charrnn.text.source import shown

_SOURCES = (
    "source src input in text texts from question prompt word words token tokens symbol symbols "
    "form sentence lemma original incorrect noisy"
)
_TARGETS = (
    "target tgt output out to answer response label labels tag tags ner_tags pos_tags pos upos ner "
    "translation translated correct corrected clean inflected summary"
)
"""Names that columns of sources, or symbols, and of targets, or labels, often have."""
_LANGUAGES = "en fr de es it pt nl pl ru uk tr el ar he hi zh ja ko sv da no fi cs"
"""Codes of languages, which are names of either."""
_UNPACK = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz"}
_CELL = '" ".join({}.split())'  # neither a tab nor a newline


def advice(
    line: str,
    source: str,
    encoding: str,
    *,
    several: str = "",
    whole: bool = False,
    separators: str = ",;|",
) -> str:
    """Return how to write the file with this first line in lines that have one tab.

    Parameters
    ----------
    line
        The first line.
    source
        The file, or ``-``.
    encoding
        That of the file.
    several
        What to do with a table of more columns then, if it can be read; all columns of one are
        written if its names do not say which two are meant.
    whole
        Whether all columns are written in any case.
    separators
        What may stand between the columns of a table.

    Returns
    -------
    str
        The advice, with a command to paste; empty if the file is neither kind of file.
    """
    found = look(line, source, separators)
    if found is None or (", " in line and not is_table(source) and not _names_any(found)):
        return ""  # also a sentence with a comma
    encoding = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
    opened = f'open(0, encoding="{encoding}", newline="")'
    if found.separator:
        return _of_table(found, source, opened, several, whole)
    return _of_objects(found, source, opened)


def about_header(line: str, source: str) -> str:
    """Return a note on a first line with tabs that seems to be a header; empty if it does not."""
    names = [name for name in line.split("\t") if len(name) > 1]
    languages = len(names) == 2 and all(_is_in(name, _LANGUAGES) for name in names)
    known = (any(_is_in(name, kind) for name in names) for kind in (_SOURCES, _TARGETS))
    if source == "-" or not (languages or all(known)):
        return ""
    where, without = f"{shown(source)} line 1", _beside(Path(source))
    return (
        f"{where} is read as an example; if it is a header, leave it out: "
        f"sed 1d {shell(source)} > {shell(without)}"
    )


def _of_table(found: Look, source: str, opened: str, several: str, whole: bool) -> str:
    names = found.names
    rows = f"csv.reader({opened}, delimiter={_code(found.separator)})"
    known = _known(names)
    header = _names_any(found)
    which = known or (0, 1)
    if whole or (known is None and several):
        script = f'"\\t".join({_CELL.format("c")} for c in r)'
        what = "write this table with tabs" + (f", and {several}" if several else "")
    else:
        cells = f"{_CELL.format('r[i]')} for i in {which}"
        script = f'"\\t".join({cells} if r)'
        pair = f"{brief(names[which[0]])} and {brief(names[which[1]])}"
        what = f"write the columns {pair} of this table with a tab between them"
        if known is None:
            what = f"its columns are {brief_list(names)}: {what.replace('this', 'the')}"
    if header:
        rows = f"[*{rows}][1:]"
    else:
        what = "write this table with tabs, without its first line if that holds names"
    script = f"import csv; [print({script}) for r in {rows}]"
    return f"{what}: {_command(script, source)}"


def _of_objects(found: Look, source: str, opened: str) -> str:
    fields = {
        name: value
        for name, value in found.record.items()
        if isinstance(value, str | int) or _is_list(value)
    }
    known = _known(list(fields))
    if known is None:
        return ""
    first, second = (list(fields)[n] for n in known)
    keys = f"r[{_code(first)}], r[{_code(second)}]"
    if _is_list(fields[first]) and _is_list(fields[second]):
        script = f'[print(*(f"{{a}}\\t{{b}}\\n" for a, b in zip({keys})), sep="")'
    else:
        cells = _CELL.format("str(c)")
        script = f'[print("\\t".join({cells} for c in ({keys})))'
    script = f"import json; {script} for r in map(json.loads, {opened})]"
    pair = f"{brief(first)} and {brief(second)}"
    return f"write the fields {pair} of these JSON lines with a tab between them: " + _command(
        script, source
    )


def _names_any(found: Look) -> bool:
    """Whether one of the names is known, so that the first line is a header."""
    known = f"{_SOURCES} {_TARGETS} {_LANGUAGES}"
    return any(_is_in(name, known) for name in found.names)


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str | int) for each in value)


def _code(text: str) -> str:
    """Return a string of Python's, in double quotes."""
    return json.dumps(text)


def _known(names: Sequence[str]) -> tuple[int, int] | None:
    """Return which names are those of sources and targets, if that is clear."""
    if len(names) == 2:
        swapped = _is_in(names[0], _TARGETS) and _is_in(names[1], _SOURCES)
        return (1, 0) if swapped else (0, 1)
    languages = [n for n, name in enumerate(names) if _is_in(name, _LANGUAGES)]
    if len(languages) == 2:
        return languages[0], languages[1]
    firsts = [n for n, name in enumerate(names) if _is_in(name, _SOURCES)]
    seconds = [n for n, name in enumerate(names) if _is_in(name, _TARGETS)]
    return (firsts[0], seconds[0]) if len(firsts) == len(seconds) == 1 else None


def _is_in(name: str, known: str) -> bool:
    return name.lower() in known.split()


def _command(script: str, source: str) -> str:
    """Return the command that runs a script on a file, and writes one beside it."""
    run = f"python3 -X utf8 -c {quoted(script)}"
    if source == "-":
        return f"{run} between the two commands of the pipe"
    path = Path(source)
    packed = path.suffix.lower()
    if packed in _UNPACK:
        run, path = f"{_UNPACK[packed]} -dc {shell(source)} | {run}", path.with_suffix("")
    else:
        run = f"{run} < {shell(source)}"
    return f"{run} > {shell(_beside(path))}"


def _beside(path: Path) -> Path:
    """Return the name of a file with tabs that does not exist, beside another file."""
    written = path.with_suffix(".tsv")
    while written.exists():
        written = written.with_name(f"{written.stem}-rows.tsv")
    return written
