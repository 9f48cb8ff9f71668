"""What ``charrnn eval`` does with the runs of examples: those of classifiers, taggers and so on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from charrnn.cli.parsing.given import refuse
from charrnn.cli.parsing.shared import LABELS, PAIRS, TAGS
from charrnn.cli.scoring.generated import score_generated
from charrnn.cli.scoring.labels import read_as, read_texts, score_labels
from charrnn.cli.scoring.pictures import OPTIONS, Pictures
from charrnn.cli.scoring.tagged import score_tags
from charrnn.cli.scoring.written import pairs_of, score_targets

if TYPE_CHECKING:
    import typer

    from charrnn.backend import Backend
    from charrnn.storage.checkpoint import Checkpoint

OF_TEXT = ("per_line", "per_char", "reset_every", "start", "unknown", "join")
OF_TABLES = ("column", "field", *LABELS)
OF_TARGETS = ("beam", "target")


def examples_of(
    context: typer.Context,
    loaded: Checkpoint,
    names: list[str],
    split: str | None,
    reading: Mapping[str, Any],
) -> tuple[Any, int]:
    """Return the examples in files, or the run's held-out ones, and the lines passed over."""
    if loaded.config.task == "transduce":
        why = f"does not apply to a transducer, which {loaded.name} is"
        refuse(context, ("column", "field", *LABELS), why)
        return pairs_of(loaded, names, split, reading)[:2]
    refuse(context, PAIRS, f"only applies to a transducer, but {loaded.name} is none")
    return read_texts(loaded, names, split, read_as(loaded, reading))[:2]


def score_examples(
    context: typer.Context,
    loaded: Checkpoint,
    engine: Backend,
    names: list[str],
    split: str | None,
    reading: Mapping[str, Any],
    beam: int | None,
    as_json: bool,
    pictures: Pictures,
    alone: Callable[[str], object],
) -> bool:
    """Print how well a model of examples does; return whether the run is one of such a model.

    ``alone`` raises for several ranks, with what needs a single process.
    """
    task, name = loaded.config.task, loaded.name
    if task != "lm":
        refuse(context, OF_TEXT, f"only applies to a language model, but {name} is none")
    if task != "transduce":
        refuse(context, OF_TARGETS, f"only applies to a transducer, but {name} is none")
    if task != "tag":
        refuse(context, TAGS, f"only applies to a tagger, but {name} is none")
    if task == "classify":
        alone("a classifier needs a single process")
        score_labels(loaded, engine, names, split, reading, as_json, pictures)
        return True
    if task not in ("classify", "tag", "transduce"):
        why = f"only applies to a classifier, a tagger or a transducer, but {name} is none"
        refuse(context, OPTIONS, why)
    if task == "generate":
        alone("a generator needs a single process")
        score_generated(loaded, engine, names, split, reading, as_json)
        return True
    if task == "tag":
        refuse(context, OF_TABLES, f"does not apply to a tagger, which {name} is")
        alone("a tagger needs a single process")
        score_tags(loaded, engine, names, split, reading, as_json, pictures)
        return True
    refuse(context, LABELS, f"only applies to a classifier or a generator, but {name} is none")
    if task == "transduce":
        alone("a transducer needs a single process")
        why = f"does not apply to a transducer, which {name} is"
        refuse(context, ("column", "field"), why)
        score_targets(loaded, engine, names, split, reading, beam or 1, as_json, pictures)
        return True
    return False
