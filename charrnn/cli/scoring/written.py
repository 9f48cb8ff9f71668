"""What ``charrnn predict`` and ``charrnn eval`` do with a transducer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from charrnn.cli.parsing.pictures import DRAWINGS, check_picture, note_lacking
from charrnn.cli.parsing.shared import note
from charrnn.cli.process.output import Output, json_line, utf8, write_json, write_text
from charrnn.cli.scoring.pictures import MOST_MAPS, Pictures, source_name
from charrnn.config import DECODING, DataConfig
from charrnn.display import count, one_line
from charrnn.errors import UsageError

if TYPE_CHECKING:
    from charrnn.backend import Backend
    from charrnn.evaluate.pairs import TargetScores
    from charrnn.model.transducer.model import Transducer
    from charrnn.sampling.targets import Target
    from charrnn.storage.checkpoint import Checkpoint
    from charrnn.text.pairs.dataset import Pairs

UNKNOWN = "\N{REPLACEMENT CHARACTER}"
"""Stands for a symbol of a target that the model does not know."""
MOST_HYPOTHESES = 100_000
"""Of a beam."""
AT_ONCE = 1024
"""Sources that are read before their targets are written, at most."""


class Wanted(NamedTuple):
    """What to write of each source: ``best`` targets of a beam, and whether with attention.

    ``plot`` is a file for maps of attention.
    """

    best: int = 1
    beam: int | None = None
    attention: bool = False
    as_json: bool = False
    plot: Path | None = None

    @property
    def width(self) -> int:
        """The width of the beam.

        Raises
        ------
        UsageError
            If it is smaller than the number of targets, or too large.
        """
        if self.beam is not None and self.beam < self.best:
            message = f"-k {self.best} is more than --beam {self.beam} holds"
            raise UsageError(message, f"raise --beam to {self.best}, or lower -k")
        return checked_width("-k" if self.beam is None else "--beam", self.beam or self.best)


def checked_width(name: str, width: int) -> int:
    """Return the width of a beam; raise :class:`UsageError` if no memory can hold it."""
    if width > MOST_HYPOTHESES:
        raise UsageError(f"{name} must be at most {MOST_HYPOTHESES:,}, not {width}", "lower it")
    return width


def write_targets(
    loaded: Checkpoint, engine: Backend, name: str, given: Mapping[str, Any], wanted: Wanted
) -> int:
    """Print the targets of sources, a line for a line; return how many symbols were left out.

    Longer sources than those of the training are cut, with a note.
    """
    from charrnn.model.transducer.model import Transducer
    from charrnn.sampling.targets import written
    from charrnn.text.labelled.rows import How
    from charrnn.text.labelled.texts import texts
    from charrnn.text.pairs.dataset import Pairs

    model, vocabulary, data = loaded.model(engine), loaded.vocabulary, loaded.data or DataConfig()
    assert isinstance(model, Transducer)
    _check(wanted, loaded.name, model.decoder.attention is not None)
    out, skipped, width, maps = Output(), 0, wanted.width, list[Any]()
    long = 0
    own = {name: data.get(name) for name in DECODING}
    how = How(level=vocabulary.level, **{**own, "column": None, "field": None, **given})
    for lines in texts(name, how):
        for start in range(0, len(lines), AT_ONCE):
            some = [vocabulary.text(line) for line in lines[start : start + AT_ONCE]]
            ids = [vocabulary.encode(line, "skip") for line in some]
            skipped += sum(map(vocabulary.count, some)) - sum(map(len, ids))
            long += sum(len(each) > data.max_length for each in ids)
            ids = [each[: data.max_length] for each in ids]
            sources = Pairs.untranslated(ids)
            attention = wanted.attention or wanted.plot is not None
            search = written(model, sources, beam=width, count=wanted.best, attention=attention)
            found = dict(search)
            for number, symbols in enumerate(ids):
                read = [str(vocabulary.decode([symbol])) for symbol in symbols.tolist()]
                out.write(_shown(found[number], read, loaded.labels, data.target_level, wanted))
                best = found[number][0]
                if wanted.plot is not None:
                    maps.append((read, _rows(best, loaded.labels), best.attention))
                    del maps[MOST_MAPS:]
        out.flush()
    out.finish()
    if long:
        most = count(data.max_length, "symbol")
        note(f"cut {count(long, 'source')} after {most}: the training had none that are longer")
    if wanted.plot is not None and maps:
        from charrnn.report.maps import Map, draw

        note_lacking(wanted.plot, draw([Map(*each) for each in maps], wanted.plot))
    return skipped


def _check(wanted: Wanted, name: str, attends: bool) -> None:
    """Raise if attention is wanted that cannot be shown."""
    for option, given in (("--attention", wanted.attention), ("--plot", wanted.plot)):
        if given and not attends:
            raise UsageError(f"{name} was trained without attention", f"leave {option} out")
    check_picture(wanted.plot, DRAWINGS)


def _shown(
    found: list[Target], read: list[str], symbols: tuple[str, ...], level: str, wanted: Wanted
) -> bytes:
    """Return what is printed of one source, whose symbols are ``read``."""
    from charrnn.text.pairs.symbols import joined

    texts = [joined((symbols[i] for i in one.ids), level) for one in found]
    if wanted.as_json:
        record: dict[str, Any] = {"text": texts[0], "log_p": found[0].log_p}
        if wanted.best > 1:
            record["best"] = [
                {"text": text, "log_p": one.log_p} for text, one in zip(texts, found, strict=True)
            ]
        if wanted.attention and found[0].attention is not None:
            record["attention"] = found[0].attention.astype(float).round(4).tolist()
            record["source"] = [*read, ""]
            record["target"] = _rows(found[0], symbols)
        return json_line(record)
    line = "\t".join(
        _one_line(text) if wanted.best == 1 else f"{_one_line(text)}\t{one.log_p:.4f}"
        for text, one in zip(texts, found, strict=True)
    )
    if not wanted.attention or found[0].attention is None:
        return utf8(line + "\n")
    from charrnn.report.attention import attention_text

    rows = _rows(found[0], symbols)
    return utf8(f"{line}\n{attention_text(read, rows, found[0].attention)}\n")


def _rows(one: Target, symbols: tuple[str, ...]) -> list[str]:
    """Return the symbols of a target, with an empty one for the end."""
    return [symbols[i] for i in one.ids] + [""] * (len(one.nats) - len(one.ids))


def _one_line(text: str) -> str:
    """Return a text that is one line of output, whatever symbols it has."""
    return text if text.isprintable() else one_line(text)


def score_targets(
    loaded: Checkpoint,
    engine: Backend,
    names: list[str],
    split: str | None,
    given: Mapping[str, Any],
    beam: int,
    as_json: bool,
    pictures: Pictures,
) -> None:
    """Print how well a transducer does on pairs, or on the run's own held-out ones."""
    from charrnn.cli.process.progress import progress
    from charrnn.model.transducer.model import Transducer
    from charrnn.tasks.transduce import scores_of
    from charrnn.text.tally import Tally

    model = loaded.model(engine)
    assert isinstance(model, Transducer)
    checked_width("--beam", beam)
    if pictures.plot is not None and model.decoder.attention is None:
        raise UsageError(f"{loaded.name} was trained without attention", "leave --plot out")
    with progress("scoring", names):
        pairs, skipped, left_out = pairs_of(loaded, names, split, given)
        scores = scores_of(model, pairs, beam=beam)
    assert scores is not None
    if left_out:
        note(Tally(left_out).note())
    if pictures.wanted:
        _draw(loaded, model, pairs, scores, beam, pictures, source_name(names, split))
    if as_json:
        source = {"run": str(loaded.path), "source": names or None, "split": split}
        write_json({**scores.to_json(), "skipped": skipped, "left_out": left_out, **source})
        return
    from charrnn.report.attention import targets_text

    write_text(targets_text(scores))


def _draw(
    loaded: Checkpoint,
    model: Transducer,
    pairs: Pairs,
    scores: TargetScores,
    beam: int,
    pictures: Pictures,
    what: str,
) -> None:
    """Draw what the first pairs attend to, and write the page."""
    import numpy as np

    from charrnn.report.diagnose.document import write_document
    from charrnn.report.maps import Map, draw
    from charrnn.report.scores import Drawn, targets_page
    from charrnn.sampling.targets import written
    from charrnn.text.pairs.symbols import joined

    data, symbols = loaded.data or DataConfig(), (*loaded.labels, UNKNOWN)
    some = pairs.of(np.arange(min(MOST_MAPS, len(pairs))))
    attends = model.decoder.attention is not None
    found = dict(written(model, some, beam=beam, attention=True)) if attends else {}
    maps = []
    for number in sorted(found):
        (best,) = found[number]
        read = [str(loaded.vocabulary.decode([i])) for i in some.sources.text(number).tolist()]
        target, wanted = (
            joined((symbols[i] for i in ids), data.target_level)
            for ids in (best.ids, some.targets.text(number).tolist())
        )
        assert best.attention is not None
        rows = Map(read, _rows(best, loaded.labels), best.attention)
        maps.append(Drawn("".join(read), target, wanted, rows))
    if pictures.plot is not None:
        note_lacking(pictures.plot, draw([each.map for each in maps], pictures.plot))
    if pictures.html is not None:
        write_document(pictures.html, targets_page(scores, maps, loaded.name, what))


def pairs_of(
    loaded: Checkpoint, names: list[str], split: str | None, given: Mapping[str, Any]
) -> tuple[Pairs, int, int]:
    """Return the pairs to be scored, how many lines were passed over, and symbols left out."""
    if split is not None:
        from charrnn.storage import heldout

        assert loaded.path is not None
        symbols, targets = len(loaded.vocabulary), len(loaded.labels)
        return heldout.read_pairs(loaded.path, split, symbols, targets), 0, 0
    from charrnn.text.pairs.dataset import read_more

    own = loaded.data or DataConfig(level=loaded.vocabulary.level)
    data = own.changed(**{"target": (), **given})
    found = read_more(names, data, loaded.vocabulary, loaded.labels)
    for line in found.notes:
        note(line)
    return found.pairs, found.skipped, found.left_out
