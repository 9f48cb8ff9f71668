"""What ``charrnn eval`` does with a generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from charrnn.cli.parsing.shared import note
from charrnn.cli.process.output import write_json, write_text
from charrnn.cli.scoring.labels import read_as, read_texts
from charrnn.display import unit

if TYPE_CHECKING:
    from charrnn.backend import Backend
    from charrnn.storage.checkpoint import Checkpoint


def score_generated(
    loaded: Checkpoint,
    engine: Backend,
    names: list[str],
    split: str | None,
    given: Mapping[str, Any],
    as_json: bool,
) -> None:
    """Print how well a generator predicts the texts of tables, or the run's own held-out ones."""
    from charrnn.cli.process.progress import progress
    from charrnn.evaluate.generated import TextScores
    from charrnn.model.sequences.generator import Generator
    from charrnn.text.layout import DOCUMENTS
    from charrnn.text.tally import Tally

    model, vocabulary = loaded.model(engine), loaded.vocabulary
    assert isinstance(model, Generator)
    data, start = read_as(loaded, given), DOCUMENTS.start(vocabulary)
    with progress("scoring", names):
        texts, passed_over, left_out = read_texts(loaded, names, split, data)
        scores = TextScores.of(model, texts, vocabulary, loaded.labels, start, left_out)
    folded = sum(int((ids == vocabulary.unknown).sum()) for ids in texts.each())
    told = Tally(left_out, folded=folded).note() if names else ""
    if told:
        note(told)
    if as_json:
        source = {"run": str(loaded.path), "source": names or None, "split": split}
        more = {"folded": folded if names else None, "passed_over": passed_over}
        write_json({**scores.to_json(), **more, **source})
        return
    from charrnn.report.labels import generated_text

    write_text(generated_text(scores, unit(vocabulary.level)))
