"""Cells, optimizers and schedules from outside the package: chosen, trained, kept and refused."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import charrnn as apart
from helpers.commands import inside, known_options

import charrnn
from charrnn import plugins
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import CheckpointError, PluginError, UsageError
from charrnn.registry import REGISTRIES
from charrnn.storage import checkpoint as checkpoints

TESTS = Path(__file__).parent
KINDS = {
    "cell": (TESTS / "doubles/peephole.py", ("--cell", "peephole")),
    "optimizer": (TESTS / "plugins/lion.py", ("--optimizer", "lion", "--beta", "0.8")),
    "schedule": (
        TESTS / "plugins/inverse_sqrt.py",
        ("--schedule", "inverse-sqrt", "--timescale", "5"),
    ),
}
SMALL = ("--hidden", "5", "--batch", "3", "--seq-len", "8", "--lr", "0.01", "--horizon", "12")
LITTLE = ("--windows", "2", "--max-lag", "4", "--anchors", "4", "--targets", "4")
LITTLE += ("--lyapunov-steps", "20", "--backend", "numpy")


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """Plug-ins loaded by a test are unknown to the next one, and to the check of messages."""
    known_options()  # kept from now on; with a plug-in that is refused they cannot be listed
    monkeypatch.setattr(plugins, "_loaded", {})
    for registry in REGISTRIES:
        monkeypatch.setattr(registry, "_added", {})


def good(*arguments):
    done = inside(*arguments)
    assert done.returncode == 0, done.stderr
    return done


def refused(*arguments, code):
    """Return the one line that a command ends with."""
    done = inside(*arguments)
    assert done.returncode == code
    (line,) = done.stderr.splitlines()
    return line


def train(name, file, options, *more):
    arguments = ("hello", *SMALL, *options, "--name", name, "-q", "--backend", "numpy", *more)
    return good("train", *arguments, "--plugin", file)


@pytest.mark.parametrize("kind", KINDS)
class TestFromTheCommandLine:
    def test_a_run_is_resumed_exactly(self, kind, home):
        file, options = KINDS[kind]
        train("once", file, options, "--steps", "12")
        train("twice", file, options, "--steps", "5")
        good("train", "--plugin", file, "--resume", "twice", "--steps", "12", "-q")
        once, twice = (checkpoints.load(home / f"checkpoints/{n}/last.safetensors") for n in (
            "once", "twice"
        ))  # fmt: skip
        np.testing.assert_array_equal(once.weights, twice.weights)
        assert once.moments.keys() == twice.moments.keys()
        for slot, moment in once.moments.items():
            np.testing.assert_array_equal(moment, twice.moments[slot])
        assert (once.config, once.train.changed(steps=5)) == (
            twice.config,
            twice.train.changed(steps=5),
        )

    def test_every_command_knows_it(self, kind, home):
        file, options = KINDS[kind]
        train("run", file, options, "--steps", "6")
        plugin = ("--plugin", file)
        assert len(good("sample", *plugin, "run", "--length", "9").stdout) == 9
        assert "run" in good("info", "run", *plugin).stdout
        assert "run" in good("runs", *plugin).stdout
        score = json.loads(good("eval", *plugin, "--run", "run", "--split", "val", "--json").stdout)
        assert score["nats_per_char"] > 0
        report = good("diagnose", "run", *plugin, *LITTLE, "--gradcheck", "--json")
        assert json.loads(report.stdout)["gradcheck"]["passed"] is True

    def test_a_fresh_model_is_diagnosed(self, kind, home):
        file, options = KINDS[kind]
        if kind == "schedule":
            pytest.skip("a diagnosis has no learning-rate schedule")
        small = ("--fresh", "--corpus", "hello", "--hidden", "4", *options)
        report = json.loads(good("diagnose", "--plugin", file, *small, *LITTLE, "--json").stdout)
        assert report["lag_profile"]["layers"]

    def test_help_shows_it_with_its_options(self, kind, home):
        file, (_, name, *own) = KINDS[kind]
        text = good("train", "--help", "--plugin", file).stdout
        assert name in text
        assert all(option in text for option in own[::2])


def test_a_cell_is_compared_with_built_in_ones(home):
    file, _ = KINDS["cell"]
    small = ("--corpus", "hello", "--hidden", "4", "--steps", "5", *LITTLE)
    done = good("diagnose", "--plugin", file, "--compare", "peephole,rnn", *small, "--json")
    assert set(json.loads(done.stdout)["cells"]) == {"peephole", "rnn"}


def test_a_cell_without_a_recurrent_matrix_is_diagnosed(home):
    small = ("--fresh", "--corpus", "hello", "--hidden", "4", "--cell", "min_gru")
    plugin = ("--plugin", TESTS / "doubles/min_gru.py")
    report = json.loads(good("diagnose", *plugin, *small, *LITTLE, "--gradcheck", "--json").stdout)
    assert report["recurrent"] == []
    assert report["gradcheck"]["passed"] is True
    assert "vanishing" in good("diagnose", *plugin, *small, "--html", "page.html").stdout


@pytest.mark.parametrize("place", [0, 1, 4, 8])
def test_a_plugin_may_be_named_anywhere_on_the_line(place, home):
    file, options = KINDS["optimizer"]
    line = ["train", "hello", "--steps", "2", *SMALL[:2], *options, "-q"]
    line[place:place] = [f"--plugin={file}"]
    good(*line)


def test_what_follows_another_option_is_its_value(home):
    assert "no run" in refused("sample", "--prime", "--plugin", code=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_everything_works_from_python(kind, tmp_path):
    file, options = KINDS[kind]
    (name,) = charrnn.plugin(file)
    assert charrnn.plugin(str(file)) == (name,)
    chosen = dict(zip((o[2:] for o in options[::2]), options[1::2], strict=True))
    chosen |= {key: float(chosen[key]) for key in ("beta",) if key in chosen}
    chosen |= {key: int(chosen[key]) for key in ("timescale",) if key in chosen}
    sizes = {"hidden": 6, "steps": 60, "batch": 4, "seq_len": 8, "lr": 0.01}
    model = charrnn.fit("hello" * 200, **sizes, **chosen)
    assert model.evaluate("hello" * 20).nats_per_char < np.log(4)
    model.save(tmp_path / "model.safetensors")
    again = charrnn.load(tmp_path / "model.safetensors")
    assert again.sample(length=20, seed=1) == model.sample(length=20, seed=1)
    report = charrnn.diagnose(model, "hello" * 100, windows=2, max_lag=4, anchors=4, targets=4)
    assert report.to_json()["layers"]


@pytest.mark.parametrize("kind", KINDS)
def test_without_its_plugin_a_checkpoint_says_what_is_missing(kind, home, monkeypatch):
    file, options = KINDS[kind]
    train("run", file, options, "--steps", "2")
    for registry in REGISTRIES:
        monkeypatch.setattr(registry, "_added", {})
    line = refused("sample", "run", code=1)
    assert f"the run needs the {kind} '{options[1]}', which is not installed" in line
    assert line.endswith("give the file that defines it with --plugin")


def test_a_checkpoint_never_chooses_what_is_run(home, monkeypatch):
    """Neither a file next to the run nor a module that could be imported is loaded."""
    file, options = KINDS["optimizer"]
    train("run", file, options, "--steps", "2")
    for registry in REGISTRIES:
        monkeypatch.setattr(registry, "_added", {})
    spy = "open('was-run', 'w').close()\n" + file.read_text()
    for folder in (home, home / "checkpoints/run"):
        (folder / "lion.py").write_text(spy)
    done = apart("sample", "run", cwd=home, env={"PYTHONPATH": str(home)})
    assert done.returncode == 1
    assert not list(home.rglob("was-run"))


def test_an_option_of_another_class_is_refused():
    charrnn.plugin(KINDS["optimizer"][0])
    with pytest.raises(
        UsageError, match="beta only applies to optimizer lion, not adam; leave it out"
    ):
        TrainConfig(beta=0.5)
    with pytest.raises(UsageError, match="beta must be at least 0 and below 1, not 1"):
        TrainConfig(optimizer="lion", beta=1.0)
    assert TrainConfig(optimizer="lion").get("beta") == 0.9
    assert TrainConfig(optimizer="lion", beta=0.5).changed(optimizer="adam") == TrainConfig()


def test_options_are_kept_side_by_side_in_files_and_unknown_ones_refused():
    charrnn.plugin(KINDS["optimizer"][0])
    config = TrainConfig(optimizer="lion", beta=0.5)
    assert config.to_json()["beta"] == 0.5
    assert TrainConfig.from_json(config.to_json()) == config
    with pytest.raises(CheckpointError, match="its field 'gamma' is unknown"):
        TrainConfig.from_json(config.to_json() | {"gamma": 1.0})
    with pytest.raises(CheckpointError, match=r"TrainConfig\.beta has the wrong type"):
        TrainConfig.from_json(config.to_json() | {"beta": "much"})


def test_a_file_of_an_older_version_has_the_options_of_all_built_in_classes():
    old = {"cell": "rnn", "activation": "relu", "gru_reset": "before", "forget_bias": 3.0}
    assert ModelConfig.from_json(old) == ModelConfig(cell="rnn", activation="relu")
    assert TrainConfig.from_json({"momentum": 0.5}) == TrainConfig()
    with pytest.raises(CheckpointError, match="gru_reset has the wrong type"):
        ModelConfig.from_json(old | {"gru_reset": 5})


BASE = "from charrnn.train.schedules.base import Schedule\nfrom charrnn.options import Option\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def f(:\n", "bad.py: line 1: SyntaxError"),
        ("import math\n\nmath.nothing\n", "bad.py: line 3: AttributeError"),
        ("import charrnn.nothing\n", "line 1: ModuleNotFoundError"),
        ("raise SystemExit(0)\n", "line 1: SystemExit"),
        ("x = 1\n", "defines no cell, optimizer or schedule"),
        (f"{BASE}class S(Schedule):\n    name = 'cosine'\n", "already a schedule 'cosine'"),
        (f"{BASE}class S(Schedule):\n    name = 'Big One'\n", "'Big One' has an invalid name"),
        (f"{BASE}class S(Schedule):\n    name = '2nd'\n", "begin with a letter a to z"),
        (
            f"{BASE}class S(Schedule):\n    name = 's'\n    aliases = ('step',)\n",
            "already a schedule 'step'",
        ),
        (
            f"{BASE}class S(Schedule):\n    name = 's'\n    options = {{'lr': Option(1, '')}}\n",
            "the option lr, which is taken",
        ),
        (
            f"{BASE}class S(Schedule):\n    name = 's'\n    options = {{'momentum': Option(1, '')}}"
            "\n",
            "the option momentum, which is taken",
        ),
        (
            f"{BASE}class S(Schedule):\n    name = 's'\n    options = {{'a b': Option(1, '')}}\n",
            "an invalid option 'a b'",
        ),
        (
            f"{BASE}class S(Schedule):\n    name = 's'\n    options = {{'a': 5}}\n",
            "an invalid option 'a'",
        ),
        (
            "from charrnn.cells.lstm import LSTM\nfrom charrnn.options import Option\n"
            "class C(LSTM):\n    name = 'c'\n    options = {'forget_bias': Option(1, '')}\n",
            "forget_bias, which is of type float elsewhere",
        ),
    ],
)
def test_a_bad_plugin_is_refused_in_one_line(text, says, home):
    (home / "bad.py").write_text(text)
    line = refused("train", "hello", "--plugin", "bad.py", code=1)
    assert says in line
    assert all(registry.names() == registry.builtin() for registry in REGISTRIES)


@pytest.mark.parametrize("name", ["json", "name", "quiet", "plugin", "threads"])
def test_an_option_of_the_command_itself_is_taken(name, home):
    text = f"{BASE}class S(Schedule):\n    name = 's'\n    options = {{'{name}': Option(1, '')}}\n"
    (home / "bad.py").write_text(text)
    line = refused("train", "hello", "--plugin", "bad.py", code=1)
    assert f"a plug-in declares the option --{name}, which is taken" in line


def test_a_plugin_that_does_not_exist_is_refused(home):
    assert "there is no plug-in file none.py" in refused("runs", "--plugin", "none.py", code=1)
    assert "No module named 'none_such'" in refused("runs", "--plugin", "none_such", code=1)


def test_a_module_can_be_a_plugin(home, monkeypatch):
    (home / "mine").mkdir()
    (home / "mine/__init__.py").write_text("from mine.rules import Lion\n")
    (home / "mine/rules.py").write_text(KINDS["optimizer"][0].read_text())
    monkeypatch.syspath_prepend(str(home))
    try:
        assert charrnn.plugin("mine") == ("lion",)
    finally:
        for name in ("mine", "mine.rules"):
            sys.modules.pop(name, None)


def test_two_cells_may_share_an_option(home):
    (home / "open.py").write_text(
        "from charrnn.cells.lstm import LSTM\nclass Open(LSTM):\n    name = 'open'\n"
    )
    charrnn.plugin("open.py")
    assert ModelConfig(cell="open", forget_bias=2).get("forget_bias") == 2.0
    text = " ".join(good("train", "--help").stdout.split())
    assert "--cell lstm or --cell open: Initial bias of the forget gate." in text


@pytest.fixture
def installed(tmp_path):
    """A folder with an installed package that declares all three kinds; its path."""
    site = tmp_path / "site"
    info = site / "extras-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extras\nVersion: 1\n")
    entries = {
        "cells": "peephole = extra_cell:PeepholeLSTM",
        "optimizers": "lion = extra_optimizer:Lion\nbroken = extra_none:Broken",
        "schedules": "inverse-sqrt = extra_schedule:InverseSqrt",
    }
    lines = "".join(f"[charrnn.{group}]\n{text}\n" for group, text in entries.items())
    (info / "entry_points.txt").write_text(lines)
    for kind, (file, _) in KINDS.items():
        (site / f"extra_{kind}.py").write_text(file.read_text())
    return {"PYTHONPATH": str(site)}


@pytest.mark.slow
def test_installed_plugins_need_no_option(installed, home):
    options = [option for _, options in KINDS.values() for option in options]
    line = ("train", "hello", *SMALL, *options, "--steps", "4", "--name", "run", "-q")
    done = apart(*line, "--backend", "numpy", cwd=home, env=installed)
    assert done.returncode == 0, done.stderr
    done = apart("sample", "run", "--length", "7", cwd=home, env=installed)
    assert (done.returncode, len(done.stdout)) == (0, 7)
    shown = apart("train", "--help", cwd=home, env=installed)
    assert all(word in shown.stdout for word in ("peephole", "lion", "--beta", "--timescale"))
    assert "cannot load the installed plug-in 'extra_none:Broken'" in shown.stderr
    done = apart("train", "hello", "--optimizer", "broken", cwd=home, env=installed)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "cannot load the installed plug-in 'extra_none:Broken'" in done.stderr


def test_a_plugin_error_is_a_charrnn_error():
    with pytest.raises(charrnn.CharRNNError):
        charrnn.plugin("none.py")
    assert issubclass(PluginError, charrnn.CharRNNError)


def test_a_file_that_a_plugin_lacks_is_named_and_not_the_run(tmp_path):
    (tmp_path / "t.txt").write_text("the cat sat on the mat.\n" * 20)
    plugin = (TESTS / "plugins/inverse_sqrt.py").read_text()
    factor = "return (1 + step / self.timescale) ** -0.5"
    assert factor in plugin
    (tmp_path / "rates.py").write_text(
        plugin.replace(factor, 'return float(open("rates.txt").read())')
    )
    words = ["train", "t.txt", "--schedule", "inverse-sqrt", "--plugin", "rates.py", "--steps", "3"]
    small = ["--hidden", "4", "--batch", "2", "--seq-len", "4", "--quiet", "--name", "run"]
    done = apart(*words, *small, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        1,
        "charrnn: error: cannot use rates.txt: No such file or directory; "
        "the last checkpoint is intact\n",
    )
