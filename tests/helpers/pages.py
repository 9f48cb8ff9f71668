"""The web page of small models, and a run to make one of."""

from helpers.commands import inside

from charrnn.exchange.page import document
from charrnn.exchange.page.words import About
from charrnn.exchange.portable import Portable

HOSTILE = "<!--</script><script>alert(1)</script>\"'&\u2028\x00\x03\r\x7f\ud7ff𝒜\u200b\n"


def portable(ours):
    return Portable.of(ours.network, ours.vocabulary, ours.data)


def page(ours, bits=8, about=None):
    return document.page(portable(ours), bits, about or About())


def make_run(where, *options):
    """Make a run with a validation text in a folder; return the folder."""
    (where / "t.txt").write_text("the cat sat on the mat\nA dog ate it!\n" * 60, encoding="utf-8")
    words = ("train", "t.txt", "--hidden", "12", "--steps", "60", "--lr", "0.05", "--batch", "4")
    done = inside(*words, "--seq-len", "16", *options, cwd=where)
    assert done.returncode == 0, done.stderr
    return where
