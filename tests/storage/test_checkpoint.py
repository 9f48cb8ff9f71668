"""Checkpoints: everything comes back, and nothing that does not fit gets in."""

import copy
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from helpers import reference
from helpers.checkpoints import CHARS, checkpoint_of, parts

from charrnn.config import ModelConfig
from charrnn.errors import CharRNNError, CheckpointError
from charrnn.model.language import LanguageModel
from charrnn.model.sequences.classifier import Classifier
from charrnn.model.sequences.tagger import Tagger
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import container
from charrnn.storage.checkpoint import Checkpoint
from charrnn.storage.progress import Progress
from charrnn.text import Vocabulary
from charrnn.text.labelled.lines import MAX_LABELS


@pytest.fixture
def path(tmp_path):
    return tmp_path / "last.safetensors"


@pytest.mark.parametrize("form", reference.FORMS)
@pytest.mark.parametrize("embed", [0, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_everything_comes_back(form, embed, dtype, path):
    saved = checkpoint_of(form, embed=embed, dtype=dtype, dropout=0.1)
    checkpoints.save(path, saved)
    loaded = checkpoints.load(path)
    for name in ("config", "vocabulary", "data", "train", "progress", "version"):
        assert getattr(loaded, name) == getattr(saved, name), name
    assert (loaded.corpus_sha256, loaded.heldout_sha256) == ("ab" * 32, "cd" * 32)
    assert loaded.path == path
    assert loaded.step == 12
    assert loaded.parameters == saved.weights.size
    for mine, theirs in (
        ({"weights": saved.weights}, {"weights": loaded.weights}),
        (saved.moments, loaded.moments),
        (saved.states, loaded.states),
    ):
        assert mine.keys() == theirs.keys()
        for name, array in mine.items():
            assert theirs[name].dtype == dtype
            np.testing.assert_array_equal(theirs[name], array)
    again = path.with_name("again")
    checkpoints.save(again, loaded)
    assert again.read_bytes() == path.read_bytes()


def test_a_damaged_checkpoint_names_another_one_of_its_run(path):
    best = path.with_name("best.safetensors")
    for file in (path, best):
        checkpoints.save(file, checkpoint_of("gru-after"))
    best.write_bytes(best.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="damaged") as problem:
        checkpoints.load(best)
    assert str(path) in problem.value.remedy
    path.unlink()
    with pytest.raises(CheckpointError) as problem:
        checkpoints.load(best)
    assert not problem.value.remedy


def test_a_loaded_model_computes_the_same_and_can_be_trained(path, rng):
    saved = checkpoint_of("gru-after", embed=2, dtype="float64")
    checkpoints.save(path, saved)
    ids = rng.integers(0, 4, (6, 2))
    outputs = []
    for checkpoint in (saved, checkpoints.load(path)):
        model = checkpoint.model()
        outputs.append(model.surprisal(model.window(6, 2), ids, ids).copy())
        model.weights.flat[...] += 1.0  # not the file's own bytes
    np.testing.assert_array_equal(*outputs)


@pytest.mark.parametrize(
    "vocabulary",
    [
        Vocabulary("byte", (0, 10, 255)),
        Vocabulary("byte", (7, 256), unknown=1),
        Vocabulary("word", (" ", "das", "straße")),
        Vocabulary("char", ("a", "\ufffd"), unknown=1),
    ],
)
def test_every_kind_of_vocabulary_comes_back(vocabulary, path):
    checkpoints.save(path, checkpoint_of(vocabulary=vocabulary))
    assert checkpoints.load(path).vocabulary == vocabulary


def test_a_model_without_training_comes_back(path):
    model = LanguageModel.fresh(ModelConfig(cell="rnn", hidden=2), 4, seed=0)
    checkpoints.save(path, Checkpoint(model.config, CHARS, model.weights.flat))
    loaded = checkpoints.load(path)
    assert loaded.data is loaded.train is None
    assert loaded.moments == loaded.states == {}


@pytest.mark.parametrize("form", ["lstm", "rnn-tanh"])
def test_a_second_bias_in_the_file_is_added_to_the_first(form, path, rng):
    checkpoint = checkpoint_of(form, dtype="float64")
    checkpoints.save(path, checkpoint)
    tensors, facts = parts(path)
    second = rng.standard_normal(tensors["rnn.bias_hh_l1"].shape)
    assert not tensors["rnn.bias_hh_l1"].any()
    container.write(path, tensors | {"rnn.bias_hh_l1": second}, facts)
    folded, plain = checkpoints.load(path).model().weights, checkpoint.model().weights
    np.testing.assert_array_equal(folded["rnn.bias_ih_l1"], plain["rnn.bias_ih_l1"] + second)
    np.testing.assert_array_equal(folded["rnn.bias_ih_l0"], plain["rnn.bias_ih_l0"])
    del tensors["rnn.bias_hh_l0"]
    container.write(path, tensors, facts)
    np.testing.assert_array_equal(checkpoints.load(path).weights, checkpoint.weights)
    container.write(path, tensors | {"rnn.bias_hh_l1": second[1:]}, facts)
    refused(path, "bias_hh_l1 does not fit")


def refused(path, match):
    with pytest.raises(CheckpointError, match=match) as caught:
        checkpoints.load(path)
    message = str(caught.value)
    assert str(path) in message
    assert message.isprintable()


@pytest.mark.parametrize("stride", [pytest.param(1, marks=pytest.mark.slow), 17])
def test_every_flipped_byte_of_a_small_file_is_found(stride, path):
    small = checkpoint_of("rnn-tanh", hidden=1, layers=1)
    checkpoints.save(path, replace(small, moments={}, states={}))
    whole = path.read_bytes()
    assert checkpoints.load(path).step == 12
    for at in range(0, len(whole), stride):
        for data in (whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :], whole[:at]):
            path.write_bytes(data)
            with pytest.raises(CheckpointError):
                checkpoints.load(path)


@pytest.mark.parametrize(
    ("fact", "value", "match"),
    [
        ("format", 2, "format version 2, but this charrnn reads 1"),
        ("format", "\x1b[31m", "format version"),
        ("head", "classifier", "its head is not that of the task lm"),
        ("labels", ["a", "b"], "it has 2 labels, which does not fit its task"),
        ("labels", "ab", "its labels are not a list of names"),
        ("head", "\x1b[31m", "unknown head kind"),
        ("vocabulary", {"level": "char", "symbols": ["a", "b"], "unknown": None}, "does not fit"),
        ("corpus_sha256", "\x1b[31m", "its corpus_sha256 is not a short printable string"),
    ],
)
def test_what_does_not_fit_is_named(fact, value, match, path):
    checkpoints.save(path, checkpoint_of())
    tensors, facts = parts(path)
    container.write(path, tensors, facts | {fact: value})
    refused(path, match)


@pytest.mark.parametrize(
    ("name", "size"), [("layers", 10**9), ("hidden", 10**7), ("embed", 10**12)]
)
def test_a_claim_of_size_allocates_nothing(name, size, path):
    checkpoints.save(path, checkpoint_of())
    tensors, facts = parts(path)
    facts["model"][name] = size
    container.write(path, tensors, facts)
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError):
            checkpoints.load(path)
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()


def test_tensors_that_do_not_fit_are_refused(path):
    checkpoints.save(path, checkpoint_of())
    tensors, facts = parts(path)
    weight, moment = tensors["decoder.weight"], tensors["optimizer.m"]
    without = {name: array for name, array in tensors.items() if name != "rnn.weight_hh_l1"}
    for broken, match in (
        (without, r"rnn\.weight_hh_l1 is missing"),
        (tensors | {"decoder.weight": weight.T}, r"decoder\.weight is missing or does not fit"),
        (tensors | {"decoder.weight": weight.astype(np.float64)}, r"decoder\.weight"),
        (tensors | {"rnn.weight_ih_l2": weight}, "unexpected tensor"),
        (tensors | {"\x1b[31m": weight}, "unexpected tensor"),
        (tensors | {"optimizer.m": moment[1:]}, "unexpected tensor"),
        (tensors | {"state.h_l0": tensors["state.h_l0"][1:]}, "unexpected tensor"),
    ):
        container.write(path, broken, facts)
        refused(path, match)


def leaves(value, where=()):
    """Yield the path of everything inside a JSON value, containers included."""
    if where:
        yield where
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in inner:
        yield from leaves(item, (*where, key))


JUNK = (
    None,
    True,
    -1,
    0,
    1e400,
    float("nan"),
    0.5,
    2**70,
    "",
    "junk",
    "\x1b[31m",
    [],
    [1],
    {},
    {"a": 1},
)


@pytest.mark.slow
def test_no_fact_however_wrong_causes_another_error(path):
    """Every fact replaced by every kind of junk, or left out: refused, or it still fits."""
    small = checkpoint_of("gru-before", hidden=1, layers=1)
    checkpoints.save(path, replace(small, states={}, moments={}))
    tensors, facts = parts(path)
    surprises, refusals = [], 0
    for where in leaves(facts):
        for junk in (*JUNK, "left out"):
            changed = copy.deepcopy(facts)
            parent = changed
            for key in where[:-1]:
                parent = parent[key]
            if junk == "left out":
                del parent[where[-1]]
            else:
                parent[where[-1]] = junk
            container.write(path, tensors, changed)
            try:
                checkpoints.load(path)
            except CheckpointError as problem:
                refusals += 1
                if not str(problem).isprintable():
                    surprises.append((where, junk, str(problem)))
            except Exception as problem:
                surprises.append((where, junk, repr(problem)))
    assert not surprises, surprises[:20]
    assert refusals > 300


def test_a_failing_save_leaves_a_loadable_checkpoint(path, monkeypatch):
    saved = checkpoint_of()
    checkpoints.save(path, saved)

    def fail(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", fail)
        with pytest.raises(CharRNNError, match="No space left"):
            checkpoints.save(path, replace(saved, progress=Progress(step=13)))
    assert checkpoints.load(path).step == 12
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        (["a"], "it has 1 labels"),
        (["a", "a", "b"], "its labels are not different"),
        (["a", "b\x1b[2J", "c"], "its labels are not a list of names"),
        (["a", "", "c"], "its labels are not a list of names"),
        (["a", 3, "c"], "its labels are not a list of names"),
        (["a", "b"], "decoder.weight is missing or does not fit"),
        (["a", "b", "c", "d" * 201], "its labels are not a list of names"),
        ([str(n) for n in range(MAX_LABELS)], "decoder.weight is missing or does not fit"),
        ([str(n) for n in range(MAX_LABELS + 1)], "its labels are not different, or too many"),
    ],
)
def test_labels_that_do_not_fit_are_named(labels, match, path):
    config = ModelConfig(task="classify", hidden=4)
    weights = Classifier.fresh(config, 3, 1, outputs=3).weights.flat
    whole = Checkpoint(config, Vocabulary("char", ("a", "b", "c")), weights, labels=("x", "y", "z"))
    checkpoints.save(path, whole)
    assert checkpoints.load(path).labels == ("x", "y", "z")
    tensors, facts = parts(path)
    container.write(path, tensors, facts | {"labels": labels})
    refused(path, match)


@pytest.mark.parametrize(
    ("task", "label", "fits"),
    [
        ("classify", "d", True),
        ("classify", "d" * 200, True),
        ("classify", "d" * 201, False),
        ("classify", "\n", False),
        ("tag", "d" * 200, True),
        ("tag", "d" * 201, False),
        ("tag", "\n", True),
        ("tag", "d\n", False),
        ("tag", "", False),
    ],
)
def test_a_label_is_a_name_or_of_a_tagger_any_character(task, label, fits, path):
    config = ModelConfig(task=task, hidden=4)
    model = {"classify": Classifier, "tag": Tagger}[task].fresh(config, 3, 1, outputs=2)
    vocabulary = Vocabulary("char", ("a", "b", "\N{REPLACEMENT CHARACTER}"), 2)
    whole = Checkpoint(config, vocabulary, model.weights.flat, labels=("x", "y"))
    checkpoints.save(path, whole)
    tensors, facts = parts(path)
    container.write(path, tensors, facts | {"labels": ["x", label]})
    if fits:
        assert checkpoints.load(path).labels == ("x", label)
    else:
        refused(path, "its labels are not a list of names")
