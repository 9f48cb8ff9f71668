"""The corpora that come from the running Python."""

import sys
import sysconfig
from types import SimpleNamespace

import pytest

from charrnn.errors import CorpusError
from charrnn.text import builtin


def make(name, chars=None):
    return b"".join(builtin.generate(name, chars)).decode("utf-8")


def test_docs_are_english_prose_of_some_size():
    text = make("python-docs")
    assert len(text) > 300_000
    assert text.count(" the ") > 2000
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_docs_hold_the_topics_in_order_with_a_blank_line_between(monkeypatch):
    from pydoc_data import topics

    monkeypatch.setattr(topics, "topics", {"b": "second\n", "a": "\nfirst\nmore\n\n", "c": "\n"})
    assert make("python-docs") == "first\nmore\n\nsecond\n"
    assert builtin.info("python-docs").chars == 19


def test_docs_missing_say_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(CorpusError, match="pydoc") as caught:
        make("python-docs")
    assert caught.value.remedy


@pytest.fixture
def library(tmp_path, monkeypatch):
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / name))
    (tmp_path / "stdlib").mkdir()
    return tmp_path / "stdlib"


def put(library, path, data):
    file = library / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def test_source_takes_code_in_order_and_leaves_out_tests(library):
    put(library, "b.py", b"b = 1\n")
    put(library, "a/z.py", b"z = '\xc3\xa9'")
    put(library, "a/empty.py", b"")
    put(library, "latin.py", b"# \xe9\n")
    put(library, "notes.txt", b"no\n")
    put(library, "_sysconfigdata_x.py", b"no\n")
    for folder in ("test", "a/tests", "site-packages/x", "idlelib/idle_test", "__pycache__"):
        put(library, f"{folder}/no.py", b"no\n")
    assert make("python-source") == "z = 'é'\nb = 1\n"
    found = builtin.info("python-source")
    assert (found.chars, found.entropy) == (14, None)
    assert found.alphabet == len(set("z = 'é'\nb = 1\n"))
    assert make("python-source", 6) == "z = 'é"


def test_source_missing_says_what_to_do(library):
    with pytest.raises(CorpusError, match="standard library") as caught:
        make("python-source")
    assert caught.value.remedy


def test_source_fingerprint_sees_the_files(library):
    put(library, "b.py", b"b = 1\n")
    before = builtin.fingerprint("python-source")
    put(library, "b.py", b"b = 12\n")
    assert builtin.fingerprint("python-source") != before


@pytest.mark.parametrize("name", ["python-docs", "python-source"])
def test_fingerprint_sees_the_python(name, monkeypatch):
    prints = {builtin.fingerprint(name)}
    monkeypatch.setattr(sys, "version", "3.99.1 (x)")
    prints.add(builtin.fingerprint(name))
    monkeypatch.setattr(sys, "implementation", SimpleNamespace(name="other"))
    prints.add(builtin.fingerprint(name))
    assert len(prints) == 3


def test_source_of_this_python_is_code():
    text = make("python-source", 300_000)
    assert text.count("    def ") > 200
