"""The pages and drawings of ``charrnn eval``: confusion matrices and maps of attention."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from charrnn.errors import CharRNNError
from charrnn.evaluate.labels import LabelScores
from charrnn.evaluate.pairs import TargetScores
from charrnn.evaluate.spans import SpanCounts
from charrnn.evaluate.tags import TagScores
from charrnn.report import confusion, labels, scores
from charrnn.report.diagnose.document import write_document
from charrnn.report.maps import Map

COUNTS = np.array([[7, 1, 0], [2, 5, 0], [0, 0, 0]])
NAMES = ("cat", "<b>dog</b>", "ox\x1b[31m")
OUTSIDE = re.compile(r"""(?:src|href)=|url\(|@import|https?://(?!www\.w3\.org)""")


def labels_page():
    return scores.labels_page(LabelScores(15, 0.5, COUNTS), NAMES, "a $run", "t.tsv")


def tags_page(spans=None, names=NAMES):
    return scores.tags_page(TagScores(4, 0.5, COUNTS, spans), names, "a $run", "t.tsv")


def targets_page(maps=()):
    return scores.targets_page(TargetScores(2, 1, 3, 10, 4.0, 12), maps, "run", "pairs.tsv")


MAPS = [
    scores.Drawn("ab", "ba", "ba", Map("ab", ["b", "a", ""], np.eye(3))),
    scores.Drawn("x y", "<i>", "y", Map(["x", " ", "y"], ["<i>", ""], np.full((2, 4), 0.25))),
]


@pytest.mark.parametrize("page", [labels_page(), tags_page(), targets_page(MAPS), targets_page()])
def test_a_page_is_whole_and_needs_nothing_from_outside(page):
    assert not OUTSIDE.search(page)
    assert "\x1b" not in page
    assert "<b>dog" not in page
    assert "<i>" not in page
    body = page.removeprefix("<!doctype html>").replace('charset="utf-8">', 'charset="utf-8"/>')
    body = re.sub(r"(<meta [^>]*[^/])>", r"\1/>", body).replace("<br>", "<br/>")
    root = ElementTree.fromstring(re.sub(r"<script>.*</script>", "", body, flags=re.DOTALL))
    ids = {each.get("id") for each in root.iter() if each.get("id")}
    for tab in root.iter("button"):
        assert {tab.get("id"), tab.get("aria-controls")} <= ids
    for drawing in root.iter("svg"):
        assert drawing.get("aria-label")


def test_the_matrix_has_every_count_and_its_labels():
    page = labels_page()
    for said in ("cat, given cat: 7", "cat, given &lt;b&gt;dog&lt;/b&gt;: 1"):
        assert f'title="{said}"' in page
    assert page.count("color-mix") == 4  # zeros are empty
    assert "accuracy" in page


def test_the_page_of_a_tagger_counts_labels_and_has_spans_where_labels_mark_some():
    page = tags_page(SpanCounts(10, 8, 6))
    assert "cat, given cat: 7" in page
    assert "on 4 sequences of t.tsv, 15 labels" in page
    assert "nats per label" in page
    for said in ("span F1", "0.667", "10 spans"):
        assert said in page
        assert said not in tags_page()


def test_a_blank_label_is_seen():
    names = ("a", " ", "\u3000")
    page = tags_page(names=names)
    for shown in ("&#x27; &#x27;", "&#x27;\\u3000&#x27;"):
        assert f'<th scope="row">{shown}</th>' in page
    assert "\n' '  " in labels.tags_text(TagScores(4, 0.5, COUNTS), names)


def test_only_short_labels_stand_upright_above_their_columns():
    heads = re.findall(
        r"<th scope=.col.[^>]*>(<span>)?([^<]+)", tags_page(names=("O", " ", "B-PER"))
    )
    assert heads[-3:] == [("", "O"), ("", "&#x27; &#x27;"), ("<span>", "B-PER")]


def test_many_labels_are_reduced_to_the_most_frequent_ones():
    count = confusion.MOST + 5
    whole = np.diag(np.arange(1, count + 1))
    whole[0, count - 1] = 3
    matrix = confusion.Matrix.of(whole, [f"l{i}" for i in range(count)])
    assert len(matrix.names) == confusion.MOST + 1
    assert matrix.names[-1] == confusion.OTHERS
    assert matrix.counts.sum() == whole.sum()
    assert matrix.names[0] == "l5"
    assert matrix.counts[-1, -2] == 3  # of the rarest label, given the most frequent
    small = confusion.Matrix.of(COUNTS, NAMES)
    assert (small.counts == COUNTS).all()
    assert small.shares[2].tolist() == [0, 0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_matrix_is_drawn_the_same_each_time(tmp_path, suffix):
    pytest.importorskip("matplotlib")
    files = [tmp_path / f"{n}.{suffix}" for n in "ab"]
    for file in files:
        confusion.draw(confusion.Matrix.of(COUNTS, ("a$b", "c", "d")), "a $title$", file)
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.slow
def test_the_title_of_a_small_drawing_is_wrapped(tmp_path):
    pytest.importorskip("matplotlib")
    title, file = "checkpoints/a-run on a-long-name.tsv: accuracy 0.987 " * 3, tmp_path / "m.svg"
    confusion.draw(confusion.Matrix.of(COUNTS, ("a", "b", "c")), title, file)
    texts = re.findall(r"<(?:text|tspan)[^>]*>([^<]+)<", file.read_text("utf-8"))
    parts = [text for text in texts if len(text) > 12 and text in title]
    assert max(map(len, parts)) < 55
    assert " ".join(parts).count("accuracy") == 3


def test_a_wrong_target_is_shown_with_the_right_one():
    page = targets_page(MAPS)
    assert "ab → ba ✓" in page
    assert "x y → &lt;i&gt; ✗" in page
    assert "right: y" in page
    assert "<title>b ← a: 1.00</title>" in page
    assert "<title>a ← a: 0.00</title>" in page
    assert "has no attention" in targets_page()


def test_a_page_that_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(CharRNNError, match="cannot write"):
        write_document(tmp_path / "missing" / "page.html", labels_page())
