"""Labelled texts: how they are read, held out, encoded and put in batches."""

import io
import json

import numpy as np
import pytest

from charrnn.config import DataConfig
from charrnn.errors import CorpusError, option
from charrnn.text.labelled.batches import STEPS, SimilarLengths, fitting
from charrnn.text.labelled.dataset import read_more, read_table, table_of
from charrnn.text.labelled.examples import replaced, thinned
from charrnn.text.labelled.lines import MAX_LABELS
from charrnn.text.labelled.parts import stratified
from charrnn.text.labelled.rows import How
from charrnn.text.labelled.texts import texts
from charrnn.text.tagged.dataset import tagged_of

ROWS = [("cat", "miau"), ("dog", "wow wow"), ("cat", 'mrr, "mrr"'), ("dog", "grr é")]


def data_of(*sources, **options):
    return DataConfig(**{"sources": tuple(map(str, sources)), "val_frac": 0.0} | options)


def shown(table, part="train"):
    """Return the (label, text) pairs of a part."""
    texts = getattr(table, part)
    ids, lengths = texts.padded(np.arange(len(texts)), len(texts))
    decoded = [table.vocabulary.decode(ids[:length, n]) for n, length in enumerate(lengths)]
    return [(table.labels[k], text) for k, text in zip(texts.labels, decoded, strict=True)]


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_every_format_gives_the_same_examples(tmp_path):
    tabs = "".join(f"{label}\t{text}\n" for label, text in ROWS)
    fast = "".join(f"__label__{label} {text}\n" for label, text in ROWS)
    quoted = [(label, text.replace('"', '""')) for label, text in ROWS]
    table = "n,kind,what\n" + "".join(f'1,{label},"{text}"\n' for label, text in quoted)
    lines = "".join(json.dumps({"a": {"kind": l}, "what": t}) + "\n" for l, t in ROWS)
    columns = {"column": "what", "label_column": "kind"}
    fields = {"field": "what", "label_field": "a.kind"}
    for name, text, more in (
        ("a.txt", tabs, {}),
        ("b.txt", "\ufeff" + tabs.replace("\n", "\r\n"), {}),
        ("c.txt", fast, {}),
        ("d.csv", table, columns),
        ("f.jsonl", lines, fields),
    ):
        found = read_table(data_of(written(tmp_path, name, text), **more))
        assert shown(found) == ROWS, name
        assert found.labels == ("cat", "dog")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("no tab here", "line 2 has no tab between a label and a text"),
        ("\tno label", "line 2 has an empty label"),
        ("x\x07\ttext", "line 2 has a label with control characters"),
        ("x" * 201 + "\ttext", "line 2 has a label of more than 200 characters"),
        ("__label__a __label__b text", "line 2 has several labels"),
    ],
)
def test_a_line_that_is_no_example_is_named_or_passed_over(line, problem, tmp_path):
    path = written(tmp_path, "t.tsv", f"cat\tmiau\n{line}\ndog\twow\n")
    with pytest.raises(CorpusError, match=problem) as caught:
        read_table(data_of(path))
    assert "t.tsv" in str(caught.value)
    table = read_table(data_of(path, errors="skip"))
    assert shown(table) == [("cat", "miau"), ("dog", "wow")]
    assert "passed over 1 line that are not examples" in table.notes


def test_bytes_that_are_not_text_are_an_error_or_their_line_is_passed_over(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_bytes(b"cat\tmiau\ndog\tw\xffw\ndog\twow\n")
    with pytest.raises(CorpusError, match="not valid utf-8 at byte offset 14"):
        read_table(data_of(path))
    assert len(read_table(data_of(path, errors="skip")).train) == 2
    assert len(read_table(data_of(path, errors="replace")).train) == 3
    assert len(read_table(data_of(path, level="byte")).train) == 3


def test_one_label_and_labels_only_in_a_held_out_file_are_errors(tmp_path):
    path = written(tmp_path, "t.tsv", "cat\tmiau\ncat\tmrr\n")
    with pytest.raises(CorpusError, match="a single label, 'cat'"):
        read_table(data_of(path))
    path = written(tmp_path, "t.tsv", "cat\tmiau\ndog\twow\n")
    other = written(tmp_path, "v.tsv", "cat\tmiau\ncow\tmuh\n")
    with pytest.raises(CorpusError, match=r"v\.tsv line 2 has the label 'cow'.*cat, dog"):
        read_table(data_of(path, val=(str(other),)))
    table = read_table(data_of(path))
    with pytest.raises(CorpusError, match=r"v\.tsv line 2 has the label 'cow'.*cat, dog"):
        read_more([str(other)], data_of(path), table.vocabulary, table.labels)


@pytest.mark.parametrize("read", [table_of, tagged_of])
def test_more_labels_than_a_checkpoint_can_hold_are_refused_before_training(read):
    names = [f"{n:05d}" for n in range(MAX_LABELS + 1)]
    labels = names if read is table_of else [[name] for name in names]
    texts = ["x"] * len(names)
    how = data_of("-", format="columns" if read is tagged_of else None)
    assert read(zip(texts[1:], labels[1:], strict=True), how).labels == tuple(names[1:])
    with pytest.raises(CorpusError, match="65,537 labels, more than the 65,536 of a model"):
        read(zip(texts, labels, strict=True), how)


def test_what_only_held_out_texts_have_is_unknown(tmp_path):
    path = written(tmp_path, "t.tsv", "cat\tab\ndog\tba\n")
    other = written(tmp_path, "v.tsv", "cat\taXbY\n")
    table = read_table(data_of(path, val=(str(other),)))
    assert table.vocabulary.symbols == ("a", "b")
    assert shown(table, "val") == [("cat", "ab")]
    rare = written(tmp_path, "r.tsv", "cat\tabc\ndog\tba\n")
    folded = read_table(data_of(rare, val=(str(other),), min_count=2))
    assert folded.vocabulary.symbols == ("a", "b", "\ufffd")
    assert shown(folded, "val") == [("cat", "a\ufffdb\ufffd")]


@pytest.mark.parametrize("level", ["char", "byte", "word"])
def test_the_ids_are_those_of_the_vocabulary(level, tmp_path):
    rows = [("a", "the cat sat, é"), ("b", "A dog"), ("a", "the end")] * 3
    path = written(tmp_path, "t.tsv", "".join(f"{l}\t{t}\n" for l, t in rows))
    table = read_table(data_of(path, level=level, min_count=2))
    decoded = [(l, table.vocabulary.text(t)) for l, t in rows]
    assert shown(table) == decoded
    assert (
        table.vocabulary.encode(decoded[0][1]).tolist()
        == table.train.ids[: table.train.lengths[0]].tolist()
    )


def test_long_texts_are_cut_and_empty_ones_left_out():
    table = table_of([("abcdef", "x"), ("", "x"), ("ab", "y")], data_of(max_length=4))
    assert shown(table) == [("x", "abcd"), ("y", "ab")]
    assert table.notes == ("cut 1 text after 4 symbols", "left out 1 empty text")


def test_the_same_share_of_each_label_is_held_out_drawn_by_the_seed():
    labels = np.repeat(np.arange(5), [1, 2, 13, 200, 1000]).astype(np.int32)
    train, val, test = stratified(labels, (0.1, 0.2), seed=3)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, val, test])), np.arange(1216))
    for part, share in ((val, 0.1), (test, 0.2)):
        counts = np.bincount(labels[part], minlength=5)
        assert np.abs(counts - share * np.bincount(labels)).max() <= 1
        assert abs(len(part) - share * 1216) <= 2
    assert set(labels[train]) == set(range(5))
    again, other = stratified(labels, (0.1, 0.2), 3), stratified(labels, (0.1, 0.2), 4)
    np.testing.assert_array_equal(again[1], val)
    assert not np.array_equal(other[1], val)


def test_an_epoch_reads_every_sequence_once_in_an_order_of_its_own():
    lengths = np.random.default_rng(0).integers(1, 900, 500)
    batches = SimilarLengths(lengths, 32, seed=1)
    orders, filled = [], []
    for epoch in range(2):
        groups = [batches.at(epoch * batches.per_epoch + k) for k in range(batches.per_epoch)]
        orders.append(np.concatenate([group.numbers for group in groups]))
        np.testing.assert_array_equal(np.sort(orders[-1]), np.arange(500))
        for numbers, places, of in groups:
            assert of == epoch
            assert len(numbers) <= places
            longest = lengths[numbers].max()
            assert longest <= batches.shapes()[places]
            filled.append(lengths[numbers].mean() / longest)
        assert np.mean(filled) > 0.8
    assert not np.array_equal(*orders)
    fresh, other = (SimilarLengths(lengths, 32, seed) for seed in (1, 2))
    later = batches.per_epoch + 3
    np.testing.assert_array_equal(fresh.at(later).numbers, batches.at(later).numbers)
    assert not np.array_equal(other.at(0).numbers, fresh.at(0).numbers)


def test_a_batch_of_long_sequences_has_fewer_of_them():
    assert [fitting(32, length) for length in (1, STEPS, STEPS + 1, 2 * STEPS + 1, 10**6)] == [
        32, 32, 16, 8, 1,
    ]  # fmt: skip
    batches = SimilarLengths(np.array([10**6, 3, 3]), 2, seed=0)
    assert batches.per_epoch == 2


def test_texts_come_as_they_arrive():
    parts = [b"one\ntw", b"o\r\n\nthr", b"ee"]

    class Pipe(io.RawIOBase):
        def read1(self, size):
            return parts.pop(0) if parts else b""

    found = texts("-", How(), stdin=Pipe())
    assert next(found) == ["one"]
    assert len(parts) == 2
    assert list(found) == [["two", ""], ["three"]]


def test_symbols_are_replaced_at_the_given_rate_by_others_of_the_texts():
    rng = np.random.default_rng(3)
    lengths = np.array([400, 250, 1, 0])
    inside = np.arange(400)[:, None] < lengths
    inputs = np.where(inside, rng.choice([2, 3, 5], (400, 4)), 0).astype(np.uint8)
    before = inputs.copy()
    found = replaced(inputs, lengths, 0.3, rng)
    np.testing.assert_array_equal(inputs, before)
    assert found.dtype == np.uint8
    assert not found[~inside].any()
    assert set(found[inside].tolist()) == {2, 3, 5}
    share = (found != inputs).sum() / lengths.sum()
    assert share == pytest.approx(0.2, abs=0.05)  # a third of them is replaced by itself


def test_symbols_are_left_out_at_the_given_rate_and_the_others_keep_their_order():
    rng = np.random.default_rng(3)
    lengths = np.array([40, 25, 1, 0])
    inputs = np.where(np.arange(40)[:, None] < lengths, np.arange(1, 41)[:, None], 0)
    shares = []
    for _ in range(200):
        found, kept = thinned(inputs.astype(np.uint8), lengths, 0.3, rng)
        assert found.dtype == np.uint8
        assert len(found) == max(kept)
        assert kept[2:].tolist() == [1, 0]  # the only symbol of a text is never left out
        for place, length in enumerate(kept):
            assert (np.diff(found[:length, place].astype(int)) > 0).all()
            assert not found[length:, place].any()
        shares.append(kept[:2].sum() / 65)
    assert np.mean(shares) == pytest.approx(0.7, abs=0.02)


def test_the_parts_of_a_table_know_the_unknown_symbol():
    pairs = [("a b", "x"), ("a c", "y"), ("a b", "y")] * 4
    plain, folded = (table_of(pairs, data_of(level="word", min_count=k)) for k in (1, 5))
    assert plain.train.unknown is None
    assert folded.train.unknown == folded.vocabulary.unknown is not None


@pytest.mark.parametrize(
    ("name", "text", "remedy"),
    [
        ("a.csv", "label,text\nx,a b\n", "give --column text --label-column label"),
        ("a.txt", "Review;Stars\na b;1\n", "give --column Review --label-column Stars"),
        ("a.jsonl", '{"text": "a", "label": "b"}\n', "give --field text --label-field label"),
        (
            "a.csv",
            "a,b,c\n1,2,3\n",
            "are 'a', 'b', 'c': name that of the texts with --column",
        ),
        ("a.csv", "Some text, and more.\n", "mend that line, or set --errors to skip"),
        ("a.txt", "Some text\n", "mend that line, or set --errors to skip"),
        ("a.txt", "{text\n", "mend that line, or set --errors to skip"),
        ("a.txt", "x\ta\nlabel,text\n", "mend that line, or set --errors to skip"),
    ],
)
def test_a_table_without_its_options_is_told_which_it_needs(tmp_path, name, text, remedy):
    with pytest.raises(CorpusError) as failure:
        read_table(data_of(written(tmp_path, name, text)))
    assert " has no tab between a label and a text; " in failure.value.line(option)
    assert remedy in failure.value.line(option)


def test_a_header_that_is_read_as_an_example_is_noted(tmp_path):
    rows = "x y\tone\nz\ttwo\n" * 9
    for header, noted in (("text\tlabel", True), ("Name\tCountry\tid", True), ("spam\thi", False)):
        found = read_table(data_of(written(tmp_path, "t.tsv", f"{header}\n{rows}")))
        assert any("line 1 is read as an example" in note for note in found.notes) == noted
    more = {"column": "Name", "label_column": "Country"}
    path = written(tmp_path, "t.tsv", "Name\tCountry\tid\na\tb\t1\nc\td\t1\n")
    assert shown(read_table(data_of(path, **more))) == [("b", "a"), ("d", "c")]
