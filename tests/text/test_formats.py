"""Files known by their first bytes: compressed texts are read, what is not text is named."""

import bz2
import gzip
import hashlib
import io
import lzma
import tarfile
import time
import zipfile

import numpy as np
import pytest
from helpers.corpora import whole

from charrnn.errors import CorpusError, option
from charrnn.text import formats, iter_ids, iter_lines, open_corpus, read_text
from charrnn.text.statistics import text_statistics

TEXT = "Größe, 雨 and words.\n" * 4000
RAW = TEXT.encode()
COMPRESS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}
every = pytest.mark.parametrize("compress", COMPRESS.values(), ids=COMPRESS.keys())


def said(name, **options):
    with pytest.raises(CorpusError) as caught:
        open_corpus(name, **options)
    line = caught.value.line(option)
    assert line.isprintable()
    return line


@every
def test_a_compressed_text_is_read_as_its_content(tmp_path, compress):
    path = tmp_path / "named.txt"  # its name does not count
    path.write_bytes(compress(RAW))
    corpus = open_corpus(path)
    assert whole(corpus) == TEXT
    assert corpus.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert corpus.bytes == path.stat().st_size
    again = open_corpus(path)
    assert again.cached
    assert whole(again) == TEXT
    assert whole(open_corpus(path, level="byte")) == RAW
    assert whole(open_corpus("-", stdin=io.BytesIO(path.read_bytes()))) == TEXT
    assert read_text(path) == TEXT
    found = text_statistics(str(path))
    assert (found.chars, found.bytes, found.sha256) == (len(TEXT), corpus.bytes, corpus.sha256)


@every
def test_streams_may_follow_each_other_and_come_byte_by_byte(tmp_path, compress):
    path = tmp_path / "a"
    path.write_bytes(compress(RAW[:1000]) + compress(b"") + compress(RAW[1000:3000]) + b"\0" * 8)
    vocabulary = open_corpus(path).vocabulary
    whole_ids = vocabulary.encode(RAW[:3000].decode())
    for chunk in (1, 7, 1 << 20):
        ids = np.concatenate(list(iter_ids(path, vocabulary, chunk=chunk)))
        assert np.array_equal(ids, whole_ids)
        lines = [line for line, _ in iter_lines(path, vocabulary, chunk=chunk)]
        assert lines == RAW[:3000].decode().splitlines(keepends=True)


@every
def test_a_changed_text_is_encoded_anew(tmp_path, compress):
    path = tmp_path / "a"
    path.write_bytes(compress(b"before"))
    assert whole(open_corpus(path)) == "before"
    path.write_bytes(compress(b"after!"))
    assert whole(open_corpus(path)) == "after!"


@every
def test_a_damaged_archive_is_one_line(tmp_path, compress):
    path = tmp_path / "a"
    data = compress(RAW)
    hurt = bytearray(data)
    hurt[-9] ^= 1
    for damaged in (data[:-5], data[: len(data) // 2], data[:12], bytes(hurt), data + b"rest"):
        path.write_bytes(damaged)
        for level in ("char", "byte", "word"):
            line = said(path, level=level)
            assert "cannot be decompressed by" in line
            assert "decompress it first" in line


@pytest.mark.slow
@every
def test_a_bomb_is_one_line_after_the_limit(tmp_path, compress, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(compress(b"\n" * 20_000_000))
    monkeypatch.setattr(formats, "BOMB_BYTES", 2_500_000)
    begun = time.monotonic()
    line = said(path)
    assert "holds more than 2.5 MB and 200 times its own size; decompress it first" in line
    assert time.monotonic() - begun < 10
    path.write_bytes(compress(b"ab" * 1_100_000))  # below the limit, however well compressed
    assert len(whole(open_corpus(path))) == 2_200_000


def test_an_xz_file_that_asks_for_much_memory_is_one_line(tmp_path):
    path = tmp_path / "a"
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20, "preset": 0}]
    path.write_bytes(lzma.compress(RAW, filters=filters))
    assert whole(open_corpus(path)) == TEXT
    # The block header gives the size of the dictionary: byte 16, and its own CRC in 20 to 24.
    data = bytearray(path.read_bytes())
    assert data[14:16] == b"\x21\x01"
    data[16] = 40  # 4 GiB - 1
    import zlib

    end = 12 + 4 * (data[12] + 1)
    data[end - 4 : end] = zlib.crc32(data[12 : end - 4]).to_bytes(4, "little")
    path.write_bytes(data)
    assert "Memory usage limit exceeded" in said(path)


def zipped(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            content = "application/epub+zip" if name == "mimetype" else "text"
            archive.writestr(name, content)
    return file.getvalue()


def tarred():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        info = tarfile.TarInfo("text.txt")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"text"))
    return file.getvalue()


NOT_TEXT = {
    "a ZIP archive": zipped("text.txt"),
    "an EPUB book": zipped("mimetype", "book.html"),
    "an Office document": zipped("[Content_Types].xml", "word/document.xml"),
    "a PDF document": b"%PDF-1.4\n1 0 obj\n",
    "an old Office document": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
    "a 7-Zip archive": b"7z\xbc\xaf\x27\x1c\0\4",
    "a RAR archive": b"Rar!\x1a\x07\x01\x00",
    "zstd-compressed": b"\x28\xb5\x2f\xfd\x04\x00",
    "a tar archive": tarred(),
    "holds a tar archive": gzip.compress(tarred()),
    "compressed more than once": gzip.compress(gzip.compress(RAW)),
}


@pytest.mark.parametrize(("what", "data"), NOT_TEXT.items(), ids=NOT_TEXT.keys())
def test_what_is_not_text_is_refused_by_its_name(tmp_path, what, data):
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    for options in ({}, {"errors": "replace"}, {"encoding": "latin-1"}, {"level": "word"}):
        line = said(path, **options)
        assert what in line
        assert "a.txt" in line
        assert ";" in line
    if not data.startswith(b"\x1f\x8b"):
        assert whole(open_corpus(path, level="byte")) == data
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_bytes(data)
    assert "holds no text file" in said(folder)
    (folder / "b").write_bytes(gzip.compress(b"text"))
    if "more than once" not in what:
        assert whole(open_corpus(folder)) == "text"


@pytest.mark.parametrize(
    "text", ["BZh", "BZh91 words", "PK", "PK\3", "%PDF", "%", "LZIP", "Rar!", "B"]
)
def test_a_text_that_begins_like_a_signature_is_text(tmp_path, text):
    (tmp_path / "a").write_bytes(text.encode())
    assert whole(open_corpus(tmp_path / "a")) == text
    assert whole(open_corpus("-", stdin=io.BytesIO(text.encode()))) == text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32", "utf-32-be"])
def test_a_byte_order_mark_is_named_with_the_option_that_reads_it(tmp_path, encoding):
    mark = "\ufeff" if encoding.endswith("be") else ""
    data = (mark + "words").encode(encoding)
    name = encoding.removesuffix("-be")
    path = tmp_path / "folder" / "a"
    path.parent.mkdir()
    for content in (data, gzip.compress(data)):
        path.write_bytes(content)
        for options in ({}, {"errors": "replace"}, {"encoding": "cp1252"}):
            line = said(path, **options)
            assert f"begins with the byte order mark of {name.upper()}" in line
            assert line.endswith(f"use --encoding {name}")
            assert said(path.parent, **options).endswith(f"use --encoding {name}")
        for source in (path, path.parent):
            assert whole(open_corpus(source, encoding=name)) == "words"


@pytest.mark.parametrize("encoding", ["cp1254", "gb18030", "utf-16-le", "shift_jis"])
def test_a_mark_of_utf_8_is_not_read_as_letters(tmp_path, encoding):
    (tmp_path / "a").write_bytes("Größe".encode("utf-8-sig"))
    line = said(tmp_path / "a", encoding=encoding, errors="replace")
    assert line.endswith(f"the byte order mark of UTF-8, not {encoding}; use --encoding utf-8-sig")
    assert whole(open_corpus(tmp_path / "a", encoding="utf-8-sig")) == "Größe"
    assert whole(open_corpus(tmp_path / "a")) == "\ufeffGröße"


@every
def test_a_directory_s_compressed_texts_are_read(tmp_path, compress):
    (tmp_path / "a.txt").write_bytes(b"<a>")
    (tmp_path / "b.gz").write_bytes(compress(b"<b>"))
    (tmp_path / "c.gz").write_bytes(compress(b"\0binary"))
    assert whole(open_corpus(tmp_path)) == "<a><b>"
    (tmp_path / "d.gz").write_bytes(compress(RAW)[:-9])
    assert "d.gz cannot be decompressed" in said(tmp_path)


LATIN, CYRILLIC = "the cat sat on the mat.\n" * 40, "кошка сидит на коврике, да.\n" * 40


@pytest.mark.parametrize("text", [LATIN, CYRILLIC, LATIN.replace("\n", "\r\n")])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_without_a_mark_the_form_of_utf_16_or_32_is_named(tmp_path, text, encoding):
    path = tmp_path / "wide.txt"
    path.write_bytes(text.encode(encoding))
    line = said(path)
    assert f"seems to be {encoding.upper()}, without a byte order mark" in line
    assert line.endswith(f"use --encoding {encoding}")
    assert open_corpus(path, encoding=encoding).chars == len(text)
    assert open_corpus(path, level="byte").bytes == len(text.encode(encoding))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a.txt").write_text("plain")
    path.rename(folder / "wide.txt")
    (note,) = open_corpus(folder).notes
    name = encoding.upper().replace("-LE", "LE").replace("-BE", "BE")  # as iconv calls it
    assert f"wide.txt ({encoding.upper()}: convert it with iconv -f {name} -t UTF-8" in note


OTHER_SCRIPTS = {
    "gb18030": "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。\n" * 40,
    "big5": "床前明月光疑是地上霜舉頭望明月低頭思故鄉\n" * 40,
    "shift_jis": "吾輩は猫である。名前はまだ無い。ニュース\n" * 40,
    "euc_kr": "나는 오늘 학교에 갔다. 날씨가 참 좋았다.\n" * 40,
    "tis-620": "วันนี้อากาศดีมาก เราไปเดินเล่นในสวน\n" * 40,
    "utf-8": "आज मौसम बहुत अच्छा है। हम जा रहे हैं।\n" * 40,
    "utf-8-sig": "ዛሬ አየሩ ጥሩ ነው። እንሂድ።\n" * 40,
    "cp1252": "Größe und Übermut, naïve Cafés\x02 tête-à-tête\n" * 40,
}


@pytest.mark.slow
@pytest.mark.parametrize(("encoding", "text"), OTHER_SCRIPTS.items(), ids=OTHER_SCRIPTS)
def test_utf_16_is_known_in_every_script_and_no_other_text_is_taken_for_it(
    tmp_path, encoding, text
):
    path = tmp_path / "a.txt"
    for form in ("utf-16-le", "utf-16-be"):
        path.write_bytes(text.encode(form))
        for errors in ("strict", "replace"):
            assert said(path, errors=errors).endswith(f"use --encoding {form}")
        assert whole(open_corpus(path, encoding=form)) == text
    for named in {encoding, "utf-8"}:
        for plain in (text, text.replace("\n", "\0"), text.replace("\n", "\x1f")):
            path.write_bytes(plain.encode(named))
            assert whole(open_corpus(path, encoding=named)) == plain
            assert formats.unmarked(plain.encode(named)) == ""


@pytest.mark.parametrize("errors", ["strict", "replace"])
def test_a_text_without_the_mark_of_its_encoding_gets_one_that_reads_it(tmp_path, errors):
    for data, encoding, right in (
        (LATIN.encode("utf-16-le"), "utf-16", "utf-16-le"),
        (LATIN.encode("utf-16-be"), "utf-16", "utf-16-be"),
        (LATIN.encode("utf-32-le"), "utf-32", "utf-32-le"),
        (LATIN.encode(), "utf-16", "utf-8"),
        (LATIN.encode("utf-32"), "utf-16", "utf-32"),
        (LATIN.encode("utf-32"), "utf-16-le", "utf-32"),
    ):
        (tmp_path / "a").write_bytes(data)
        with pytest.raises(CorpusError) as caught:
            open_corpus(tmp_path / "a", encoding=encoding, errors=errors)
        assert caught.value.line(option).endswith(f"use --encoding {right}")
        assert whole(open_corpus(tmp_path / "a", encoding=right)) == LATIN


@pytest.mark.parametrize(
    "data",
    [
        *(b"a file\0another one\0and a third one\0" * 9, b"abc\0def\0ghi\0" * 20),
        *(b"\0" * 64, b"a\0b\0", b"1\t2\t3\t4\n" * 20, b"ab\x1fcd\x1fe\x1e" * 20, b"a\0b" * 200),
    ],
)
def test_text_with_some_control_characters_is_text(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    assert open_corpus(tmp_path / "a").chars == len(data)
