"""``charrnn plot``: which runs it finds, and what it writes."""

import json

import pytest
from helpers.commands import inside


def write(folder, losses, **start):
    """Write the metrics of a run."""
    folder.mkdir(parents=True)
    records = [{"event": "start", "run": "r", "step": 0, "steps_per_epoch": 4, **start}]
    for at, loss in enumerate(losses, 1):
        records.append({"event": "step", "step": 10 * at, "loss": loss, "smoothed": loss, "lr": 1})
        records.append({"event": "eval", "step": 10 * at, "val_loss": loss, "seconds": at})
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (folder / "metrics.jsonl").write_text(lines, encoding="utf-8")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with runs and a sweep that have metrics only, as if they had just begun."""
    where = tmp_path_factory.mktemp("plot")
    home = where / "checkpoints"
    write(home / "one", [2.0, 1.0])
    write(home / "new", [])
    for number in (1, 2, 11):
        write(home / "swept" / f"{number:04d}", [2.0, 1.0 / number], lr=number)
    (home / "swept" / "sweep.json").write_text('{"charrnn_sweep": 1, "settings": {}}\n')
    return where


def plotted(place, *arguments):
    done = inside("plot", *arguments, cwd=place)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(place, *arguments):
    return [json.loads(line) for line in plotted(place, *arguments, "--json").splitlines()]


def test_a_run_is_found_before_its_first_checkpoint(place):
    found = rows(place, "one")
    assert [(row["event"], row["step"]) for row in found] == [
        ("step", 10), ("eval", 10), ("step", 20), ("eval", 20),
    ]  # fmt: skip
    assert found == rows(place, "checkpoints/one") == rows(place, "one", "checkpoints/one")
    assert found[1]["epochs"] == 2.5
    assert found[0]["minutes"] is None


def test_a_sweep_stands_for_its_trials(place):
    assert list(dict.fromkeys(row["run"] for row in rows(place, "swept"))) == [
        "0001", "0002", "0011",
    ]  # fmt: skip
    text = plotted(place, "swept", "one")
    assert "D  one " in text
    assert "What differs" in text
    assert {row["run"] for row in rows(place, "swept/0002")} == {"0002"}


def test_files_are_named_and_pages_written(place):
    text = plotted(place, "one", "swept", "--html", "a.html")
    assert text.startswith("a.html: ")
    assert "0011, validation" in (place / "a.html").read_text(encoding="utf-8")
    assert len(rows(place, "one", "--html", "b.html", "--x", "epochs")) == 4
    assert (place / "b.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none"], 1, "there is no run 'none'"),
        (["new"], 1, "nothing is recorded of checkpoints/new yet"),
        ([], 1, "there is no run under checkpoints/"),
        (["one", "--out", "a.jpg"], 2, "a.jpg does not end in .png or .svg or .pdf"),
        (["one", "--html", "a.htm"], 2, "a.htm does not end in .html"),
        (["one", "--x", "characters"], 2, "the records of one do not tell its characters"),
        (["one", "--x", "epochs", "--json"], 2, "--x has no effect with --json"),
        (["one", "--html", "none/a.html"], 1, "cannot write none/a.html"),
    ],
)
def test_what_cannot_be_drawn_is_said_in_a_line(place, arguments, code, message):
    done = inside("plot", *arguments, cwd=place)
    assert (done.returncode, done.stderr.count("\n"), done.stdout) == (code, 1, "")
    assert message in done.stderr
