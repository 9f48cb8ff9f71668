"""Examples of a text: what they are, their order, and the streams that they make."""

from collections import Counter

import numpy as np
import pytest
from helpers.examples import units_of, words

from charrnn.errors import CorpusError, UsageError
from charrnn.text import Layout, corpus_from_text, open_corpus
from charrnn.text.reading import iter_documents, iter_lines
from charrnn.text.units import examples, permutation
from charrnn.text.units.examples import ExampleStreams, Units, fit_examples
from charrnn.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary("char", ("\n", "a", "b", "c", "d", "e"))
LINE, DOCUMENT = Layout(examples="line"), Layout(examples="document")


def read(streams, epoch):
    """Return the examples that the streams of an epoch give, whole or cut, in their order."""
    found = [""] * 0
    texts = [[] for _ in range(streams.batch)]
    for place in range(streams.windows_per_epoch):
        batch = streams.batch_at(epoch * streams.windows_per_epoch + place)
        assert batch.epoch == epoch
        assert batch.symbols == batch.mask.sum() > 0
        starts = np.zeros_like(batch.mask) if batch.starts is None else batch.starts
        reset = np.zeros(streams.batch, bool) if batch.reset is None else batch.reset
        for t, row in enumerate(batch.mask):
            for n, counts in enumerate(row):
                fresh = reset[n] if t == 0 else starts[t, n]
                if fresh:
                    assert t == 0 or not batch.mask[t - 1, n]
                    texts[n].append([])
                if counts:
                    texts[n][-1].append((int(batch.inputs[t, n]), int(batch.targets[t, n])))
    for stream in texts:
        for pairs in filter(None, stream):
            inputs, targets = zip(*pairs, strict=True)
            assert inputs[1:] == targets[:-1]
            found.append((inputs[0], VOCABULARY.decode(targets)))
    return found


@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize(
    ("count", "longest", "batch", "seq_len"),
    [(300, 9, 5, 16), (40, 9, 8, 6), (7, 50, 3, 8), (1, 9, 1, 4), (3, 400, 16, 8), (60, 4, 9, 2)],
)
def test_each_example_is_read_once_an_epoch_in_another_order(
    count, longest, batch, seq_len, table, rng, monkeypatch
):
    monkeypatch.setattr(permutation, "TABLE", permutation.TABLE if table else 0)
    monkeypatch.setattr(examples, "_AHEAD", 3)
    texts = words(rng, count, longest)
    units = units_of(texts, VOCABULARY)
    batch, seq_len, _ = fit_examples(units, batch, seq_len)
    streams = ExampleStreams(units, batch, seq_len, seed=4)
    orders = []
    for epoch in (0, 1, 5):
        found = read(streams, epoch)
        assert sum(len(text) for _, text in found) == len(units)
        # What is longer than a window may be cut where a stream is full.
        cut = Counter(texts) - Counter(text for start, text in found if start == units.start)
        assert cut.total() < batch
        if longest <= seq_len:
            assert not cut
        orders.append([text for _, text in found])
    if count > 5:
        assert orders[0] != orders[1] != orders[2]
    again = ExampleStreams(units, batch, seq_len, seed=4)
    last = 6 * streams.windows_per_epoch - 1
    for mine, theirs in zip(again.batch_at(last), streams.batch_at(last), strict=True):
        np.testing.assert_array_equal(mine, theirs)  # without the steps before


def test_a_part_of_the_streams_keeps_what_belongs_to_it(rng):
    streams = ExampleStreams(units_of(words(rng, 99, 9), VOCABULARY), 5, 16)
    whole = streams.batch_at(1)
    part = whole.of(slice(1, 3))
    np.testing.assert_array_equal(part.starts, whole.starts[:, 1:3])
    assert part.symbols == whole.symbols
    assert part.mask.sum() < whole.symbols


def test_few_examples_lower_the_window(rng):
    units = units_of(["ab\n", "c\n"], VOCABULARY)
    assert fit_examples(units, 1, 4) == (1, 4, None)
    batch, seq_len, note = fit_examples(units, 32, 32)
    assert (batch, seq_len) == (1, 7)
    assert note.startswith(
        "the training text has 2 examples of 5 symbols, but one window of 32 streams"
    )
    with pytest.raises(UsageError, match="batch must be at least 1 for examples, not 0"):
        fit_examples(units, 0, 4)
    with pytest.raises(UsageError, match="seq_len must be at least 2 for examples, not 1"):
        fit_examples(units, 1, 1)
    with pytest.raises(CorpusError, match="the examples have 7 steps, but a window 8"):
        ExampleStreams(units, 2, 4)


def texts_of(units: Units, vocabulary):
    return [vocabulary.decode(ids) for ids in units]


@pytest.mark.parametrize("level", ["char", "byte", "word"])
def test_what_examples_are(tmp_path, level):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a").write_text("one\ntwo")
    (folder / "b").write_text("")
    (folder / "c").write_text("three\n\nfour\n")
    table = tmp_path / "t.csv"
    table.write_text('id,text\n1,"one\ntwo"\n2,\n3,"three\n\nfour\n"\n')
    for path, layout, expected in (
        (folder, LINE, ["one\n", "two\n", "three\n", "\n", "four\n"]),
        (folder, DOCUMENT, ["one\ntwo\x03", "three\n\nfour\n\x03"]),
        (folder, Layout(join="|é", examples="document"), ["one\ntwo|é", "three\n\nfour\n|é"]),
        (folder, Layout(join="", examples="document"), ["one\ntwo", "three\n\nfour\n"]),
        (table, Layout("text", examples="document"), ["one\ntwo\x03", "three\n\nfour\n\x03"]),
        (
            table,
            Layout("text", join="\n", examples="document"),
            ["one\ntwo\n", "three\n\nfour\n\n"],
        ),
        (
            table,
            Layout("text", examples="line"),
            ["one\n", "two\n", "three\n", "\n", "four\n", "\n"],
        ),
    ):
        how = {"level": level, "layout": layout}
        corpus = open_corpus(path, val_frac=0, **how)
        if level == "byte":
            expected = [text.encode() for text in expected]
        found = texts_of(corpus.train, corpus.vocabulary)
        assert found == expected
        assert len(corpus.train) == sum(map(corpus.vocabulary.count, expected))
        assert len(corpus.val) == len(corpus.test) == 0
        read_ = iter_lines if layout.examples == "line" else iter_documents
        assert [text for text, _ in read_(path, corpus.vocabulary, layout=layout)] == expected
        start = corpus.vocabulary.decode([corpus.train.start])
        wanted = layout.end[-1:] or "\n"
        assert start in (wanted, wanted.encode()[-1:])
        held = open_corpus(path, val_frac=0.4, hold_out="examples", **how)
        both = texts_of(held.train, held.vocabulary) + texts_of(held.val, held.vocabulary)
        assert sorted(both) == sorted(expected)
        assert held.train.count < len(expected)


def test_an_end_that_is_folded_is_refused(tmp_path):
    for number in range(3):
        (tmp_path / str(number)).write_text("aaaa" * 5)
    with pytest.raises(UsageError, match=r"min_count folds the end of an example, '\\x03', where"):
        open_corpus(tmp_path, layout=DOCUMENT, min_count=4)
    open_corpus(tmp_path, layout=DOCUMENT, min_count=3)


def test_examples_of_the_tail_and_of_other_texts(tmp_path):
    (tmp_path / "t").write_text("".join(f"{n:02}\n" for n in range(20)))
    (tmp_path / "v").write_text("98\n99")
    corpus = open_corpus(tmp_path / "t", layout=LINE, test_frac=0.1)
    found = [texts_of(part, corpus.vocabulary) for part in (corpus.train, corpus.val, corpus.test)]
    assert found[1:] == [["16\n", "17\n"], ["18\n", "19\n"]]
    assert found[0] == [f"{n:02}\n" for n in range(16)]
    corpus = open_corpus(tmp_path / "t", layout=LINE, val=tmp_path / "v", test_frac=0.1)
    found = [texts_of(part, corpus.vocabulary) for part in (corpus.train, corpus.val, corpus.test)]
    assert found[1:] == [["98\n", "99\n"], ["18\n", "19\n"]]
    assert found[0] == [f"{n:02}\n" for n in range(18)]


@pytest.mark.parametrize("level", ["char", "byte", "word"])
@pytest.mark.parametrize("hold_out", ["tail", "examples"])
@pytest.mark.parametrize("layout", [Layout(), Layout(join="|"), LINE, DOCUMENT])
def test_texts_in_memory_are_read_as_files_are(level, hold_out, layout, tmp_path):
    texts = [f"text {n}\nof it{n % 3 * '.'}" for n in range(12)]
    for number, text in enumerate(texts):
        (tmp_path / f"{number:02}").write_text(text)
    how = {"level": level, "layout": layout, "hold_out": hold_out, "val_frac": 0.25, "seed": 3}
    there, here = open_corpus(tmp_path, **how), corpus_from_text(texts, **how)
    assert here.vocabulary == there.vocabulary
    for mine, theirs in ((here.train, there.train), (here.val, there.val)):
        assert type(mine) is type(theirs) or layout.examples is None
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(theirs))
        if layout.examples:
            np.testing.assert_array_equal(mine.lengths(), theirs.lengths())
            assert mine.start == theirs.start
    one = corpus_from_text("".join(LINES), hold_out="examples")
    path = tmp_path / "one"
    path.write_text("".join(LINES))
    np.testing.assert_array_equal(
        np.asarray(one.val), np.asarray(open_corpus(path, hold_out="examples").val)
    )


LINES = [f"{n:03} {'x' * (n % 5)}\n" for n in range(50)]
