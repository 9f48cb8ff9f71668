"""The configuration of the text: how it becomes symbols, and which part of it is held out."""

from __future__ import annotations

from dataclasses import dataclass

from charrnn.errors import UsageError, setting
from charrnn.options import TEXT, declare
from charrnn.settings import Configuration

DECODING = ("encoding", "errors")
"""How a text is decoded: fields of :class:`DataConfig`."""


@dataclass(frozen=True, init=False)
class DataConfig(Configuration):
    """How the text becomes symbols, and which part of it is held out."""

    level: str = declare(
        "char", "What one symbol is.", group=TEXT, choices=("char", "byte", "word")
    )
    encoding: str = declare("utf-8", "Encoding of the text.", group=TEXT)
    errors: str = declare(
        "strict",
        "Bytes that cannot be decoded: strict (an error) or replace; or, if each line is an "
        "example, as for a classifier, skip, which passes over lines with them and lines that are "
        "not examples.",
        group=TEXT,
        choices=("strict", "replace", "skip"),
    )
    min_count: int = declare(
        1, "Fold symbols that occur less often into the unknown symbol.", group=TEXT, least=1
    )
    column: str | None = declare(
        None,
        "Read a table (CSV or TSV with a header line) and take the text from this column.",
        kind=str,
        group=TEXT,
        metavar="NAME",
        free=True,
    )
    field: str | None = declare(
        None,
        "Read JSON lines and take the text from this field; a.b is the field b of the object a.",
        kind=str,
        group=TEXT,
        metavar="NAME",
        free=True,
    )
    label_column: str | None = declare(
        None,
        "Of labelled texts with --column, the column of the labels.",
        kind=str,
        group=TEXT,
        metavar="NAME",
        free=True,
    )
    label_field: str | None = declare(
        None,
        "Of labelled texts with --field, the field of the labels.",
        kind=str,
        group=TEXT,
        metavar="NAME",
        free=True,
    )
    format: str | None = declare(
        None,
        "Of tagged texts: columns (a token and its label a line), symbols (columns of single "
        "characters) or lines (an input, a tab and an output of as many symbols).",
        kind=str,
        group=TEXT,
        choices=("columns", "symbols", "lines"),
        shown="by the look of the first lines",
    )
    columns: str | None = declare(
        None,
        "Of tagged texts, the columns of tokens and labels (else 1,2), such as 2,4 for CoNLL-U.",
        kind=str,
        group=TEXT,
        metavar="A,B",
        pattern=r"([1-9][0-9]{0,5}),(?!\1$)[1-9][0-9]{0,5}",
        remedy="give two different numbers, such as 2,4",
    )
    max_length: int = declare(
        1000,
        "With --task classify or generate, cut texts after this many symbols; with tag, divide "
        "sequences; with transduce, leave out pairs with more on a side.",
        group=TEXT,
        least=1,
    )
    target: tuple[str, ...] = declare(
        (),
        "Of a transducer, a file with the target of each line of the sources; may be repeated.",
        group=TEXT,
        metavar="FILE",
    )
    target_level: str = declare(
        "char",
        "With --task transduce, what one symbol of a target is: a char, or a word between spaces.",
        group=TEXT,
        choices=("char", "word"),
    )
    join: str | None = declare(
        None,
        r"Text between files, or between values of a column or field; \n is a newline.",
        kind=str,
        group=TEXT,
        metavar="TEXT",
        shown="nothing between files, a newline after each value",
        free=True,
        escapes=True,
    )
    val_frac: float = declare(
        0.1, "Fraction of the text for validation.", group=TEXT, least=0, below=1
    )
    test_frac: float = declare(
        0.0, "Fraction of the text for testing.", group=TEXT, least=0, below=1
    )
    hold_out: str | None = declare(
        None,
        "How the fractions are held out: tail (the end of the text), or blocks or examples (values "
        "of --column or --field, or else files, or the lines of a single file) that the seed draws "
        "from all of it.",
        kind=str,
        group=TEXT,
        choices=("tail", "blocks", "examples"),
        shown="tail; examples with --examples",
    )
    examples: str | None = declare(
        None,
        "Train on each line or document (value of --column or --field, or else file) by itself: "
        "from a zero state, in an order that is drawn anew for every epoch. A document ends with "
        "--join, by default U+0003.",
        kind=str,
        group=TEXT,
        choices=("line", "document"),
    )
    sources: tuple[str, ...] = declare(
        (), "The text: files, directories, - or a built-in corpus.", group=TEXT
    )
    shard_files: bool = declare(
        False, "With mpirun, each of K ranks reads every K-th of the files.", group=TEXT
    )
    val: tuple[str, ...] = declare((), "A separate validation text; may be repeated.", group=TEXT)
    test: tuple[str, ...] = declare((), "A separate test text; may be repeated.", group=TEXT)

    def _check_together(self) -> None:
        held = setting("hold_out")
        if self.val_frac + self.test_frac >= 1:
            names = f"{setting('val_frac')} and {setting('test_frac')}"
            raise UsageError(f"{names} leave nothing to train on", "their sum must be below 1")
        if self.examples and self.hold_out == "blocks":
            why = f"{held} blocks cuts examples, but {setting('examples')} reads them whole"
            raise UsageError(why, f"leave it out, or set {held} to tail")
        drawn = self.hold_out not in (None, "tail")
        if drawn and not self.test_frac and (self.val or not self.val_frac):
            only = "only applies to a fraction of the text, but none is held out"
            give = f"leave it out, or give {setting('val_frac')} or {setting('test_frac')}"
            raise UsageError(f"{held} {self.hold_out} {only}", give)
        if self.column is not None and self.field is not None:
            both = f"{setting('column')} and {setting('field')}"
            raise UsageError(f"{both} exclude each other", "give one of them")
        for name in ("column", "field", "label_column", "label_field"):
            if self.get(name) == "":
                raise UsageError(f"{setting(name)} is empty", "name one, or leave it out")
        if self.join is not None and any("\ud800" <= c <= "\udfff" for c in self.join):
            raise UsageError(f"{setting('join')} is not valid text", "give it in UTF-8")

    def unused(self) -> dict[str, str]:
        """Return the settings that have no effect together with others, and why."""
        reasons: dict[str, str] = {}
        if self.level == "byte":
            why = f"only applies to decoded text, but {setting('level')} byte decodes none"
            reasons |= dict.fromkeys(DECODING, why)
        if self.examples == "line":
            why = f"stands between texts, but with {setting('examples')} line each line is one"
            reasons["join"] = why
        for name in ("val", "test"):
            if getattr(self, name):
                why = f"holds out a part of the text, but {setting(name)} names another text"
                reasons[f"{name}_frac"] = why
        return reasons

    @property
    def held_out_by(self) -> str:
        """How the text is divided: ``tail``, ``blocks`` or ``examples``."""
        return self.hold_out or ("examples" if self.examples else "tail")

    @property
    def has_validation(self) -> bool:
        """Whether a part of the text, or another text, is used for validation."""
        return bool(self.val or self.val_frac)

    def refuse_half(self) -> None:
        """Raise :class:`UsageError` if only one of two columns, or of two fields, is named."""
        for text in ("column", "field"):
            label = f"label_{text}"
            if (self.get(text) is None) != (self.get(label) is None):
                given, other = (label, text) if self.get(text) is None else (text, label)
                raise UsageError(
                    f"{setting(given)} needs {setting(other)}, which names where the "
                    f"{'texts' if other == text else 'labels'} are",
                    "give both, or none",
                )
