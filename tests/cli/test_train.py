"""``charrnn train``, ``info`` and ``runs`` as a user and a script meet them."""

import json
import os
import signal

import pytest
from helpers.commands import ENDLESS, charrnn, inside, start

SMALL = ["--hidden", "8", "--batch", "4", "--seq-len", "8", "--quiet"]


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_json_lines_have_the_documented_keys_and_are_kept_as_metrics(tmp_path):
    done = inside(
        "train", "hello", *SMALL, "--json", "--steps", "20", "--log-every", "5",
        "--eval-every", "10", "--save-every", "10", cwd=tmp_path,
    )  # fmt: skip
    told = lines(done.stdout)
    assert done.returncode == 0
    assert done.stderr == ""
    assert told[0]["event"] == "start"
    assert told[-1]["event"] == "end"
    assert told[-1]["reason"] == "steps"
    steps = [line for line in told if line["event"] == "step"]
    assert [line["step"] for line in steps] == [5, 10, 15, 20]
    for key in ("epoch", "loss", "grad_norm", "lr", "chars_per_second", "seconds"):
        assert isinstance(steps[0][key], int | float)
    assert [line["step"] for line in told if line["event"] == "eval"] == [10, 20]
    kept = lines((tmp_path / "checkpoints/hello/metrics.jsonl").read_text())
    assert kept == told


def test_an_interrupted_run_says_how_to_continue_exactly(tmp_path, monkeypatch):
    monkeypatch.setattr("charrnn.cli.train.Deferral.asked", lambda self: True)
    for given in ("", " --core numpy"):
        more = ["--name", "cut" + given.strip("- ").replace(" ", "-")]
        done = inside("train", "hello", *SMALL[:-1], *more, *given.split(), cwd=tmp_path)
        assert done.stderr.endswith(f"charrnn train --resume checkpoints/{more[1]}{given}\n")


def test_plain_lines_go_to_stderr_and_quiet_silences_them(tmp_path):
    loud = inside("train", "hello", *SMALL[:-1], "--steps", "25", cwd=tmp_path)
    assert loud.stdout == ""
    assert "step     25" in loud.stderr
    assert "charrnn sample checkpoints/hello" in loud.stderr
    quiet = inside("train", "hello", *SMALL, "--steps", "2", cwd=tmp_path)
    assert (quiet.stdout, quiet.stderr) == ("", "")


def test_a_default_name_gets_a_suffix_and_an_explicit_one_is_refused(tmp_path):
    for _ in range(2):
        assert inside("train", "hello", *SMALL, "--steps", "1", cwd=tmp_path).returncode == 0
    assert (tmp_path / "checkpoints/hello-2/last.safetensors").is_file()
    before = (tmp_path / "checkpoints/hello/last.safetensors").read_bytes()
    for where in (["--name", "hello"], ["--out", "checkpoints/hello"]):
        done = inside("train", "hello", *SMALL, "--steps", "2", *where, cwd=tmp_path)
        assert done.returncode == 2
        assert "--resume" in done.stderr
    assert (tmp_path / "checkpoints/hello/last.safetensors").read_bytes() == before


def test_text_from_a_pipe_is_trained_on_and_sampled(tmp_path):
    text = "to be, or not to be: that is the question. " * 40
    done = charrnn("train", "-", *SMALL, "--steps", "5", cwd=tmp_path, input=text)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "checkpoints/stdin/best.safetensors").is_file()
    sample = inside("sample", "--temp", "0.8", "--length", "200", cwd=tmp_path)
    assert len(sample.stdout) == 200
    again = charrnn(
        "train", "-", *SMALL, "--steps", "8", "--resume", "last", cwd=tmp_path, input=text
    )
    assert again.returncode == 0, again.stderr
    forgotten = inside("train", "--resume", "last", "--steps", "9", cwd=tmp_path)
    assert forgotten.returncode == 2
    assert "standard input" in forgotten.stderr


def test_a_short_text_lowers_the_batch_with_a_note(tmp_path):
    (tmp_path / "short.txt").write_text("hello world, hello")
    done = inside("train", "short.txt", "--hidden", "4", "--steps", "2", cwd=tmp_path)
    assert done.returncode == 0
    assert " steps instead" in done.stderr
    (tmp_path / "one.txt").write_text("h")
    done = inside("train", "one.txt", "--hidden", "4", "--steps", "2", cwd=tmp_path)
    assert done.returncode == 1
    assert "at least 2" in done.stderr


def test_invalid_text_names_the_byte(tmp_path):
    (tmp_path / "bad.txt").write_bytes(b"good until here \xff and on")
    done = inside("train", "bad.txt", *SMALL, cwd=tmp_path)
    assert done.returncode == 1
    assert "16" in done.stderr
    assert not (tmp_path / "checkpoints").exists()


def test_sample_every_shows_the_model_as_it_is(tmp_path):
    done = inside(
        "train", "hello", *SMALL[:-1], "--steps", "4", "--sample-every", "2", cwd=tmp_path
    )
    assert done.stderr.count("--- sample at step") == 2


def test_info_and_runs(tmp_path):
    inside("train", "hello", *SMALL, "--steps", "3", "--cell", "gru", "--embed", "5", cwd=tmp_path)
    told = json.loads(inside("info", "--json", cwd=tmp_path).stdout)
    assert (told["cell"], told["layers"], told["hidden"], told["embed"]) == ("gru", 1, 8, 5)
    assert told["vocabulary"] == ["e", "h", "l", "o"]
    assert told["parameters"] == 4 * 5 + 24 * (5 + 8 + 2) + 4 * 8 + 4
    assert (told["level"], told["step"], told["dtype"]) == ("char", 3, "float32")
    assert told["val_loss"] == told["best_val_loss"] > 0
    text = inside("corpus", "make", "hello", cwd=tmp_path, text=False).stdout
    import hashlib

    assert told["corpus_sha256"] == hashlib.sha256(text).hexdigest()
    assert "gru" in inside("info", cwd=tmp_path).stdout
    (tmp_path / "checkpoints/broken").mkdir()
    (tmp_path / "checkpoints/broken/last.safetensors").write_bytes(b"nothing")
    listed = lines(inside("runs", "--json", cwd=tmp_path).stdout)
    assert [row["run"] for row in listed] == ["hello", "broken"]
    assert "not a charrnn checkpoint" in listed[1]["error"]
    table = inside("runs", cwd=tmp_path).stdout
    assert "gru 1×8" in table
    assert "unreadable" in table


@pytest.mark.skipif(os.name == "nt", reason="signals and pipes of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_the_step_saves_and_says_how_to_go_on(number, code, tmp_path):
    process = start("train", "hello", *ENDLESS, cwd=tmp_path, stdout=None)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("step"):
            break
    process.send_signal(number)
    rest = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == code
    assert "charrnn train --resume checkpoints/hello" in rest
    step = json.loads(inside("info", "--json", cwd=tmp_path).stdout)["step"]
    assert step >= 1
    done = inside("train", "--resume", "last", "--steps", str(step + 1), "-q", cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads(inside("info", "--json", cwd=tmp_path).stdout)["step"] == step + 1


def test_the_run_is_found_where_out_put_it(tmp_path):
    where = tmp_path / "elsewhere" / "run"
    done = inside("train", "hello", *SMALL, "--steps", "2", "--out", str(where), cwd=tmp_path)
    assert done.returncode == 0
    assert inside("info", str(where), cwd=tmp_path).returncode == 0
    assert inside("info", str(where / "last.safetensors"), cwd=tmp_path).returncode == 0


def test_a_minute_limit_ends_training(tmp_path):
    limit = ("--minutes", "0.02", "--plan", "none")
    done = inside("train", "hello", *SMALL, *limit, "--json", cwd=tmp_path)
    end = lines(done.stdout)[-1]
    assert end["reason"] == "minutes"
    assert end["seconds"] >= 0.9  # an evaluation must still fit in
    rates = [line["lr"] for line in lines(done.stdout) if line["event"] == "step"]
    assert rates[-1] < 0.2 * rates[0]


@pytest.mark.parametrize("again", [(), ("text.txt", "--val", "val.txt", "--test", "test.txt")])
def test_a_run_with_held_out_files_is_resumed(again, home):
    """Also without naming any of them: the run knows which text was for what."""
    for name, line in (("text", "hello world\n"), ("val", "hello\n"), ("test", "world\n")):
        (home / f"{name}.txt").write_text(line * 60, encoding="utf-8")
    options = (*SMALL, "--val", "val.txt", "--test", "test.txt", "--schedule", "constant")
    options += ("--steps", "3", "--name", "r")
    assert inside("train", "text.txt", *options).returncode == 0
    done = inside("train", *again, "--resume", "r", "--steps", "5", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_text_of_less_than_a_window_is_not_told_of_epochs_without_any(tmp_path):
    (tmp_path / "t.txt").write_text("to be or not")
    small = ("--hidden", "4", "--steps", "1", "--val-frac", "0")
    done = inside("train", "t.txt", *small, cwd=tmp_path)
    assert "0 windows" not in done.stderr
    assert "using 1 stream × 11 steps instead" in done.stderr
