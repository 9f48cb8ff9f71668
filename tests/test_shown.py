"""What a model tells of its training, in Python and in a notebook."""

import copy
import json
import pickle
import re
from html.parser import HTMLParser

import pytest
from helpers.commands import inside

import charrnn

SMALL = {"hidden": 6, "batch": 2, "seq_len": 8, "steps": 30, "log_every": 5, "eval_every": 10}
PAIRS = [("the cat sat", "cat"), ("a dog ate it", "dog")] * 20


class Balanced(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def fitted():
    told = []
    model = charrnn.fit("hello there " * 60, **SMALL, report=told.append)
    return model, told


def test_the_history_is_what_was_reported(fitted):
    model, told = fitted
    assert model.history == [record.to_json() for record in told]
    assert {"step", "eval"} <= {row["event"] for row in model.history}
    assert json.dumps(model.history)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.history == model.history
    model.history.clear()
    assert model.history


def test_a_notebook_shows_numbers_and_curves(fitted):
    model, _ = fitted
    text = model._repr_html_()
    parts = Balanced(text).seen
    assert (parts.count("polyline"), parts.count("svg")) == (2, 1)
    best = min(row["val_loss"] for row in model.history if row["event"] == "eval")
    assert f"{best:.4f} at step" in text
    assert "lstm 1×6" in text
    heights = [float(y) for y in re.findall(r"[\d.]+,([\d.]+)", text.partition("polyline")[2])]
    assert all(0 <= y <= 170 for y in heights)


def test_models_of_examples_have_one_too():
    options = {name: value for name, value in SMALL.items() if name != "seq_len"}
    model = charrnn.fit(PAIRS, task="classify", **options)
    assert any("accuracy" in row for row in model.history)
    assert "<b>Classifier</b>" in model._repr_html_()


def test_a_loaded_run_has_its_metrics(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.txt").write_text("hello there " * 60)
    options = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    assert inside("train", "t.txt", "--name", "r", *options, "--quiet").returncode == 0
    lines = (tmp_path / "checkpoints/r/metrics.jsonl").read_text().splitlines()
    model = charrnn.load("r")
    assert model.history == [json.loads(line) for line in lines]
    assert "polyline" in model._repr_html_()
    model.save("alone.safetensors")
    alone = charrnn.load("alone.safetensors")
    assert alone.history == []
    assert Balanced(alone._repr_html_()).seen.count("svg") == 0
