"""Properties of any text and any option, tested with texts and options drawn at random."""

import json
import math
import os
import unicodedata
from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest

hypothesis = pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

import charrnn  # noqa: E402
from charrnn.config import DataConfig, ModelConfig, TrainConfig  # noqa: E402
from charrnn.display import one_line, printable, safe_json  # noqa: E402
from charrnn.errors import CharRNNError, CheckpointError, UsageError  # noqa: E402
from charrnn.options import declared  # noqa: E402
from charrnn.sampling import SampleOptions  # noqa: E402
from charrnn.storage.progress import Progress  # noqa: E402
from charrnn.text import Vocabulary, corpus_from_text, iter_lines, open_corpus  # noqa: E402
from charrnn.text.decoding import decode_chunks, whole_words  # noqa: E402
from charrnn.train.opening.request import Request  # noqa: E402

EXAMPLES = int(os.environ.get("CHARRNN_EXAMPLES", "25"))
quick = settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
on_disk = settings(quick, suppress_health_check=[HealthCheck.function_scoped_fixture])

characters = st.characters(exclude_categories=("Cs",))
texts = st.text(characters, min_size=1, max_size=200)


def unsafe(character):
    """Control characters, separators of lines, surrogates, and what changes the direction."""
    turns = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    return (
        unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs")
        or unicodedata.bidirectional(character) in turns
    )


def whole(corpus):
    return np.concatenate([corpus.train, corpus.val, corpus.test])


@quick
@given(texts, st.sampled_from(["char", "word"]), st.floats(0, 0.49), st.floats(0, 0.49))
def test_text_is_encoded_and_decoded_to_itself(text, level, val_frac, test_frac):
    corpus = corpus_from_text(text, level=level, val_frac=val_frac, test_frac=test_frac)
    assert corpus.vocabulary.decode(whole(corpus)) == text
    assert list(corpus.vocabulary.symbols) == sorted(set(corpus.vocabulary.symbols))


@quick
@given(st.binary(min_size=1, max_size=300))
def test_bytes_are_encoded_and_decoded_to_themselves(data):
    corpus = corpus_from_text(data, level="byte")
    assert corpus.vocabulary.decode(whole(corpus)) == data


@quick
@given(texts, texts, st.integers(1, 3), st.sampled_from(["char", "word"]))
def test_another_text_is_encoded_as_far_as_it_is_known(text, other, least, level):
    try:
        vocabulary = corpus_from_text(text, level=level, min_count=least).vocabulary
    except UsageError:  # nothing is left
        return
    skipped = vocabulary.encode(other, "skip")
    try:
        strict = vocabulary.encode(other)
    except CharRNNError as problem:
        assert not any(map(unsafe, str(problem)))
        assert vocabulary.unknown is None
        known = set(vocabulary.symbols)
        if level == "char":
            assert vocabulary.decode(skipped) == "".join(c for c in other if c in known)
    else:
        np.testing.assert_array_equal(strict, skipped)
        if vocabulary.unknown is None:
            assert vocabulary.decode(strict) == other


@quick
@given(texts, st.integers(1, 3), st.sampled_from(["char", "byte", "word"]))
def test_a_vocabulary_survives_json(text, least, level):
    try:
        corpus = corpus_from_text(
            text.encode() if level == "byte" else text, level=level, min_count=least
        )
    except UsageError:
        return
    again = Vocabulary.from_json(json.loads(json.dumps(corpus.vocabulary.to_json())))
    assert again == corpus.vocabulary


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@quick
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "level": st.sampled_from(["char", "byte", "word"]) | json_values,
            "symbols": st.lists(st.text(max_size=2) | st.integers(-1, 300)) | json_values,
            "unknown": st.integers(-2, 5) | json_values,
        },
    )
    | json_values
)
def test_any_json_is_a_vocabulary_or_refused(data):
    try:
        vocabulary = Vocabulary.from_json(data)
    except CheckpointError as problem:
        assert not any(map(unsafe, str(problem)))
        return
    ids = np.arange(len(vocabulary))
    if vocabulary.unknown is None and vocabulary.level != "word":
        np.testing.assert_array_equal(vocabulary.encode(vocabulary.decode(ids)), ids)


CODECS = ("utf-8", "utf-16", "utf-32-le", "utf-8-sig", "latin-1", "shift_jis", "gb18030", "utf-7")


@quick
@given(
    st.binary(max_size=120) | texts.map(str.encode),
    st.lists(st.integers(0, 120), max_size=6),
    st.sampled_from(CODECS),
    st.sampled_from(["strict", "replace"]),
)
def test_chunk_edges_do_not_show_whatever_the_bytes(data, edges, codec, errors):
    """Decoding in pieces gives what decoding at once gives, or refuses what it refuses."""
    edges = sorted({0, *(min(edge, len(data)) for edge in edges), len(data)})
    pieces = [data[a:b] for a, b in pairwise(edges)]

    def decoded(chunks):
        try:
            return "".join(decode_chunks(chunks, "text", codec, errors))
        except CharRNNError:
            return None

    assert decoded(pieces) == decoded([data])


@quick
@given(st.lists(st.text(characters, max_size=30)))
def test_words_are_cut_nowhere(parts):
    import re

    joined = "".join(parts)
    pieces = list(whole_words(parts))
    assert "".join(pieces) == joined
    tokens = re.compile(r"\w+|\W").findall
    assert [token for piece in pieces for token in tokens(piece)] == tokens(joined)


@on_disk
@given(
    st.binary(max_size=200) | texts.map(str.encode),
    st.sampled_from(["char", "byte", "word"]),
    st.sampled_from(CODECS),
    st.sampled_from(["strict", "replace"]),
    st.integers(1, 3),
    st.floats(0, 1),
)
def test_any_file_is_a_corpus_or_refused(home, data, level, codec, errors, least, val_frac):
    import os

    (home / "text").write_bytes(data)
    os.utime(home / "text", (1e9, 1e9))  # a file that is new is waited for
    options = {"level": level, "encoding": codec, "errors": errors, "min_count": least}
    try:
        corpus = open_corpus(home / "text", val_frac=val_frac, **options)
    except CharRNNError as problem:
        assert not any(map(unsafe, str(problem)))
        return
    ids = whole(corpus)
    assert len(ids) == corpus.chars
    assert int(ids.max()) < len(corpus.vocabulary)
    assert corpus.bytes == len(data)
    lines = iter_lines(
        home / "text", corpus.vocabulary, encoding=codec, errors=errors, unknown="skip"
    )
    np.testing.assert_array_equal(np.concatenate([found for _, found in lines]), ids)


# Options

numbers = (
    st.sampled_from([0, 1, -1, 2, 0.5, 1e-300, 1e300, 2**31, 2**63, 10**30])
    | st.integers(-5, 50)
    | st.floats(allow_nan=True, allow_infinity=True)
)
words = st.sampled_from(
    (
        *("lstm", "gru", "rnn", "vanilla", "tanh", "relu", "after", "before", "uniform", "xavier"),
        *("orthogonal", "identity", "float32", "float64", "carry", "reset", "adam", "sgd"),
        *("cosine", "plateau", "step", "char", "byte", "word", "strict", "replace", "utf-8"),
        *("", "\x1b[31m"),
    )
)


def of_type(option):
    """Return values as the command line could hand them over."""
    if option.kind is float:
        return numbers.map(float)
    if option.kind is int:
        return numbers.filter(lambda n: math.isfinite(n)).map(int)
    return st.tuples(words) if option.repeatable else words


def declarations(record):
    """Return the options of a configuration and of the classes that it can choose."""
    found = declared(record)
    for registry in record.chosen.values():
        found |= {name: o for each in registry.classes() for name, o in each.options.items()}
    return found


def options_of(record):
    options = {name: of_type(option) for name, option in declarations(record).items()}
    return st.fixed_dictionaries({}, optional=options)


@settings(quick, max_examples=2 * EXAMPLES)
@given(options_of(ModelConfig), options_of(DataConfig), options_of(TrainConfig))
def test_any_options_are_possible_or_a_usage_error(model, data, train):
    data.pop("sources", None)
    request = Request(sources=("text",), model=model, data=data, train=train)
    try:
        request.check()
    except UsageError as problem:
        assert "Traceback" not in one_line(problem)
        return
    for record in (request.fresh_model(), request.fresh_train(), request.fresh_data()):
        again = type(record).from_json(json.loads(json.dumps(record.to_json())))
        assert again == record


names = st.one_of(st.text(max_size=4), st.text("ab", min_size=1), st.just("x" * 201))


@on_disk
@given(
    st.sampled_from(["classify", "generate", "tag", "transduce"]),
    st.sampled_from(["char", "word"]),
    st.lists(st.tuples(names, names), min_size=1, max_size=3),
)
def test_whatever_can_be_trained_on_is_a_model_that_can_be_saved(tmp_path, task, level, pairs):
    """Strings of Python hold more than those of files: control characters, lone surrogates."""
    pairs = [*pairs, ("b a", "cd"), ("ab", "ef")]
    if task == "tag":
        pairs = [([text], [label]) for text, label in pairs]
    how = {"task": task, "level": level, "val_frac": 0, "steps": 1, "hidden": 2}
    try:
        model = charrnn.fit(pairs, **how, report=lambda record: None)
    except CharRNNError:
        return
    model.save(tmp_path / "model")
    kept = charrnn.load(tmp_path / "model")
    assert (kept.labels, kept.vocabulary.symbols) == (model.labels, model.vocabulary.symbols)


@pytest.mark.parametrize("record", [ModelConfig, DataConfig, TrainConfig, Progress])
def test_any_json_is_a_record_or_refused(record):
    known = [f.name for f in fields(record)] if record is Progress else declarations(record)
    names = st.sampled_from(list(known))

    @quick
    @given(st.dictionaries(names | st.text(max_size=3), json_values | numbers) | json_values)
    def check(data):
        read = record.from_json
        try:
            found = read(data)
        except CheckpointError as problem:
            assert "Traceback" not in one_line(problem)
            return
        assert json.loads(json.dumps(found.to_json(), allow_nan=False)) is not None

    check()


@quick
@given(numbers.map(float), numbers, numbers.map(float), numbers.map(float))
def test_any_options_of_sampling_are_possible_or_a_usage_error(temp, top_k, top_p, min_p):
    try:
        options = SampleOptions(temp, int(top_k) if math.isfinite(top_k) else 0, top_p, min_p)
    except UsageError:
        return
    assert options.temperature >= 0


@quick
@given(st.text(st.characters()))
def test_nothing_gets_past_the_escapes(text):
    assert not any(map(unsafe, one_line(text)))
    assert not any(unsafe(c) for c in printable(text) if c not in "\n\t")
    assert one_line("".join(c for c in text if not unsafe(c))) == "".join(
        c for c in text if not unsafe(c)
    )
    line = json.dumps(text, ensure_ascii=False)
    assert json.loads(safe_json(line)) == text
    assert not any(c == "\x7f" or "\x80" <= c <= "\x9f" or c < " " for c in safe_json(line))
