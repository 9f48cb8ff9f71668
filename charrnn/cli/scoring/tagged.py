"""What ``charrnn predict`` and ``charrnn eval`` do with a tagger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from charrnn.cli.parsing.shared import note
from charrnn.cli.process.output import Output, json_line, utf8, write_json, write_text
from charrnn.cli.scoring.pictures import Pictures, source_name
from charrnn.config import DECODING, DataConfig
from charrnn.errors import UsageError

if TYPE_CHECKING:
    from charrnn.backend import Backend
    from charrnn.evaluate.tagging import Tagging, Tokens
    from charrnn.storage.checkpoint import Checkpoint
    from charrnn.text.tagged.examples import Tagged
    from charrnn.text.tagged.inputs import Input

AT_ONCE = 1024
"""Sequences that are labelled together, at most."""


def write_tags(
    loaded: Checkpoint, engine: Backend, name: str, given: Mapping[str, Any], as_json: bool
) -> None:
    """Print the labels of sequences: columns with one more, or a line for a line."""
    from charrnn.evaluate.tagging import Tokens
    from charrnn.model.sequences.tagger import Tagger
    from charrnn.text.labelled.rows import How
    from charrnn.text.tagged.inputs import of_columns, of_lines

    model, vocabulary, data = loaded.model(engine), loaded.vocabulary, loaded.data or DataConfig()
    assert isinstance(model, Tagger)
    tokens = Tokens(model, vocabulary, loaded.labels, data.format, data.max_length)
    own = {name: data.get(name) for name in DECODING}
    how = How(level=vocabulary.level, **{**own, **{k: given[k] for k in DECODING if k in given}})
    columns = _columns(data, given)
    if columns:
        chosen, single = given.get("columns", data.columns), tokens.single
        inputs = of_columns(name, how, chosen, single=single)
    else:
        inputs = of_lines(name, how, characters=tokens.single)
    out = Output()
    for complete in inputs:
        for start in range(0, len(complete), AT_ONCE):
            some = complete[start : start + AT_ONCE]
            for one, found in zip(some, tokens.tags([one.tokens for one in some]), strict=True):
                out.write(_shown(one, found, tokens, columns, as_json))
        out.flush()
    out.finish()


def _columns(data: DataConfig, given: Mapping[str, Any]) -> bool:
    """Whether columns are read, by what is given or else as the run was trained.

    Raises
    ------
    UsageError
        If columns are named of lines that have none.
    """
    format = given.get("format") or ("columns" if "columns" in given else data.format)
    if format == "lines" and "columns" in given:
        raise UsageError("--columns only applies to --format columns", "leave one of them out")
    return format != "lines"


def _shown(one: Input, found: Tagging, tokens: Tokens, columns: bool, as_json: bool) -> bytes:
    """Return what is printed of one sequence."""
    if as_json:
        if columns and not one.tokens:
            return b""
        return json_line({"tokens": one.tokens, "tags": found.tags, "p": found.p})
    if not columns:
        between = "" if tokens.characters else " "
        return utf8(between.join(found.tags) + "\n")
    lines = (
        line if at is None else f"{line}\t{found.tags[at]}"
        for line, at in zip(one.lines, one.at, strict=True)
    )
    return utf8("".join(f"{line}\n" for line in lines))


def score_tags(
    loaded: Checkpoint,
    engine: Backend,
    names: list[str],
    split: str | None,
    given: Mapping[str, Any],
    as_json: bool,
    pictures: Pictures,
) -> None:
    """Print how well a tagger labels sequences, or the run's own held-out ones."""
    from charrnn.cli.process.progress import progress
    from charrnn.evaluate.tags import TagScorer
    from charrnn.model.sequences.tagger import Tagger

    model = loaded.model(engine)
    assert isinstance(model, Tagger)
    with progress("scoring", names):
        sequences, skipped = _sequences(loaded, names, split, given)
        scores = TagScorer(model).of(sequences, loaded.labels)
    assert scores is not None
    what = source_name(names, split)

    def page() -> str:
        from charrnn.report.scores import tags_page

        return tags_page(scores, loaded.labels, loaded.name, what)

    pictures.of_labels(scores, loaded.labels, f"{loaded.name} on {what}", page)
    if as_json:
        source = {"run": str(loaded.path), "source": names or None, "split": split}
        write_json({**scores.to_json(loaded.labels), "skipped": skipped, **source})
        return
    from charrnn.report.labels import tags_text

    write_text(tags_text(scores, loaded.labels))


def _sequences(
    loaded: Checkpoint, names: list[str], split: str | None, given: Mapping[str, Any]
) -> tuple[Tagged, int]:
    """Return the sequences to be scored, and how many lines were passed over."""
    if split is not None:
        from charrnn.storage import heldout

        assert loaded.path is not None
        symbols, labels = len(loaded.vocabulary), len(loaded.labels)
        return heldout.read_tagged(loaded.path, split, symbols, labels), 0
    from charrnn.text.tagged.dataset import read_more

    own = loaded.data or DataConfig(level=loaded.vocabulary.level)
    data = own.changed(**given)
    if given.get("columns") and data.format == "lines":
        where = "--format columns" if "format" in given else "a run of columns"
        raise UsageError(f"--columns only applies to {where}", "leave one of them out")
    found = read_more(names, data, loaded.vocabulary, loaded.labels)
    for line in found.notes:
        note(line)
    return found.sequences, found.skipped
