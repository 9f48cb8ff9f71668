"""What ``charrnn eval`` does with a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from charrnn.cli.parsing.shared import note
from charrnn.cli.process.output import write_json, write_text
from charrnn.cli.scoring.pictures import Pictures, source_name
from charrnn.config import DataConfig

if TYPE_CHECKING:
    from charrnn.backend import Backend
    from charrnn.storage.checkpoint import Checkpoint
    from charrnn.text.labelled.examples import Labelled


def score_labels(
    loaded: Checkpoint,
    engine: Backend,
    names: list[str],
    split: str | None,
    given: Mapping[str, Any],
    as_json: bool,
    pictures: Pictures,
) -> None:
    """Print how well a classifier labels tables, or the run's own held-out texts."""
    from charrnn.cli.process.progress import progress
    from charrnn.evaluate.labels import Labeller, LabelScores
    from charrnn.model.sequences.classifier import Classifier
    from charrnn.text.tally import Tally

    model = loaded.model(engine)
    assert isinstance(model, Classifier)
    data = read_as(loaded, given)
    with progress("scoring", names):
        texts, skipped, left_out = read_texts(loaded, names, split, data)
        scores = LabelScores.of(Labeller(model), texts)
    assert scores is not None
    if left_out:
        note(Tally(left_out).note())
    what = source_name(names, split)

    def page() -> str:
        from charrnn.report.scores import labels_page

        return labels_page(scores, loaded.labels, loaded.name, what)

    pictures.of_labels(scores, loaded.labels, f"{loaded.name} on {what}", page)
    if as_json:
        source = {"run": str(loaded.path), "source": names or None, "split": split}
        write_json(
            {**scores.to_json(loaded.labels), "skipped": skipped, "left_out": left_out, **source}
        )
        return
    from charrnn.report.labels import labels_text

    write_text(labels_text(scores, loaded.labels))


def read_as(loaded: Checkpoint, given: Mapping[str, Any]) -> DataConfig:
    """Return how to read a table for a run: as given, else as the run's own.

    An empty column or field that was given means none. Raises
    :class:`~charrnn.errors.UsageError` if only one of two columns, or of two fields, is named.
    """
    own = loaded.data or DataConfig(level=loaded.vocabulary.level)
    if {"column", "field"} & given.keys():
        none = dict.fromkeys(("column", "field", "label_column", "label_field"))
        kept = {name: own.get(name) for name in ("label_column", "label_field")}
        chosen = {"column": "label_column", "field": "label_field"}
        none |= {label: kept[label] for text, label in chosen.items() if given.get(text)}
        own = own.changed(**none)
    changed = own.changed(**{name: value or None for name, value in given.items()})
    changed.refuse_half()
    return changed


def read_texts(
    loaded: Checkpoint, names: list[str], split: str | None, data: DataConfig
) -> tuple[Labelled, int, int]:
    """Return the texts to be scored, how many lines were passed over, and symbols left out."""
    if split is not None:
        from charrnn.storage import heldout

        assert loaded.path is not None
        symbols, labels = len(loaded.vocabulary), len(loaded.labels)
        return heldout.read_labelled(loaded.path, split, symbols, labels), 0, 0
    from charrnn.text.labelled.dataset import read_more

    found = read_more(names, data, loaded.vocabulary, loaded.labels)
    for line in found.notes:
        note(line)
    return found.texts, found.skipped, found.left_out
