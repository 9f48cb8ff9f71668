"""How a symbol is drawn from the model's distribution."""

from __future__ import annotations

from dataclasses import dataclass

from charrnn.display import count as counted
from charrnn.errors import UsageError, setting
from charrnn.options import Option, check_fields, declare

DEFAULT_LENGTH = 500
"""Symbols of a sample."""
MAX_SPAN = 10_000
"""The largest span of ``novel_span``, in symbols."""
_BEAM = Option(1, "", least=1, most=10_000)


@dataclass(frozen=True)
class SampleOptions:
    """How the model's distribution is changed before a symbol is drawn from it.

    In this order: repetition penalty, no repetition, temperature, top-k, top-p, min-p.

    Attributes
    ----------
    temperature
        The logits are divided by it; 0 takes the most likely symbol, the first of equals.
    temperature_end
        The temperature changes along the sample. Symbol i of n (i from 0, n the ``length``) is
        drawn at ``temperature`` + (``temperature_end`` - ``temperature``) · i / (n - 1), the only
        one of n = 1 at ``temperature``. None: it does not change.
    top_k
        Keep the k most likely symbols; 0 keeps all.
    top_p
        Keep the smallest set of most likely symbols whose probabilities add up to at least this
        (nucleus sampling, Holtzman et al. 2020, arXiv 1904.09751); 1 keeps all.
    min_p
        Drop the symbols that are less likely than this fraction of the most likely one (Nguyen
        et al. 2024, arXiv 2407.01082); 0 keeps all.
    repetition_penalty
        The log-probability of each symbol among the last ``repetition_window`` ones (of the prime
        and the sample) is multiplied by this, before temperature; so p becomes p^penalty, and all
        are normalised again. 1 changes nothing. Keskar et al. 2019 (arXiv 1909.05858) divide the
        logit, whose zero is arbitrary; that of a log-probability is not.
    repetition_window
        See ``repetition_penalty``.
    no_repeat
        Symbols that would make the last N symbols equal to N others before them, in the prime and
        the sample, are not drawn (Paulus et al. 2017, arXiv 1705.04304, for N = 3); 0: no such
        rule. The N may overlap.

    Raises
    ------
    UsageError
        If a value is invalid.
    """

    temperature: float = declare(
        0.8,
        "Temperature; 0 takes the most likely symbol.",
        least=0,
        remedy="0 always takes the most likely symbol, 1 is the model's own distribution",
        flags=("--temp",),
    )
    top_k: int = declare(
        0,
        "Draw from the K most likely symbols; 0 means all.",
        least=0,
        remedy="0 keeps all symbols",
    )
    top_p: float = declare(
        1.0,
        "Draw from the smallest set of symbols with at least this total probability.",
        above=0,
        most=1,
        remedy="1 keeps all symbols",
    )
    min_p: float = declare(
        0.0,
        "Do not draw symbols less likely than this fraction of the most likely one.",
        least=0,
        below=1,
        remedy="0 keeps all symbols",
    )

    temperature_end: float | None = declare(
        None,
        "Temperature of the last of --length symbols; it changes evenly from --temp on.",
        kind=float,
        least=0,
        remedy="0 always takes the most likely symbol, 1 is the model's own distribution",
        flags=("--temp-end",),
        shown="--temp",
    )
    repetition_penalty: float = declare(
        1.0,
        "Make recent symbols less likely: their log-probabilities are multiplied by this.",
        least=1,
        remedy="1 does not change the distribution",
    )
    repetition_window: int = declare(
        64, "How many symbols are recent for --repetition-penalty.", least=1
    )
    no_repeat: int = declare(
        0, "Never write the same N symbols twice; 0: allowed.", least=0, metavar="N"
    )

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def by_symbol_alone(self) -> bool:
        """Whether a symbol's chance depends on nothing but the model's distribution."""
        return self.temperature_end is None and self.repetition_penalty == 1 and self.no_repeat == 0

    def at(self, index: int, length: int) -> float:
        """Return the temperature of symbol ``index`` (from 0) of ``length``."""
        if self.temperature_end is None or length < 2:
            return self.temperature
        way = min(index, length - 1) / (length - 1)
        return self.temperature + (self.temperature_end - self.temperature) * way

    def check_sample(self, length: int, until: object, novel: bool) -> None:
        """Raise :class:`UsageError` if samples of this kind cannot be drawn with these options.

        ``length`` 0 means endless; ``until`` is the text at which they end, if any; ``novel`` is
        whether lines of a text are drawn again.
        """
        if length < 0:
            name = setting("length")
            raise UsageError(f"{name} must be at least 0, not {length}", "0 means endless")
        if self.temperature_end is not None and length == 0:
            raise UsageError(
                f"{setting('temperature_end')} is reached at the end of {setting('length')}, "
                "which is 0: endless",
                f"give a {setting('length')}",
            )
        if self.temperature_end is not None and length == 1:
            raise UsageError(
                f"{setting('temperature_end')} has no effect on a sample of one symbol",
                "leave it out",
            )
        if self.no_repeat and length == 0 and not until:
            raise UsageError(
                f"{setting('no_repeat')} remembers the whole sample, but {setting('length')} 0 "
                "never ends",
                f"give a {setting('length')} or {setting('until')}",
            )
        for name, value in (("temperature", self.temperature), ("top_k", self.top_k - 1)):
            if novel and value == 0 and not self.temperature_end:
                raise UsageError(
                    f"{setting('novel')} redraws a copied line, but with {setting(name)} "
                    f"{getattr(self, name):g} every redraw is the same",
                    f"give another {setting(name)}",
                )


def check_beam(beam: int, count: int, length: int, until: object) -> int:
    """Return the number of hypotheses; raise :class:`UsageError` if the search is impossible."""
    beam = _BEAM.check("beam", beam)
    if not 1 <= count <= beam:
        raise UsageError(
            f"{setting('count')} must be at least 1 and at most {beam}, not {count}",
            f"{setting('beam')} {beam} finds as many texts",
        )
    if length < 0:
        raise UsageError(f"{setting('length')} must be at least 0, not {length}", "0 means endless")
    check_end(length, until)
    return beam


def check_spans(symbols: int, **spans: int | None) -> None:
    """Raise :class:`UsageError` if a rule on so many symbols in a row has no effect.

    Parameters
    ----------
    symbols
        The symbols of prime and sample together.
    spans
        By the name of their settings, the N symbols that may stand only once or be copied; None
        and 0: no such rule. It forbids some symbol if there are more than N.
    """
    for name, span in spans.items():
        if span and symbols <= span:
            raise UsageError(
                f"{setting(name)} {span} has no effect on {counted(symbols, 'symbol')}",
                f"give a longer {setting('length')}, or less",
            )


def check_end(length: int, until: object) -> None:
    """Raise :class:`UsageError` if neither a length nor a text ends samples."""
    if length == 0 and not until:
        raise UsageError(
            f"samples of {setting('length')} 0 never end",
            f"give {setting('until')} or a {setting('length')}",
        )
