"""The score of a whole text, or of all examples together, as ``charrnn eval`` shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from charrnn import display
from charrnn.cli.parsing.shared import note
from charrnn.cli.process.output import Output, json_line, utf8

if TYPE_CHECKING:
    from charrnn.backend.team import Team
    from charrnn.cli.scoring.text import ScoredText
    from charrnn.evaluate import Score
    from charrnn.evaluate.dynamic.settings import Dynamic
    from charrnn.model.language import LanguageModel


@dataclass(frozen=True)
class Whole:
    """A text, and the way in which it is scored.

    Attributes
    ----------
    source, model, team
        The text, the model, and the ranks that share the work.
    learning
        How a copy of the model learns from what is scored; None if it does not.
    reset_every
        Symbols of a piece that is read from a zero state; None to read the text as one.
    """

    source: ScoredText
    model: LanguageModel
    team: Team
    learning: Dynamic | None
    reset_every: int | None

    def show(self, as_json: bool) -> None:
        """Score the text and print the figures."""
        from charrnn.cli.process.progress import counted, progress

        source, team = self.source, self.team
        with progress("scoring", source.text) as show:
            total, examples = self._score(counted(show, f"{display.unit(source.level)}s scored"))
        out = Output()
        if as_json:
            folded = source.tally.folded
            if examples is not None and team.size > 1:  # each rank has read its own
                folded = int(team.total(folded))
            out.write(json_line(self._record(total, examples, folded)))
        else:
            rows = self._rows(total, examples)
            width = max(map(len, rows))
            for name, value in rows.items():
                out.write(utf8(f"{name:<{width}}  {value}\n"))
        out.finish()

    def _score(self, progress: Callable[[int], object] | None) -> tuple[Score, int | None]:
        """Return the score, and the number of examples if each is scored by itself."""
        from charrnn.evaluate import Score, added, score, score_lines, score_together, share_of
        from charrnn.evaluate.divided import BLOCK, CONTEXT
        from charrnn.evaluate.dynamic.learner import window_of
        from charrnn.evaluate.dynamic.scoring import score_dynamically
        from charrnn.evaluate.lines import score_pieces

        source, model, team = self.source, self.model, self.team
        how: Any = {"tally": source.tally, "progress": progress}
        if self.learning is not None:
            learned = score_dynamically(model, source.chunks(), self.learning, **how)
            if learned.chars <= (window := window_of(model, self.learning)):
                unit = display.unit(source.level)
                why = f"the model learns after each {display.count(window, unit)} scored"
                note(f"--dynamic has no effect on {display.count(learned.chars, unit)}: {why}")
            return learned, None
        if self.reset_every is not None:
            return score_pieces(model, source.chunks(), self.reset_every, **how), None
        if source.examples is None and team.size == 1:
            return score(model, source.chunks(), **how), None
        if source.examples is None:
            whole, blocks = score_together(model, source.chunks(), team, **how)
            if blocks > 1:
                unit = display.unit(source.level)
                read = f"blocks of {BLOCK:,} {unit}s, each from a zero state {CONTEXT:,} before it"
                note(f"{team.size} ranks scored {read}")
            return whole, None
        examples, total = 0, Score(0, 0.0, 0, 0)
        mine = share_of(team, source.each())
        for one in score_lines(model, mine, start=source.start, tally=source.tally_of):
            examples += 1
            total += one.score
            if progress is not None:
                progress(one.score.chars)
        if team.size == 1:
            return total, examples
        return added(team, total), int(team.total(examples))

    def _record(self, total: Score, examples: int | None, folded: int) -> dict[str, Any]:
        """Return the figures as one JSON object."""
        source = self.source
        return {
            **total.to_json(),
            "folded": folded if source.text else None,
            "examples": examples,
            **({} if self.learning is None else {"dynamic": True}),
            **({} if self.reset_every is None else {"reset_every": self.reset_every}),
            "run": str(source.checkpoint),
            "source": source.text or None,
            "split": source.split,
        }

    def _rows(self, total: Score, examples: int | None) -> dict[str, str]:
        """Return the figures as they stand in a terminal, by name."""
        source, known = self.source, total.bytes is not None
        unit = display.unit(source.level)
        rows = {
            "run": display.one_line(str(source.checkpoint)),
            "text": display.one_line(" ".join(source.text)) or f"the run's own ({source.split})",
        }
        if examples is not None:
            rows["examples"] = f"{examples:,}"
        if self.learning is not None:
            rows["learning"] = "from what is scored (--dynamic)"
        if self.reset_every is not None:
            rows["from a zero state"] = f"every {display.count(self.reset_every, unit)}"
        rows |= {
            f"{unit}s scored": f"{total.chars:,}",
            f"nats per {unit}": f"{total.nats_per_char:.6f}",
            f"bits per {unit}": f"{total.bits_per_char:.6f}",
            "perplexity": f"{total.perplexity:.4f}",
            "nats in all": f"{total.nats:.6f}",
            "bits in all": f"{total.bits:.6f}",
            "bytes of the text": f"{total.bytes:,}" if known else "not known",
            "bits per byte": f"{total.bits_per_byte:.6f}" if known else "not known",
        }
        if source.skipping or total.skipped:
            rows[f"{unit}s skipped"] = f"{total.skipped:,}"
        return rows
