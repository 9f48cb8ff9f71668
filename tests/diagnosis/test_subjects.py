"""The subject of a diagnosis, and the extent of its measurements."""

import numpy as np
import pytest

from charrnn.backend import numpy_backend
from charrnn.config import ModelConfig, TrainConfig
from charrnn.diagnosis import subjects
from charrnn.diagnosis.settings import ASSUMABLE, Settings
from charrnn.errors import CharRNNError, CorpusError, UsageError, VocabularyError
from charrnn.model.language import LanguageModel
from charrnn.storage.checkpoint import Checkpoint
from charrnn.storage.progress import Progress
from charrnn.text import corpus_from_text

CORPUS = corpus_from_text("abcab" * 30)
IDS = np.asarray(CORPUS.train)


@pytest.fixture
def loaded(tmp_path):
    """Return a checkpoint as if read from a run that was trained with RMSprop at a rate of 0.5."""
    config = ModelConfig(hidden=3)
    model = LanguageModel.fresh(config, len(CORPUS.vocabulary), 0)
    return Checkpoint(
        config,
        CORPUS.vocabulary,
        model.weights.flat,
        train=TrainConfig(optimizer="rmsprop", lr=0.5),
        progress=Progress(step=7),
        moments={"v": np.ones(model.weights.flat.size, np.float32)},
        path=tmp_path / "best.safetensors",
    )


def test_a_checkpoint_brings_its_training_with_it(loaded):
    subject = subjects.of_checkpoint(loaded, numpy_backend(), IDS, "a text")
    assert (subject.train.optimizer, subject.train.lr, subject.step) == ("rmsprop", 0.5, 7)
    assert (subject.judged, subject.fresh, list(subject.moments)) == (True, False, ["v"])
    assert (subject.name, subject.text) == (str(loaded.path), "a text")


def test_moments_are_those_of_the_optimizer_that_is_assumed(loaded):
    other = subjects.of_checkpoint(loaded, numpy_backend(), IDS, assumed={"optimizer": "adam"})
    assert other.moments == {}
    same = subjects.of_checkpoint(loaded, numpy_backend(), IDS, assumed={"lr": 0.1})
    assert (same.train.lr, list(same.moments)) == (0.1, ["v"])
    with pytest.raises(UsageError, match="lr"):
        subjects.of_checkpoint(loaded, numpy_backend(), IDS, assumed={"lr": 0.0})


def test_a_model_saved_outside_training_is_judged_by_what_is_assumed(loaded):
    loaded.train = None
    assert not subjects.of_checkpoint(loaded, numpy_backend(), IDS).judged
    assert subjects.of_checkpoint(loaded, numpy_backend(), IDS, assumed={"lr": 0.1}).judged
    assert not subjects.of_checkpoint(loaded, numpy_backend(), IDS, assumed={"batch": 2}).judged


def test_only_a_broken_checkpoint_needs_no_text(loaded):
    with pytest.raises(CharRNNError, match="val"):
        subjects.of_checkpoint(loaded, numpy_backend())
    loaded.weights[3] = np.nan
    subject = subjects.of_checkpoint(loaded, numpy_backend())
    assert subject.text == "no text"
    assert len(subject.ids) == 4


def test_a_long_text_is_read_up_to_a_limit(tmp_path, monkeypatch):
    path = tmp_path / "text.txt"
    path.write_text("abc" * 50)
    ids, notes = subjects.read_text([str(path)], CORPUS.vocabulary)
    assert (len(ids), notes) == (150, [])
    monkeypatch.setattr(subjects, "MAX_SYMBOLS", 20)
    ids, (note,) = subjects.read_text([str(path)], CORPUS.vocabulary)
    assert len(ids) == 20
    assert "its first 20 symbols" in note


def test_symbols_outside_the_vocabulary_are_an_error_or_skipped(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("xyz")
    with pytest.raises(VocabularyError):
        subjects.read_text([str(path)], CORPUS.vocabulary)
    with pytest.raises(CorpusError, match="no symbol"):
        subjects.read_text([str(path)], CORPUS.vocabulary, "skip")
    path.write_text("axbcy")
    ids, notes = subjects.read_text([str(path)], CORPUS.vocabulary, "skip")
    assert len(ids) == 3
    assert notes == ["2 symbols that the model does not know were skipped"]


def test_a_context_bounds_the_lags():
    assert Settings().max_lag is None
    assert Settings(context=9).max_lag == 8
    assert Settings(context=500).max_lag == 64
    assert Settings(context=9, max_lag=3).max_lag == 3
    with pytest.raises(UsageError, match="context must be at least 10, not 9"):
        Settings(context=9, max_lag=9)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("windows", 0),
        ("max_lag", 0),
        ("context", 1),
        ("anchors", 1),
        ("targets", 1),
        ("lyapunov_steps", 9),
        ("exponents", 0),
    ],
)
def test_what_is_measured_is_enough(name, value):
    with pytest.raises(UsageError, match=f"^{name} must be at least {value + 1}, not {value}"):
        Settings(**{name: value})


def test_what_can_be_assumed_is_a_training_setting():
    for name in ASSUMABLE:
        assert hasattr(TrainConfig(), name)
