"""``charrnn predict``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn.cli.parsing.command import Fields, given, takes
from charrnn.cli.parsing.config_file import check_stdin
from charrnn.cli.parsing.given import (
    refuse,
    refuse_decoding,
    refuse_file,
    refuse_on_gpu,
    refuse_words,
)
from charrnn.cli.parsing.shared import (
    LABELLED,
    OUTPUT,
    TAGS,
    Backend,
    Beam,
    Core,
    Run,
    Threads,
    decoding,
    note,
    open_backend,
)
from charrnn.cli.process.output import Output, json_line, utf8
from charrnn.cli.scoring.tagged import write_tags
from charrnn.cli.scoring.written import Wanted, write_targets
from charrnn.config import DECODING, DataConfig
from charrnn.display import count
from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    from charrnn.storage.checkpoint import Checkpoint

_READING = (*DECODING, "column", "field", *TAGS)
_DEFAULTS = dict.fromkeys((*DECODING, *TAGS), "the run's own")
_OF_TARGETS = ("beam", "attention", "plot")
AT_ONCE = 1024
"""Lines that are labelled together, at most."""


@takes(Fields(DataConfig, _READING, _DEFAULTS))
def predict(
    context: typer.Context,
    run: Run = None,
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE|-]",
            help="The texts, one a line; - (the default) is standard input.",
            show_default=False,
        ),
    ] = None,
    best: Annotated[
        int,
        typer.Option(
            "-k",
            metavar="N",
            min=1,
            help="The N likeliest labels, or targets, of each.",
            rich_help_panel=LABELLED,
        ),
    ] = 1,
    beam: Beam = None,
    attention: Annotated[
        bool,
        typer.Option(
            "--attention",
            help="With a transducer, show what each symbol attends to in the source.",
            rich_help_panel=LABELLED,
        ),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="With a transducer, draw the attention of the first sources, .png, .svg or .pdf; "
            "needs charrnn[plot].",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a text.", rich_help_panel=OUTPUT)
    ] = False,
    backend: Backend = "auto",
    core: Core = "auto",
    threads: Threads = None,
) -> None:
    """Label texts, or write their targets: a line out for a line in, as lines arrive.

    A line is a text without a label; an empty one is labelled too. With --column or --field the
    texts are the values of a table's column, or of a field of JSON lines.

    For each text its likeliest label is printed, a tab, and the label's probability; with -k more
    such pairs, the likeliest first, separated by tabs. With --json an object: "label", "p", and
    "labels", the probability of every label, the likeliest first (with -k, of N of them).

    A tagger labels each symbol or token. Columns are printed with one more, the label; with one
    column each line is a token. Lines become lines of labels. --format says which of the two are
    read (default: as in training; lines of a run of tokens hold tokens between spaces), --columns
    which column holds the tokens. With --json one object for each sequence: "tokens", "tags", and
    "p", the probability of each.

    A transducer writes the target of each source; with -k the likeliest ones (--beam is then at
    least N), each with a tab and
    its log-probability in nats, separated by tabs. Targets y are compared by ln p(y) divided by
    ((5 + |y|) / 6)^0.6, where |y| counts the symbols and the end. With --attention a map follows
    each line: a row for each symbol of the target, a column for each of the source; --plot draws
    those of the first twelve sources. With --json an
    object: "text", "log_p", with -k "best" (a list of "text" and "log_p"), and with --attention
    "attention" (a row for each symbol of the target and its end), "source" and "target" (symbols,
    "" for the end).

    Symbols that the model does not know are left out, or read as its unknown symbol if it has one.
    A text is cut where those of the training were.
    """
    if run == "-" and text is None:
        run, text = None, "-"
    refuse_file(context, run, text, "to label its lines", ("classify", "tag", "transduce"))
    refuse_words(context, text)
    reading = given(context, DataConfig)
    DataConfig(**reading)
    source = "-" if text is None else text
    check_stdin(context, {"text": source})
    refuse_decoding(context, [source])
    refuse_on_gpu(context)
    from charrnn.storage import checkpoint, runs

    path = runs.resolve(run)
    engine = open_backend(backend, threads, core=core)
    loaded = checkpoint.load(path)
    decoding(loaded, reading)
    if loaded.config.task != "tag":
        refuse(context, TAGS, f"only applies to a tagger, not {loaded.name}")
    if loaded.config.task == "transduce":
        wanted = Wanted(best, beam, attention, as_json, plot)
        skipped = write_targets(loaded, engine, source, reading, wanted)
    elif loaded.config.task == "tag":
        refuse(context, _OF_TARGETS, f"only applies to a transducer, not {loaded.name}")
        refuse(context, ("best", "column", "field"), f"does not apply to a tagger, {loaded.name}")
        write_tags(loaded, engine, source, reading, as_json)
        skipped = 0
    elif loaded.config.task == "classify":
        refuse(context, _OF_TARGETS, f"only applies to a transducer, not {loaded.name}")
        skipped = _labelled(loaded, engine, source, reading, best, as_json)
    elif loaded.config.task == "generate":
        raise CharRNNError(
            f"{loaded.name} is a generator, which labels nothing",
            "it writes the texts of a label: see charrnn sample --label",
        )
    else:
        raise CharRNNError(
            f"{loaded.name} is a language model, which labels nothing",
            "see charrnn sample and charrnn eval, or charrnn train --task classify, tag or "
            "transduce",
        )
    if skipped:
        note(f"left out {count(skipped, 'symbol')} that the model does not know")


def _labelled(
    loaded: Checkpoint,
    engine: Any,
    name: str,
    given: dict[str, Any],
    best: int,
    as_json: bool,
) -> int:
    """Print the labels of texts; return how many symbols were left out."""
    from charrnn.evaluate.labels import Labeller
    from charrnn.model.sequences.classifier import Classifier
    from charrnn.text.labelled.rows import How
    from charrnn.text.labelled.texts import texts

    model, vocabulary, data = loaded.model(engine), loaded.vocabulary, loaded.data or DataConfig()
    assert isinstance(model, Classifier)
    if best > len(loaded.labels) - as_json:  # --json names all of them by itself
        note(f"-k {best:,} has no effect: the model has {count(len(loaded.labels), 'label')}")
    labeller, out, skipped = Labeller(model, data.max_length), Output(), 0
    own = {name: data.get(name) for name in DECODING}
    how = How(level=vocabulary.level, **{**own, "column": None, "field": None, **given})
    for lines in texts(name, how):
        for start in range(0, len(lines), AT_ONCE):
            some = [vocabulary.text(line) for line in lines[start : start + AT_ONCE]]
            ids = [vocabulary.encode(line, "skip") for line in some]
            pairs = zip(some, ids, strict=True)
            skipped += sum(vocabulary.count(line) - len(each) for line, each in pairs)
            for p in labeller.of_texts(ids).T:
                out.write(_line(p, loaded.labels, best, as_json))
        out.flush()
    out.finish()
    return skipped


def _line(p: Any, labels: tuple[str, ...], best: int, as_json: bool) -> bytes:
    order = (-p).argsort(kind="stable").tolist()
    likeliest = order[0]
    if as_json:
        shown = order if best == 1 else order[:best]
        named = {labels[i]: float(p[i]) for i in shown}
        return json_line({"label": labels[likeliest], "p": float(p[likeliest]), "labels": named})
    return utf8("\t".join(f"{labels[i]}\t{p[i]:.4f}" for i in order[:best]) + "\n")
