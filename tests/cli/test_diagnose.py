"""``charrnn diagnose`` as a user and a script meet it."""

import json

import numpy as np
import pytest
from helpers.commands import inside

from charrnn.config import ModelConfig
from charrnn.model.language import LanguageModel
from charrnn.storage import checkpoint
from charrnn.text import corpus_from_text

QUICK = ["--anchors", "20", "--targets", "24", "--lyapunov-steps", "60", "--windows", "3"]
FRESH = ["--fresh", "--corpus", "reber", "--hidden", "10", "--batch", "4", *QUICK]
TRAIN = ["--hidden", "8", "--batch", "4", "--seq-len", "8", "--quiet", "--steps", "30"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with one run in it."""
    where = tmp_path_factory.mktemp("diagnose")
    done = inside(
        "train", "reber", *TRAIN, "--layers", "2", "--watch", "5", "--name", "one", cwd=where
    )
    assert done.returncode == 0, done.stderr
    return where


def told(*arguments, cwd, code=0):
    done = inside("diagnose", *arguments, "--json", cwd=cwd)
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_a_classifier_has_as_many_parameters_as_info_says(tmp_path):
    (tmp_path / "t.tsv").write_text("cat\tthe cat sat\ndog\ta dog ate it\n" * 20)
    small = ("--hidden", "4", "--steps", "3", "--task", "classify", "--counts", "0.4", "--quiet")
    assert inside("train", "t.tsv", *small, cwd=tmp_path).returncode == 0
    trained = json.loads(inside("info", "--json", cwd=tmp_path).stdout)["parameters"]
    shown = inside("diagnose", "--anchors", "9", "--max-lag", "4", cwd=tmp_path)
    assert f", {trained:,} parameters, step 3\n" in shown.stdout, shown.stderr


def test_a_run_is_examined_on_its_own_validation_text(place):
    report = told(*QUICK, "--max-lag", "20", "--seed", "3", "--gradcheck", cwd=place)
    assert report["run"].endswith("one/best.safetensors")
    assert report["step"] == 30
    weights = {
        f"rnn.{kind}_l{layer}" for layer in (0, 1) for kind in ("weight_ih", "weight_hh", "bias_ih")
    }
    assert set(report["parameters"]) == weights | {"decoder.weight", "decoder.bias"}
    for part in report["parameters"].values():
        assert {"mean", "median", "p95"} == set(part["grad"]) == set(part["update_ratio"])
        assert part["weight_norm"] > 0
    assert set(report["layers"]) == {"l0", "l1", "decoder"}
    assert report["global"]["clip"]["limit"] == 1.0
    assert report["global"]["moments"] is True
    profile = report["lag_profile"]
    assert len(profile["anchors"]) == 20
    assert profile["context"] == 40
    assert min(profile["anchors"]) >= 40
    for layer in profile["layers"]:
        assert layer["lags"] == list(range(21))
        for key in ("h", "c", "h_q25", "h_median", "h_q75", "c_q25", "c_median", "c_q75"):
            assert len(layer[key]) == 21
        assert layer["h"][0] == layer["c"][0] == 1.0
        assert {"half_life", "efold", "c_half_life", "c_efold"} <= set(layer)
    assert {part["gate"] for part in report["recurrent"]} == set("ifgo")
    assert report["lyapunov"]["steps"] == 60
    assert len(report["lyapunov"]["layers"][1]["exponents"]) == 8
    assert report["gates"][1]["gates"][1]["gate"] == "f"
    context = report["context"]
    assert len(context["lengths"]) == len(context["loss"]) == len(context["replaced"])
    assert len(context["position"]["carried"]) == len(context["position"]["reset"]) == 8
    assert report["gradcheck"]["passed"] is True
    assert isinstance(report["verdicts"], list)


def test_anchors_follow_the_seed_and_the_text_that_is_given(place, tmp_path):
    (tmp_path / "text.txt").write_text("BTXSE\n" * 60)
    options = ["one", *QUICK, "--max-lag", "10", "--corpus", str(tmp_path / "text.txt")]
    first, again, other = (told(*options, "--seed", seed, cwd=place) for seed in "112")
    assert first["chars"] == 360
    assert first == again
    assert first["lag_profile"]["anchors"] != other["lag_profile"]["anchors"]
    (tmp_path / "text.txt").write_text("BTXSE%\n" * 60)
    done = inside("diagnose", *options, cwd=place)
    assert done.returncode == 1
    assert "'%'" in done.stderr
    assert told(*options, "--unknown", "skip", cwd=place)["chars"] == 360


def test_a_person_gets_text_that_fits_eighty_columns(place):
    done = inside("diagnose", *QUICK, "--gradcheck", cwd=place)
    assert done.returncode == 0
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in done.stdout
    assert not any(line.endswith(" ") for line in lines)
    assert lines[0].endswith("one/best.safetensors")
    assert lines[4].startswith("Verdict")
    headings = ["How far back gradients reach", "State Jacobian", "Use of context"]
    headings += ["Gradient norms", "Gates and units", "Recurrent matrices"]
    for heading in (*headings, "Gradient check: passed"):
        assert heading in done.stdout


def test_a_fresh_model_and_the_exit_code_of_a_finding(place):
    closed = [*FRESH, "--forget-bias", "-5"]
    report = told(*closed, "--fail-on", "broken,vanishing", cwd=place, code=3)
    assert report["step"] == 0
    assert [v["code"] for v in report["verdicts"]] == ["vanishing"]
    verdict = report["verdicts"][0]
    assert set(verdict) == {"code", "layer", "part", "basis", "message", "remedy", "source"}
    assert (verdict["layer"], verdict["basis"]) == (0, "measurement")
    told(*closed, "--fail-on", "broken,exploding", cwd=place)
    text = inside("diagnose", *closed, "--fail-on", "vanishing", cwd=place)
    assert text.returncode == 3
    assert "vanishing in layer 0" in text.stdout


def test_a_fresh_model_and_its_anchors_follow_the_seed(place):
    first, again, other = (told(*FRESH, "--seed", seed, cwd=place) for seed in "445")
    assert first == again
    assert first["parameters"] != other["parameters"]
    assert first["lag_profile"]["anchors"] != other["lag_profile"]["anchors"]


def test_options_ask_what_would_be(place):
    assert "lr-high" in [v["code"] for v in told("one", *QUICK, "--lr", "8", cwd=place)["verdicts"]]
    tight = told("one", *QUICK, "--clip-norm", "1e-6", cwd=place)
    assert "clip-tight" in [v["code"] for v in tight["verdicts"]]
    assert told("one", *QUICK, "--seq-len", "16", cwd=place)["context"]["seq_len"] == 16


def test_a_broken_checkpoint_is_told_with_and_without_its_text(tmp_path, place):
    corpus = corpus_from_text("BTXSE\n" * 20)
    model = LanguageModel.fresh(ModelConfig(hidden=4, cell="gru"), len(corpus.vocabulary), 0)
    model.weights["rnn.bias_hh_l0"][2] = np.nan
    path = tmp_path / "broken.safetensors"
    checkpoint.save(
        path, checkpoint.Checkpoint(model.config, corpus.vocabulary, model.weights.flat)
    )
    for text in ([], ["--corpus", "reber", "--unknown", "skip"]):
        report = told(str(path), *text, "--fail-on", "broken", cwd=place, code=3)
        (verdict,) = report["verdicts"]
        assert verdict["code"] == "broken"
        assert "rnn.bias_hh_l0" in verdict["message"]
        assert (report["lag_profile"], report["global"]) == (None, None)
    assert "rnn.bias_hh_l0" in inside("diagnose", str(path), cwd=place).stdout


def test_cells_are_compared(place):
    options = ["--compare", "rnn,gru,lstm", "--corpus", "reber", "--steps", "8", "--hidden", "9"]
    report = told(*options, *QUICK, "--batch", "4", "--forget-bias", "2", cwd=place)
    assert report["compare"] == ["rnn", "gru", "lstm"] == list(report["cells"])
    assert report["steps"] == 8
    assert {cell["step"] for cell in report["cells"].values()} == {8}
    assert [each["cell"] for each in report["horizons"]] == ["rnn", "gru", "lstm"]
    assert {cell["model"]["hidden"] for cell in report["cells"].values()} == {9}
    assert len({str(cell["lag_profile"]["anchors"]) for cell in report["cells"].values()}) == 1
    text = inside("diagnose", *options, *QUICK, cwd=place).stdout
    assert max(map(len, text.splitlines())) <= 80
    assert text.index("rnn ") < text.index("gru ") < text.index("lstm ")


def test_history_shows_what_watch_recorded(place):
    report = told("one", "--history", cwd=place)
    assert report["grad_norm"]["steps"] == [25]
    assert set(report["layers"]) == {"l0", "l1", "decoder"}
    assert report["layers"]["l0"]["steps"] == [5, 10, 15, 20, 25, 30]
    assert report["jumps"] == []
    text = inside("diagnose", "one", "--history", cwd=place).stdout
    assert "No jumps" in text
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--fresh", "one"], 2, "makes its own model"),
        (["--fresh", "--compare", "rnn"], 2, "exclude"),
        (["one", "--hidden", "9"], 2, "--hidden"),
        (["one", "--steps", "9"], 2, "--compare"),
        (["one", "--fail-on", "vanished"], 2, "vanished"),
        (["one", "--plot", "page.bmp"], 2, ".png"),
        (["one", "--html", "page.pdf"], 2, ".html"),
        (["one", "--max-lag", "0"], 2, "--max-lag"),
        (["one", "--context", "9", "--max-lag", "9"], 2, "--context"),
        (["one", "--history", "--plot", "page.png"], 2, "--history"),
        (["--compare", "rnn,vanilla", "--corpus", "reber"], 2, "twice"),
        (["--compare", "elman", "--corpus", "reber"], 2, "elman"),
        (
            ["--compare", "lstm", "--corpus", "reber", "--hidden", "6", "--lr", "1e9"],
            1,
            "; lower --lr or --clip-norm\n",
        ),
        (["--fresh", "--corpus", "no/such.txt"], 1, "no/such.txt"),
        (["--fresh", "--corpus", "reber", "--level", "line"], 2, "--level"),
        (["nowhere"], 1, "nowhere"),
    ],
)
def test_what_cannot_be_is_one_line(arguments, code, says, place):
    done = inside("diagnose", *arguments, cwd=place)
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.startswith("charrnn: error: ")
    assert done.stderr.count("\n") == 1
    assert says in done.stderr


def test_a_short_text_is_examined_with_a_note(place, tmp_path):
    (tmp_path / "short.txt").write_text("BTXSE\n" * 4)
    options = ["--fresh", "--corpus", str(tmp_path / "short.txt"), "--hidden", "4", "--json"]
    done = inside("diagnose", *options, cwd=place)
    assert done.returncode == 0, done.stderr
    assert "the text is short" in done.stderr
    assert len(json.loads(done.stdout)["lag_profile"]["layers"][0]["lags"]) < 14
    (tmp_path / "short.txt").write_text("BT")
    done = inside("diagnose", "--fresh", "--corpus", str(tmp_path / "short.txt"), cwd=place)
    assert done.returncode == 1
    assert "at least 4" in done.stderr


def test_the_page_is_written(place):
    done = inside("diagnose", *FRESH, "--html", "page.html", cwd=place)
    assert done.returncode == 0
    page = (place / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    lost = inside("diagnose", *FRESH, "--html", "no/page.html", cwd=place)
    assert lost.returncode == 1
    assert "no/page.html" in lost.stderr


@pytest.fixture(scope="module")
def of_examples(tmp_path_factory):
    """A folder with a classifier, a transducer, and their tables."""
    where = tmp_path_factory.mktemp("examples")
    words = ["cat", "dogs", "a river", "stone", "moonlight"]
    rows = "".join(f"{len(w) % 2}\t{w}{i % 7}x\n" for i in range(12) for w in words)
    (where / "labels.tsv").write_text(rows)
    (where / "pairs.tsv").write_text(
        "".join(f"{w}{i}\t{w[::-1]}{i}\n" for i in range(12) for w in words)
    )
    small = ["--hidden", "6", "--steps", "3", "--quiet", "--val-frac", "0.5", "--bidirectional"]
    for task in ("classify", "transduce"):
        table = "labels.tsv" if task == "classify" else "pairs.tsv"
        done = inside("train", table, "--task", task, *small, "--name", task, cwd=where)
        assert done.returncode == 0, done.stderr
    return where


def test_runs_of_examples_are_examined_on_what_they_held_out(of_examples):
    report = told("classify", "--anchors", "9", cwd=of_examples)
    assert (report["examples"], len(report["lag_profile"]["anchors"])) == (30, 9)
    assert set(report["not_measured"]) == {"lyapunov", "position"}
    assert report["global"]["moments"] is True
    report = told("transduce", "--corpus", "pairs.tsv", "--max-lag", "2", cwd=of_examples)
    assert report["examples"] == 60
    assert [len(layer["h"]) for layer in report["lag_profile"]["layers"]] == [3, 3, 3]
    done = inside("diagnose", "transduce", cwd=of_examples)
    assert "encoder backwards 0 h *" in done.stdout
    assert "use of context: a target depends on its whole source" in done.stdout


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["classify", "--seq-len", "4"], "--seq-len only applies to --task lm"),
        (["classify", "--exponents", "4"], "--exponents has no effect: each example begins anew"),
        (["transduce", "--context", "9"], "--context has no effect: a target depends"),
        (["classify", "--corpus", "labels.tsv", "--unknown", "skip"], "--unknown only applies"),
        (["classify", "--corpus", "labels.tsv", "--target", "x"], "--target only applies"),
        (["transduce", "--corpus", "pairs.tsv", "--label-column", "x"], "--label-column"),
    ],
)
def test_what_does_not_apply_to_runs_of_examples_is_refused(of_examples, options, problem):
    done = inside("diagnose", *options, cwd=of_examples)
    assert done.returncode == 2
    assert problem in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("task", "table"), [("classify", "labels"), ("transduce", "pairs")])
def test_new_models_that_read_examples_are_examined_and_compared(of_examples, task, table):
    new = ["--task", task, "--corpus", f"{table}.tsv", "--hidden", "6", "--anchors", "8"]
    page = of_examples / f"{task}.html"
    report = told("--fresh", "--cell", "rnn", *new, "--html", str(page), cwd=of_examples)
    assert report["model"]["task"] == task
    assert "not measured: state Jacobian" in page.read_text("utf-8")
    report = told("--compare", "gru,rnn", *new, "--steps", "2", cwd=of_examples)
    assert set(report["cells"]) == {"gru", "rnn"}
    assert {row["lyapunov"] for row in report["horizons"]} == {None}
    done = inside("diagnose", "--compare", "gru,rnn", *new, "--steps", "2", cwd=of_examples)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("mode", ["--fresh", "--compare gru"])
@pytest.mark.parametrize(
    "setting", ["--pool last", "--ngrams 2", "--counts 0.3", "--attention none"]
)
def test_settings_of_other_tasks_are_refused_for_a_language_model(place, mode, setting):
    done = inside("diagnose", *mode.split(), *setting.split(), "--corpus", "hello", cwd=place)
    assert done.returncode == 2
    assert done.stderr.startswith(f"charrnn: error: {setting.split()[0]} only applies to --task ")


def test_momentum_that_one_update_cannot_show_is_noted(place):
    (place / "few.txt").write_text("the cat sat on the mat.\n" * 40)
    (place / "many.txt").write_text("the cat sat on the mat.\n" * 400)
    told = {}
    for text in ("few.txt", "many.txt"):
        for momentum in ("0.9", "0.1"):
            done = inside(
                *("diagnose", "--fresh", "--hidden", "4", "--corpus", text, "--windows", "4"),
                *("--optimizer", "sgd", "--momentum", momentum, "--anchors", "4", "--targets", "4"),
                *("--lyapunov-steps", "20", "--json"),
                cwd=place,
            )
            assert done.returncode == 0, done.stderr
            told[text, momentum] = done.stdout
            assert ("--momentum has no effect: " in done.stderr) == (text == "few.txt")
    assert told["few.txt", "0.9"] == told["few.txt", "0.1"]
    assert told["many.txt", "0.9"] != told["many.txt", "0.1"]
