"""``charrnn info``, and the first record of a run: what it was trained with."""

import json
import re
import shlex
from pathlib import Path

import pytest
from helpers.commands import inside

from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.model.language import LanguageModel
from charrnn.options import declared
from charrnn.report.configuration import configuration
from charrnn.storage import checkpoint
from charrnn.text import Vocabulary
from charrnn.train.opening.commands import repeated

GIVEN = {
    "hidden": 9, "init": "xavier", "forget_bias": 0.75, "dropout": 0.125, "val_frac": 0.2,
    "min_count": 2, "seq_len": 7, "batch": 3, "state": "reset", "steps": 2, "optimizer": "sgd",
    "lr": 0.003, "momentum": 0.5, "schedule": "step", "horizon": 40, "warmup": 1,
    "weight_decay": 0.01, "clip_norm": 0.6, "clip_value": 3.5, "patience": 4, "seed": 6,
    "log_every": 11, "eval_every": 12, "save_every": 13, "sample_every": 14, "keep": 1,
    "watch": 15, "eval_chars": 1234, "max_rollbacks": 5,
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a run that was trained with unusual settings."""
    where = tmp_path_factory.mktemp("info")
    given = [f"--{name.replace('_', '-')}={value}" for name, value in GIVEN.items()]
    done = inside("train", "hello", "--name", "one", "--quiet", *given, cwd=where)
    assert done.returncode == 0, done.stderr
    return where


def told(where, *arguments):
    done = inside("info", *arguments, "--json", cwd=where)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def start_of(where, run):
    with Path(where, "checkpoints", run, "metrics.jsonl").open(encoding="utf-8") as lines:
        return json.loads(next(lines))


def test_every_setting_is_in_the_json_and_in_the_first_record(place):
    for record in (told(place), start_of(place, "one")):
        assert {name: record[name] for name in GIVEN} == GIVEN
        for config in (ModelConfig, DataConfig, TrainConfig):
            assert set(declared(config)) <= {*record, "sources"}
        assert record["sources_count"] == 1


def test_the_first_record_has_what_is_no_setting_and_was_given(tmp_path):
    given = ("--backend", "numpy", "--threads", "1")
    done = inside(
        "train", "hello", "--steps", "1", "--hidden", "3", "--quiet", *given, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert start_of(tmp_path, "hello")["again"] == list(given)


def test_every_setting_is_told_as_the_option_that_gives_it(place):
    text = inside("info", cwd=place).stdout
    for name, value in GIVEN.items():
        option = f"--{name.replace('_', '-')} {value}"
        assert option in text or re.search(rf"(?m)^{name} +{value}$", text), name
    for name in ("restart", "encoding", "errors", "test_frac"):
        assert f"--{name.replace('_', '-')} " in text
    assert "--epochs" not in text  # not set


def test_the_batch_is_as_fitted_to_the_text(tmp_path):
    (tmp_path / "text.txt").write_text("a few words\n" * 9)
    inside("train", "text.txt", "--hidden", "4", "--steps", "2", "--quiet", cwd=tmp_path)
    fitted = start_of(tmp_path, "text")["batch"]
    assert fitted < TrainConfig().batch
    assert told(tmp_path)["batch"] == fitted
    assert f"--batch {fitted} " in inside("info", cwd=tmp_path).stdout


def test_many_files_are_told_in_brief(tmp_path):
    files = tmp_path / "many"
    files.mkdir()
    for number in range(130):
        (files / f"{number:03}.txt").write_text("hello there\n" * 4)
    arguments = ("--hidden", "4", "--steps", "2", "--quiet", "--name", "one")
    done = inside("train", "many", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = told(tmp_path)
    assert len(record["corpus"]) == 100
    assert record["sources_count"] == 130
    assert record["corpus"][0].endswith("000.txt")
    first = start_of(tmp_path, "one")
    assert (len(first["sources"]), first["sources_count"]) == (20, 130)
    text = inside("info", cwd=tmp_path).stdout
    assert "009.txt' … and 120 more" in text
    assert "010.txt" not in text


def test_a_model_saved_outside_training_has_only_its_own_settings(tmp_path):
    config = ModelConfig(hidden=3, init="xavier")
    model = LanguageModel.fresh(config, 2, 0)
    saved = checkpoint.Checkpoint(config, Vocabulary("char", ("a", "b")), model.weights.flat)
    checkpoint.save(tmp_path / "a.safetensors", saved)
    record = told(tmp_path, "a.safetensors")
    assert (record["init"], record["corpus"]) == ("xavier", [])
    assert "lr" not in record
    text = inside("info", "a.safetensors", cwd=tmp_path).stdout
    assert "--init xavier" in text
    assert "updates" not in text


def test_the_options_of_the_chosen_cell_have_their_own_lines(place):
    text = inside("info", cwd=place).stdout
    assert re.search(r"^forget_bias +0\.75$", text, re.MULTILINE)
    assert "gru_reset" not in text
    record = told(place)
    assert (record["forget_bias"], record["gru_reset"], record["activation"]) == (0.75, None, None)


@pytest.mark.slow
def test_the_command_that_repeats_a_planned_run_gives_the_same_weights(place):
    given = ("--hidden", "6", "--seed", "4", "--cell", "gru", "--gru-reset", "before")
    text = Path(place, "some text.txt")
    text.write_text("to be or not to be " * 15)
    inside("train", text.name, "--name", "planned", *given, "--quiet", cwd=place)
    facts = told(place, "planned")
    command = shlex.split(facts["repeat"])
    assert command[:3] == ["charrnn", "train", str(text)]
    assert {"--steps", "--batch", "--eval-every", "--gru-reset"} <= set(command)
    inside(*command[1:], "--name", "again", "--quiet", cwd=place)
    again = told(place, "again")
    assert again["weights_sha256"] == facts["weights_sha256"]
    assert (facts["plan"], again["plan"]) == ("auto", "none")
    (line,) = re.findall("^repeat +(.*)$", inside("info", "planned", cwd=place).stdout, re.M)
    assert line == facts["repeat"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "given", [(), ("--dropout", "0", "--grams", "0")], ids=["its own", "others"]
)
def test_what_repeats_a_run_from_another_ones_weights_names_that_one(given, tmp_path):
    (tmp_path / "long.txt").write_text("to be or not to be, that is the question " * 30)
    (tmp_path / "short.txt").write_text("whether 'tis nobler in the mind to suffer " * 9)
    first = ("--hidden", "6", "--dropout", "0.4", "--grams", "300", "--level", "byte")
    inside("train", "long.txt", "--name", "first", *first, "--steps", "9", cwd=tmp_path)
    start = ("--init-from", "first", "--steps", "8", "--name", "second")
    inside("train", "short.txt", *start, *given, cwd=tmp_path)
    facts = told(tmp_path, "second")
    command = shlex.split(facts["repeat"])
    at = command.index("--init-from")
    assert command[at + 1] == str(tmp_path / "checkpoints/first/best.safetensors")
    assert facts["started_from"] == command[at + 1]
    assert "started_from" in inside("info", "second", cwd=tmp_path).stdout
    assert "started_from" not in inside("info", "first", cwd=tmp_path).stdout
    inside(*command[1:], "--name", "again", cwd=tmp_path)
    (tmp_path / "settings.toml").write_text(
        inside("info", "second", "--config", cwd=tmp_path).stdout
    )
    inside("train", "--config", "settings.toml", "--name", "filed", cwd=tmp_path)
    for name in ("again", "filed"):
        assert told(tmp_path, name)["weights_sha256"] == facts["weights_sha256"]


def test_what_repeats_a_run_of_several_ranks_starts_as_many(place):
    loaded = checkpoint.load(next(Path(place, "checkpoints").glob("*/last.safetensors")))
    assert repeated(loaded).startswith("charrnn train ")
    assert configuration(loaded).startswith("# charrnn train ")
    loaded.progress.ranks = 3
    assert repeated(loaded).startswith("mpirun -n 3 charrnn train ")
    assert configuration(loaded).startswith("# mpirun -n 3 charrnn train --config FILE repeats ")


def test_the_verdict_is_that_of_the_end_of_training(place):
    text = Path(place, "short.txt")
    text.write_text("to be or not to be " * 15)
    done = inside("train", text.name, "--hidden", "6", "--steps", "3", "--name", "v", cwd=place)
    facts = told(place, "v")
    assert facts["verdict"]["message"] in done.stderr
    (line,) = re.findall("^verdict +(.*)$", inside("info", "v", cwd=place).stdout, re.M)
    assert line == facts["verdict"]["message"]
    rows = [json.loads(row) for row in inside("runs", "--json", cwd=place).stdout.splitlines()]
    assert next(row["verdict"] for row in rows if row["run"] == "v") == facts["verdict"]
    (folder,) = Path(place, "checkpoints").glob("v")
    (folder / "metrics.jsonl").write_text("damaged\n")
    assert told(place, "v")["verdict"] is None
    assert inside("runs", cwd=place).stdout.count("–") >= 1
