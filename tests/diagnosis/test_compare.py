"""Cells trained alike and examined alike."""

import pytest

from charrnn.backend import numpy_backend
from charrnn.config import TrainConfig
from charrnn.diagnosis.compare import HIDDEN, architectures, to_json, train_and_examine
from charrnn.diagnosis.settings import Settings
from charrnn.errors import CharRNNError, UsageError
from charrnn.text import corpus_from_text

QUICK = Settings(windows=2, anchors=16, targets=16, lyapunov_steps=40, max_lag=8)
CORPUS = corpus_from_text("hello, moon. " * 80, val_frac=0.2)


def compared(names, options, **training):
    plan = TrainConfig(batch=4, seq_len=8, steps=6, **training)
    return [
        train_and_examine(cell, config, CORPUS, plan, numpy_backend(), QUICK)
        for cell, config in architectures(names, options).items()
    ]


def test_each_cell_takes_its_own_options():
    configs = architectures(["vanilla", " gru"], {"activation": "relu", "gru_reset": "before"})
    assert list(configs) == ["rnn", "gru"]
    assert (configs["rnn"].get("activation"), configs["gru"].get("gru_reset")) == ("relu", "before")
    assert {config.hidden for config in configs.values()} == {HIDDEN}
    with pytest.raises(UsageError, match="rnn is named twice"):
        architectures(["rnn", "vanilla"], {})


def test_cells_are_trained_for_the_same_steps_and_examined_at_the_same_places():
    rnn, gru = compared(["rnn", "gru"], {"hidden": 6})
    assert rnn.steps == gru.steps == rnn.report.subject.step == 6
    assert rnn.report.lag.anchors.tolist() == gru.report.lag.anchors.tolist()
    record = to_json([rnn, gru], "a text")
    assert [one["cell"] for one in record["horizons"]] == ["rnn", "gru"]
    assert record["cells"]["gru"]["step"] == record["steps"] == 6


def test_a_cell_that_diverges_is_named_with_a_remedy_that_exists():
    with pytest.raises(CharRNNError, match=r"^lstm: training diverged at step \d+: ") as told:
        compared(["lstm"], {"hidden": 6}, lr=1e9)
    assert str(told.value).endswith("; lower lr or clip_norm")
