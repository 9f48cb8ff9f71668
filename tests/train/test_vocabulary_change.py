"""Fine-tuning on a text with other symbols: what is shared is kept, what is new is fresh."""

import numpy as np
import pytest
from helpers import reference

from charrnn.backend import numpy_backend
from charrnn.config import ModelConfig
from charrnn.errors import UsageError
from charrnn.model.language import LanguageModel
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs
from charrnn.storage.checkpoint import Checkpoint
from charrnn.text import Vocabulary
from charrnn.train.opening.request import Request
from charrnn.train.opening.sessions import open_session
from charrnn.train.vocabulary_change import transfer

OLD = Vocabulary("char", tuple("bdfhjl"))
NEW = Vocabulary("char", tuple("abdeflmz"))
SHARED = "bdfl"
forms = pytest.mark.parametrize("form", reference.FORMS)


def pair(form, new=NEW, old=OLD, **options):
    """Return a model, the model made from it for another vocabulary, and what changed."""
    config = ModelConfig(hidden=5, layers=2, dtype="float64", **options, **reference.FORMS[form])
    first = LanguageModel.fresh(config, len(old), seed=1)
    first.weights.flat[...] += 0.2 * np.random.default_rng(0).standard_normal(
        first.weights.flat.size
    )
    flat, change = transfer(Checkpoint(config, old, first.weights.flat), config, new, seed=9)
    return first, LanguageModel(config, len(new), None, flat), change


@forms
@pytest.mark.parametrize("embed", [0, 3])
def test_predictions_of_shared_symbols_are_unchanged_but_for_the_new_ones(form, embed):
    first, second, _ = pair(form, embed=embed)
    text = [SHARED[i] for i in np.random.default_rng(3).integers(0, 4, 12)]
    logits = []
    for model, vocabulary in ((first, OLD), (second, NEW)):
        ids = np.array([[vocabulary.symbols.index(char)] for char in text])
        top = model.forward(model.window(12, 1, backward=False), ids)
        rows = [vocabulary.symbols.index(char) for char in SHARED]
        logits.append(model.head.logits(model.weights, top)[:, rows, 0])
    np.testing.assert_allclose(*logits, rtol=1e-12)


@forms
def test_new_symbols_are_as_in_a_fresh_model(form):
    _, second, _ = pair(form)
    fresh = LanguageModel.fresh(second.config, len(NEW), seed=9)
    rows = [i for i, symbol in enumerate(NEW.symbols) if symbol not in OLD.symbols]
    first_input = f"rnn.{second.stack.name('weight_ih', 0)}"
    np.testing.assert_array_equal(
        second.weights[first_input][:, rows], fresh.weights[first_input][:, rows]
    )
    for name in ("decoder.weight", "decoder.bias"):
        np.testing.assert_array_equal(second.weights[name][rows], fresh.weights[name][rows])


@forms
@pytest.mark.parametrize("embed", [0, 3])
def test_the_same_vocabulary_keeps_every_weight(form, embed):
    first, second, change = pair(form, new=OLD, embed=embed)
    np.testing.assert_array_equal(first.weights.flat, second.weights.flat)
    assert (change.added, change.dropped, change.shared) == ((), (), 6)
    assert "added" not in str(change)


def test_what_changed_is_told():
    _, _, change = pair("lstm")
    assert change.added == tuple("aemz")
    assert change.dropped == tuple("hj")
    assert change.shared == 4
    assert (
        str(change) == "4 symbols keep their weights; 4 added: 'a' 'e' 'm' 'z'; 2 dropped: 'h' 'j'"
    )
    many = Vocabulary("char", tuple(sorted({chr(c) for c in range(40)})))
    _, _, change = pair("lstm", new=many)
    assert str(change).isprintable()
    assert str(change).count("'\\x") <= 12


def test_nothing_in_common_is_a_fresh_model_between_kept_layers():
    first, second, change = pair("gru-after", new=Vocabulary("char", ("x", "y")))
    assert change.shared == 0
    np.testing.assert_array_equal(
        first.weights["rnn.weight_hh_l1"], second.weights["rnn.weight_hh_l1"]
    )
    assert np.isfinite(second.weights.flat).all()
    assert second.weights.flat.any()


def test_symbols_of_another_level_are_refused():
    with pytest.raises(UsageError, match=r"reads chars, not bytes; give level char"):
        pair("lstm", new=Vocabulary("byte", (1, 2)))


def test_integer_symbols_keep_their_weights_too():
    old, new = Vocabulary("byte", (1, 5, 9)), Vocabulary("byte", (5, 9, 200))
    first, second, change = pair("rnn-tanh", new=new, old=old)
    assert change.added == (200,)
    np.testing.assert_array_equal(
        second.weights["decoder.bias"][:2], first.weights["decoder.bias"][1:]
    )


@pytest.fixture
def trained(home):
    (home / "one.txt").write_text("abcd dcba " * 60)
    (home / "two.txt").write_text("bcde edcb " * 60)
    train = {"steps": 120, "batch": 4, "seq_len": 6, "lr": 0.03}
    request = Request(("one.txt",), {"hidden": 8}, train=train, name="one")
    session = open_session(request, numpy_backend())
    list(session.records())
    return session


def fine_tune(text="two.txt", **options):
    train = {"steps": 5, "batch": 4, "seq_len": 6} | options.pop("train", {})
    request = Request((text,), train=train, init_from="one", **options)
    return open_session(request, numpy_backend())


def test_a_run_begins_from_the_best_weights_of_another(trained):
    session = fine_tune()
    assert len(session.notes) == 1
    note = session.notes[0]
    assert "one" in note
    assert "1 added: 'e'; 1 dropped: 'a'" in note
    best = checkpoints.load(runs.HOME / "one" / runs.BEST).model().weights
    np.testing.assert_array_equal(
        session.model.weights["rnn.weight_hh_l0"], best["rnn.weight_hh_l0"]
    )
    records = list(session.records())
    assert records[0].step == 0
    assert records[-1].step == 5
    assert session.folder.name == "two"
    assert checkpoints.load(runs.HOME / "one" / runs.LAST).step == 120  # untouched


def test_fine_tuning_begins_better_than_from_scratch(trained, home):
    (home / "near.txt").write_text("abcd dcba " * 40 + "e")
    train = {"steps": 1, "batch": 4, "seq_len": 6, "log_every": 1}
    request = Request(("near.txt",), {"hidden": 8}, train=train)
    losses = []
    for session in (fine_tune("near.txt", train=train), open_session(request, numpy_backend())):
        assert len(session.corpus.vocabulary) == 6
        losses += [r.loss for r in session.records() if r.event == "step"]
    assert losses[0] < losses[1] - 0.5


def test_the_architecture_is_inherited_and_only_the_dropout_may_differ(trained):
    assert fine_tune(model={"dropout": 0.3}).model.config == ModelConfig(hidden=8, dropout=0.3)
    with pytest.raises(UsageError, match="hidden 9 conflicts with the checkpoint"):
        fine_tune(model={"hidden": 9})


def test_a_fine_tuned_run_is_resumed_without_the_first(trained, home):
    whole = fine_tune(name="whole")
    list(whole.records())
    stop = []
    request = Request(
        ("two.txt",), train={"steps": 5, "batch": 4, "seq_len": 6}, init_from="one", name="parts"
    )
    session = open_session(request, numpy_backend(), lambda: len(stop) > 0)
    iterator = session.records()
    next(iterator)
    session.loop.step()
    stop.append(1)
    list(iterator)
    resumed = open_session(Request(resume="parts"), numpy_backend())
    list(resumed.records())
    np.testing.assert_array_equal(resumed.model.weights.flat, whole.model.weights.flat)
