"""What a model tells of its training, in Python and in a notebook."""

import copy
import json
import pickle
import re
import sys
from html.parser import HTMLParser
from types import ModuleType, SimpleNamespace

import pytest
from helpers.commands import inside

import charrnn
from charrnn.config import ModelConfig

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
    shown = model._repr_html_()
    assert "<b>Classifier</b>" in shown
    assert "polyline" in shown


def test_a_single_point_is_not_drawn():
    model = charrnn.fit("hello there " * 60, **SMALL | {"log_every": 30, "eval_every": 30})
    text = model._repr_html_()
    assert "training loss" in text
    assert "<svg" not in text


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


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_a_notebook_shows_a_diagnosis(cell):
    config = ModelConfig(cell=cell, layers=2, hidden=8)
    little = {"windows": 2, "anchors": 4, "targets": 4, "lyapunov_steps": 20, "exponents": 2}
    report = charrnn.diagnose(config, "hello <there> " * 60, max_lag=32, seq_len=8, **little)
    text = report._repr_html_()
    rows = Balanced(text).seen.count("tr")
    states = [(i, name) for i, layer in enumerate(report.lag.layers) for name in layer.curves]
    findings = len(report.verdicts) + 1 if report.verdicts else 0
    assert rows == findings + 1 + len(states)
    for layer, name in states:
        figures = report.lag.layers[layer].curves[name]
        assert f">{layer} {name}</td>" in text
        assert f">{figures.half_life:.3g}</td>" in text
        assert f">{figures.at(8):.3g}</td>" in text
    assert all(f">{verdict.code}</td>" in text for verdict in report.verdicts)
    assert "untrained" in text
    assert ("No problems found" in text) is (not report.verdicts)


def test_a_diagnosis_of_broken_weights_is_shown(fitted):
    model = copy.deepcopy(fitted[0])
    model.network.weights.flat[:] = float("nan")
    text = charrnn.diagnose(model, "hello there " * 60)._repr_html_()
    assert Balanced(text).seen.count("table") == 1
    assert ">broken</td>" in text


@pytest.fixture
def notebook(monkeypatch):
    """What a notebook is given to show: each change of its display."""
    changes = []

    def display(thing, display_id):
        assert display_id
        changes.append((repr(thing), thing._repr_html_()))
        return SimpleNamespace(update=lambda it: changes.append((repr(it), it._repr_html_())))

    ipython = ModuleType("IPython")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())
    ipython.display = ModuleType("IPython.display")
    ipython.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    return changes


@pytest.mark.parametrize("limit", [{"steps": 30}, {"epochs": 0.5, "steps": None}, {"minutes": 1}])
def test_a_notebook_shows_how_far_training_has_come(notebook, monkeypatch, limit):
    monkeypatch.setattr("charrnn.api.notebook.INTERVAL", 0)
    model = charrnn.fit("hello there " * 60, **SMALL | limit)
    lines, pages = zip(*notebook, strict=True)
    assert lines[0] == "training begins"
    assert lines[1].startswith("step 5, ")
    shares = [float(re.search(r'value="([\d.]+)"', page)[1]) for page in pages]
    assert shares == sorted(shares)
    assert 0 == shares[0] < shares[1] < shares[-1] == 1
    evaluations = [row for row in model.history if row["event"] == "eval"]
    steps = [row for row in model.history if row["event"] == "step"]
    assert lines[-1].endswith(
        f"training loss {steps[-1]['smoothed']:.4f}, best validation loss "
        f"{min(row['val_loss'] for row in evaluations):.4f}"
    )
    assert "polyline" in pages[-2]
    for page in pages:
        Balanced(page)


def test_a_notebook_changes_seldom_and_shows_the_end(notebook, monkeypatch):
    monkeypatch.setattr("charrnn.api.notebook.INTERVAL", 1e9)
    charrnn.fit("hello there " * 60, **SMALL)
    assert [line.partition(",")[0] for line, _ in notebook] == [
        "training begins",
        "step 5",
        "30 steps",
    ]


def test_nothing_is_shown_elsewhere(notebook, monkeypatch):
    charrnn.fit("hello there " * 60, **SMALL, report=lambda record: None)
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: SimpleNamespace())
    charrnn.fit("hello there " * 60, **SMALL)
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: None)
    charrnn.fit("hello there " * 60, **SMALL)
    assert notebook == []


@pytest.mark.slow
def test_a_real_notebook_shows_all_of_it():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    cells = [
        "import charrnn; text = 'hello there ' * 60",
        f"model = charrnn.fit(text, **{SMALL})",
        "model",
        "charrnn.diagnose(model, text, max_lag=16)",
    ]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(book, timeout=100).execute()
    shown = [[out.data["text/html"] for out in cell.outputs] for cell in book.cells]
    assert list(map(len, shown)) == [0, 1, 1, 1]
    assert "30 steps" in shown[1][0]
    assert "<b>Model</b>" in shown[2][0]
    assert "How far back gradients reach" in shown[3][0]
