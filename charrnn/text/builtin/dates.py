"""``dates``: dates in many spellings, each with its ISO form behind a tab."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from math import log
from typing import TYPE_CHECKING

from charrnn.text.builtin._base import Builtin, option
from charrnn.text.builtin._random import Draws

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SPELLINGS = (
    "{day} {month} {year}",
    "{month} {day}, {year}",
    "{weekday}, {day} {month} {year}",
    "{weekday}, {month} {day}, {year}",
    "{month} {ordinal}, {year}",
    "the {ordinal} of {month} {year}",
    "{day:0>2}.{number:0>2}.{year}",
    "{day:0>2}/{number:0>2}/{short}",
    "{day}-{mon}-{short}",
    "{mon} {day} '{short}",
    "{wday} {day} {mon} {year}",
    "{year}, {mon} {day}",
)
_ENDINGS, _ENDING = {1: "st", 2: "nd", 3: "rd"}, "th"
_PART = re.compile(r"\{(\w+)(?::0>(\d))?\}")
_BLOCK = 256


@dataclass(frozen=True)
class Dates(Builtin):
    """Lines of a date, a tab, and the same date as YYYY-MM-DD: pairs for a transducer.

    The date is uniform over the years and the spelling over twelve English ones. No two dates share
    a spelling, as long as two digits of the year tell it apart: so a perfect model writes every
    ISO date without an error. No two spellings of a date are the same, so a line has
    ln(days) + ln(12) nats.
    """

    first_year: int = option(1970, 1000, 9900, "first year")
    years: int = option(100, 1, 100, "number of years")

    of_examples = True
    description = "dates in many spellings, a tab, and the date in ISO form"

    def stream(self, seed: int) -> Iterator[str]:
        """Yield blocks of whole lines, endlessly."""
        draws = Draws("dates", "lines", seed)
        first, days = self._first_day(), self._days()
        while True:
            words = draws.words(2 * _BLOCK).tolist()
            lines = []
            for one, other in zip(words[::2], words[1::2], strict=True):
                day = date.fromordinal(first + (one * days >> 32))
                spelling = _SPELLINGS[other * len(_SPELLINGS) >> 32]
                lines.append(f"{spelling.format_map(_parts(day))}\t{day.isoformat()}\n")
            yield "".join(lines)

    def entropy(self, seed: int) -> float:
        """Return the entropy rate in nats per character, tabs and newlines included."""
        return (log(self._days()) + log(len(_SPELLINGS))) / self._mean_line()

    def alphabet_size(self) -> int:
        """Return the number of characters that occur in the lines of a year."""
        words = (*_MONTHS, *_DAYS, *_ENDINGS.values(), _ENDING, string.digits, "\t\n-")
        return len(set("".join(words) + "".join(_PART.sub("", each) for each in _SPELLINGS)))

    def _first_day(self) -> int:
        return date(self.first_year, 1, 1).toordinal()

    def _days(self) -> int:
        return date(self.first_year + self.years - 1, 12, 31).toordinal() + 1 - self._first_day()

    def _mean_line(self) -> float:
        """Return the mean number of characters of a line, tab and newline included."""
        lengths = self._lengths()
        total = 0.0
        for spelling in _SPELLINGS:
            total += len(_PART.sub("", spelling))
            for name, width in _PART.findall(spelling):
                total += float(lengths[name].clip(int(width or 0)).mean())
        return total / len(_SPELLINGS) + len("\tYYYY-MM-DD\n")

    def _lengths(self) -> Mapping[str, NDArray[np.int64]]:
        """Return the length of each part of a spelling, on every day."""
        import numpy as np

        days = np.datetime64(f"{self.first_year}-01-01", "D") + np.arange(self._days())
        month = days.astype("datetime64[M]")
        digits = np.where((days - month).astype(np.int64) < 9, 1, 2)
        number = month.astype(np.int64) % 12
        weekday = (days.astype(np.int64) + 3) % 7  # 1 January 1970 was a Thursday
        same = np.ones(len(days), np.int64)
        return {
            "day": digits,
            "ordinal": digits + 2,
            "weekday": np.array([len(name) for name in _DAYS])[weekday],
            "wday": 3 * same,
            "number": np.where(number < 9, 1, 2),
            "month": np.array([len(name) for name in _MONTHS])[number],
            "mon": 3 * same,
            "year": 4 * same,
            "short": 2 * same,
        }


def _parts(day: date) -> Mapping[str, str]:
    """Return what the spellings of a date are made of."""
    month, weekday = _MONTHS[day.month - 1], _DAYS[day.weekday()]
    ending = _ENDING if 10 < day.day < 14 else _ENDINGS.get(day.day % 10, _ENDING)
    return {
        "day": str(day.day),
        "ordinal": f"{day.day}{ending}",
        "weekday": weekday,
        "wday": weekday[:3],
        "number": str(day.month),
        "month": month,
        "mon": month[:3],
        "year": str(day.year),
        "short": f"{day.year % 100:02}",
    }


BUILTIN = Dates
