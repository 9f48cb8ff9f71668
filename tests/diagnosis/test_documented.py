"""The documentation lists every verdict and every key of the JSON of a diagnosis."""

import re
from pathlib import Path

import pytest

from charrnn.config import ModelConfig, TrainConfig
from charrnn.diagnosis import verdicts
from charrnn.diagnosis.compare import Contestant, to_json
from charrnn.diagnosis.examine import examine
from charrnn.diagnosis.history import History
from charrnn.diagnosis.settings import Settings
from charrnn.diagnosis.subjects import Subject
from charrnn.model.language import LanguageModel
from charrnn.text import corpus_from_text

PAGE = Path(__file__).parents[2].joinpath("docs/howto/diagnose.md").read_text("utf-8")
NAMES = {"parameters", "layers", "model", "settings", "cells"}
"""Keys of objects whose own keys are names."""


@pytest.fixture(scope="module")
def report():
    corpus = corpus_from_text("a river sings of stone\n" * 200)
    model = LanguageModel.fresh(ModelConfig(hidden=6), len(corpus.vocabulary), 0)
    plan = TrainConfig(batch=2, seq_len=8)
    settings = Settings(
        windows=2, max_lag=8, anchors=4, targets=4, lyapunov_steps=20, gradcheck=True
    )
    return examine(Subject(model, corpus.val, plan), settings)


def keys(value):
    """Yield every key of a JSON value, but those that are names."""
    if isinstance(value, list):
        for each in value:
            yield from keys(each)
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            named = key in NAMES and isinstance(each, dict)
            yield from keys(list(each.values()) if named else each)


def documented(key):
    of_h = re.sub("^c_(q25|median|q75)$", r"h_\1", key)
    return {f"`{key}`", f"`{of_h}`", f"`{key.removeprefix('c_')}`"} & set(
        re.findall(r"`[^`\n]+`", PAGE)
    )


def test_every_key_of_the_json(report):
    contestant = Contestant("lstm", report, steps=1, seconds=0.1)
    values = [report.to_json(), to_json([contestant], "text"), History("run").to_json()]
    missing = {key for value in values for key in keys(value) if not documented(key)}
    assert missing == set()


@pytest.mark.parametrize("text", [PAGE, verdicts.__doc__], ids=["page", "docstring"])
def test_every_verdict_with_its_bounds(text):
    table = " ".join(text.split())
    assert [code for code in verdicts.CODES if code not in table] == []
    bounds = {
        verdicts.gradients.DECAY: "1/10,000",
        verdicts.training.RATIO_RULE: "1/1000",
        verdicts.training.RATIO_LOW: "1/100,000",
        verdicts.training.LEARNED: "0.05 nats",
        verdicts.context.BEYOND_WINDOW: "0.02 nats",
        verdicts.context.CUT_GRADIENT: "1/2 ≤ G",
        verdicts.context.WORSE_THAN_FREQUENCIES: "1.1 times",
        verdicts.training.CLIP_IDLE: "100 times",
    }
    for bound, words in bounds.items():
        number = re.search(r"[\d.,/]+", words)[0].replace(",", "")
        first, _, second = number.partition("/")
        assert float(first) / float(second or 1) == pytest.approx(bound)
        assert words in table
