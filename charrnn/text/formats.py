"""The kind of a file, by its first bytes: compressed, another program's document, UTF-16, or text.

gzip, bzip2 and xz are decompressed as they are read, in memory that does not grow with the text.
"""

from __future__ import annotations

import codecs
import itertools
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from importlib import import_module
from typing import Any

from charrnn.display import size
from charrnn.errors import CorpusError, setting
from charrnn.text.source import CHUNK, Source, shown

SNIFF = 8192
"""First bytes of a file of a directory that decide whether it is text."""
MIN_UNMARKED, MANY, FEW = 16, 0.9, 0.1
"""Bytes of the shortest text whose encoding is guessed; shares of bytes that show it."""
MIN_IN_BLOCKS, IN_BLOCKS = 24, 0.95
"""The same of a text that is known by its blocks; share of the characters that are in them."""
_ANY_SCRIPT = frozenset({0x00, 0x20})
"""Blocks of 256 characters: Latin, punctuation."""
_EAST_ASIAN = _ANY_SCRIPT | {0x30, 0xFF, *range(0x4E, 0xA0), *range(0xAC, 0xD8)}
"""These, kana, wide forms, ideographs, Hangul."""
_CONTROLS = frozenset(range(0x20)) - set(b"\t\n\v\f\r\x1b")
"""Control characters but those that lay out a text or begin a sequence."""
SNIFF_COMPRESSED = 1 << 20  # bzip2 gives nothing before the end of its first block

BOMB_BYTES, BOMB_RATIO = 200_000_000, 200
"""Decompressed content is refused if it exceeds both: bytes, and bytes per compressed byte."""
XZ_MEMORY = 1 << 28  # bytes that an xz file may ask for; xz -9 needs 65 MiB

COMPRESSED = {b"\x1f\x8b\x08": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz"}
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")  # follow the level: the first block, or the end
_ZIP, _TAR, _TAR_AT = b"PK\x03\x04", b"ustar", 257
_DECOMPRESS = "decompress it first"
_REFUSED = {
    _ZIP: ("a ZIP archive", "unpack it and name the text files in it"),
    b"PK\x05\x06": ("an empty ZIP archive", "name a text"),
    b"%PDF-": ("a PDF document", "extract its text, for example with pdftotext"),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ("an old Office document", "save it as plain text"),
    b"7z\xbc\xaf\x27\x1c": ("a 7-Zip archive", "unpack it and name the text files in it"),
    b"Rar!\x1a\x07": ("a RAR archive", "unpack it and name the text files in it"),
    b"\x28\xb5\x2f\xfd": ("zstd-compressed", f"{_DECOMPRESS}, for example with zstd -d"),
    b"\x04\x22\x4d\x18": ("lz4-compressed", f"{_DECOMPRESS}, for example with lz4 -d"),
    b"LZIP\x01": ("lzip-compressed", f"{_DECOMPRESS}, for example with lzip -d"),
    b"\x1f\x9d": ("compressed by compress", f"{_DECOMPRESS}, for example with uncompress"),
}
_IN_ZIP = {
    b"mimetypeapplication/epub+zip": (
        "an EPUB book",
        "convert it to plain text, for example with pandoc -t plain",
    ),
    b"mimetypeapplication/vnd.oasis.opendocument": (
        "an OpenDocument file",
        "save it as plain text, or convert it with pandoc -t plain",
    ),
    b"[Content_Types].xml": (
        "an Office document (docx, xlsx or pptx)",
        "save it as plain text, or convert it with pandoc -t plain",
    ),
}
_MARKS = {
    b"\xff\xfe\0\0": "UTF-32",  # before UTF-16, whose mark it begins with
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_SIGNATURES = (*COMPRESSED, *_REFUSED, *_MARKS)


def text_of(chunks: Iterator[bytes], name: str, encoding: str) -> Iterator[bytes]:
    """Yield the bytes of a text from the raw bytes of its source, decompressed if need be.

    Parameters
    ----------
    encoding
        The encoding of the text; empty at byte level, at which any file is read.

    Raises
    ------
    CorpusError
        If the source is of a kind that is not text, a damaged or exploding archive, or in UTF-16 or
        UTF-32 although ``encoding`` is another.
    """
    head, chunks = _peek(chunks)
    kind = compression(head)
    if kind:
        head, chunks = _peek(_decompressed(chunks, kind, name))
        if compression(head):
            message = f"{shown(name)} is compressed more than once"
            raise CorpusError(message, _DECOMPRESS)
    if encoding:
        _require_text(head, f"{shown(name)} holds" if kind else f"{shown(name)} is", encoding, name)
    yield from chunks


def is_plain(sources: Iterable[Source], encoding: str) -> bool:
    """Return whether programs for plain text can read the sources: none is compressed or UTF-16."""
    if encoding and has_nul(encoding):
        return False
    return not any(s.kind == "file" and compression(s.head(SNIFF)) for s in sources)


def why_not_text(head: bytes, more: Callable[[int], bytes], name: str, encoding: str) -> str:
    """Return why a file of a directory is not read as text: ``UTF-16``, ``binary``; empty if it is.

    Parameters
    ----------
    head
        The first :data:`SNIFF` bytes of the file, or all if there are fewer.
    more
        Returns the given number of them.
    """
    data = head
    if kind := compression(data):
        try:
            content = _decompressed(iter([more(SNIFF_COMPRESSED)]), kind, name)
            data = next(content, b"")[:SNIFF]
        except CorpusError:
            return ""  # reading it will report the problem
    if _refused(data) or compression(data):
        return "binary"
    if has_nul(encoding):
        return ""
    return _mark(data) or unmarked(data, encoding) or ("binary" if b"\0" in data else "")


def has_nul(encoding: str) -> bool:
    """Whether plain English has NUL bytes in an encoding, as in UTF-16."""
    return b"\0" in "a".encode(encoding)


def _width(encoding: str) -> int:
    """Return the bytes of a letter in an encoding, without the mark before the first one."""
    return len("aa".encode(encoding)) - len("a".encode(encoding))


def unmarked(head: bytes, encoding: str = "utf-8") -> str:
    """Return in which form of UTF-16 or UTF-32 a text without a mark seems to be; empty if in none.

    In UTF-32 two bytes of four are 0 or nearly so, in UTF-16 every second one, if the script is not
    one of many characters: 0 in Latin, 4 in Cyrillic, and 0 in the spaces between. Other scripts
    are known by their blocks, unless another encoding than UTF-8 was named: :func:`_by_blocks`.
    """
    data = head[: min(len(head), SNIFF) // 4 * 4]
    if len(data) < MIN_UNMARKED:
        return ""
    found = _by_zeros(data) if b"\0" in data else ""
    by_default = codecs.lookup(encoding).name.startswith("utf-8")
    return found or (_by_blocks(data) if by_default else "")


def _by_zeros(data: bytes) -> str:
    small = [sum(byte < 9 for byte in data[k::4]) / (len(data) // 4) for k in range(4)]
    zero = [data[k::4].count(0) / (len(data) // 4) for k in range(4)]
    if small[2] >= MANY and zero[3] == 1 and zero[0] <= FEW:
        return "UTF-32-LE"
    if small[1] >= MANY and zero[0] == 1 and zero[3] <= FEW:
        return "UTF-32-BE"
    if min(small[1], small[3]) >= MANY and max(small[0], small[2]) <= FEW:
        return "UTF-16-LE"
    if min(small[0], small[2]) >= MANY and max(small[1], small[3]) <= FEW:
        return "UTF-16-BE"
    return ""


def _by_blocks(data: bytes) -> str:
    """Return the form of UTF-16 in which bytes make sense that are hardly a text in bytes.

    They have control characters, the halves of some letter or of a space. As UTF-16 they are all
    assigned characters, nearly all of them from the blocks of 256 of East Asian scripts and their
    signs, or from two others. Any ASCII letters in pairs are ideographs. So if the bytes are valid
    UTF-8, control characters must be many, NUL among them, and those two blocks begin with one.
    """
    utf8 = _is_utf8(data)
    if utf8 and b"\0" not in data:
        return ""
    controls = sum(byte in _CONTROLS for byte in data) / len(data)
    high = sum(byte > 0x7F for byte in data) / len(data)
    if len(data) < MIN_IN_BLOCKS or (controls < 0.05 if utf8 else controls < 0.01 or high < 0.06):
        return ""
    blocks, most = (_ANY_SCRIPT, 0x20) if utf8 else (_EAST_ASIAN, sys.maxunicode)
    shares = {form: _share(data, form, blocks, most) for form in ("UTF-16-LE", "UTF-16-BE")}
    form = max(shares, key=lambda one: shares[one])
    return form if shares[form] >= IN_BLOCKS else ""


def _is_utf8(data: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)  # its last character may be cut off
    except UnicodeDecodeError:
        return False
    return True


def _share(data: bytes, encoding: str, blocks: Set[int], most: int) -> float:
    """Return how much of a text lies in blocks of 256 characters or in two others below ``most``.

    0 if a character is not assigned, or a control character.
    """
    from unicodedata import category

    try:
        text = codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeDecodeError:
        return 0.0
    kinds = {c: category(c) for c in set(text)}
    if any(kind[0] == "C" and kind != "Cf" and c not in "\t\n\r" for c, kind in kinds.items()):
        return 0.0
    found = Counter(ord(c) >> 8 for c in text)
    others = sorted(n for block, n in found.items() if block < most and block not in blocks)
    return (sum(found[block] for block in blocks) + sum(others[-2:])) / len(text)


def _require_text(head: bytes, what: str, encoding: str, name: str) -> None:
    if refused := _refused(head):
        raise CorpusError(f"{what} {refused[0]}, not text", refused[1])
    mark = _mark(head)
    if mark and (not has_nul(encoding) or (mark == "UTF-32" and _width(encoding) < 4)):
        message = f"{shown(name)} begins with the byte order mark of {mark}"
        raise CorpusError(message, f"use {setting('encoding')} {mark.lower()}")
    if head.startswith(codecs.BOM_UTF8) and not codecs.lookup(encoding).name.startswith("utf-8"):
        message = f"{shown(name)} begins with the byte order mark of UTF-8, not {encoding}"
        raise CorpusError(message, f"use {setting('encoding')} utf-8-sig")
    if not has_nul(encoding) and (form := unmarked(head, encoding)):
        message = f"{shown(name)} seems to be {form}, without a byte order mark"
        raise CorpusError(message, f"use {setting('encoding')} {form.lower()}")


def compression(head: bytes) -> str:
    """Return how a file is compressed: ``gzip``, ``bzip2``, ``xz``, or empty."""
    for signature, kind in COMPRESSED.items():
        if head.startswith(signature):
            is_word = kind == "bzip2" and not (head[3:4].isdigit() and head[4:10] in _BZIP2_BLOCKS)
            return "" if is_word else kind
    return ""


def _refused(head: bytes) -> tuple[str, str] | None:
    """Return what a file is that is not text, and what to do; None if it may be text."""
    if head[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR and b"\0" in head[:_TAR_AT]:
        return "a tar archive", "unpack it and name the folder"
    for signature, refused in _REFUSED.items():
        if head.startswith(signature):
            inside = [found for key, found in _IN_ZIP.items() if key in head[:SNIFF]]
            return inside[0] if signature == _ZIP and inside else refused
    return None


def _mark(head: bytes) -> str:
    return next((name for mark, name in _MARKS.items() if head.startswith(mark)), "")


def _peek(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first bytes, enough to tell what they are, and all chunks again.

    Of a pipe that gives a few bytes at a time no more is awaited than might be a signature.
    """
    head = b""
    for data in chunks:
        head += data
        if not any(s.startswith(head) for s in _SIGNATURES) and not _unclear_bzip2(head):
            break
    return head, itertools.chain([head] if head else [], chunks)


def _unclear_bzip2(head: bytes) -> bool:
    return head.startswith(b"BZh") and any(b.startswith(head[4:]) for b in _BZIP2_BLOCKS)


class _Gzip:
    """A decompressor of one gzip member, with the interface of those of bz2 and lzma."""

    def __init__(self) -> None:
        self._inner = import_module("zlib").decompressobj(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inner.unused_data)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        part = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self.needs_input = not self._inner.unconsumed_tail and len(part) < max_length
        return bytes(part)


def _decompressor(kind: str) -> Any:
    if kind == "gzip":
        return _Gzip()
    if kind == "bzip2":
        return import_module("bz2").BZ2Decompressor()
    lzma = import_module("lzma")
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)


def _decompressed(chunks: Iterator[bytes], kind: str, name: str) -> Iterator[bytes]:
    """Decompress the streams of a file one after the other; zeros between them are padding."""
    taken = given = 0
    stream: Any = None
    for chunk in chunks:
        data = chunk
        taken += len(chunk)
        while True:
            if stream is None:
                data = data.lstrip(b"\0")
                if not data:
                    break
            try:
                stream = stream or _decompressor(kind)
                part = stream.decompress(data, CHUNK)
            except ImportError:
                message = f"{shown(name)} is compressed by {kind}, which this Python cannot read"
                raise CorpusError(message, _DECOMPRESS) from None
            except Exception as problem:  # zlib.error, LZMAError, OSError: no common class
                raise _damaged(name, kind, str(problem) or type(problem).__name__) from None
            data = b""
            given += len(part)
            if given > BOMB_BYTES and given > BOMB_RATIO * taken:
                limit = f"{size(BOMB_BYTES)} and {BOMB_RATIO} times its own size"
                message = f"{shown(name)} is compressed by {kind} and holds more than {limit}"
                raise CorpusError(message, f"{_DECOMPRESS}, if it is a text")
            if part:
                yield part
            if stream.eof:
                data, stream = stream.unused_data, None
            elif stream.needs_input:
                break
    if stream is not None:
        raise _damaged(name, kind, "it ends too early")


def _damaged(name: str, kind: str, problem: str) -> CorpusError:
    message = f"{shown(name)} cannot be decompressed by {kind}: {problem}"
    return CorpusError(message, f"get it again, or {_DECOMPRESS}")
