"""``charrnn sample`` for each line of standard input, by beam search, and without copies."""

import io
import json
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from helpers.commands import inside
from helpers.running import SMALL, train

from charrnn.own import own
from charrnn.sampling import SampleOptions, most_likely, samples, stream
from charrnn.sampling.seen import Seen
from charrnn.storage import checkpoint

NAMES = [
    *("ada", "bea", "cleo", "dora", "emma", "fay", "gwen", "hope", "ida", "jo", "kim", "lea"),
    *("mia", "nora", "ola", "pia", "rosa", "sue", "tia", "uma"),
]
TEXT = "".join(f"{name}\n" for name in NAMES) * 3


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a text of names and a run ``names`` on it; the run's checkpoint."""
    folder = tmp_path_factory.mktemp("names")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("names.txt").write_text(TEXT)
        train("names.txt", name="names", **(SMALL | {"hidden": 24, "steps": 150}))
    return folder


@pytest.fixture
def run(place, monkeypatch):
    monkeypatch.chdir(place)
    return checkpoint.load(Path("checkpoints/names/best.safetensors"))


def sample(*arguments, lines=None, monkeypatch=None):
    """Return standard output; nothing else is written."""
    if lines is not None:
        data = lines if isinstance(lines, bytes) else lines.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    done = inside("sample", "names", "--core", "numpy", *arguments)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def refused(*arguments, code=2):
    done = inside("sample", "names", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.count("\n") == 1
    return done.stderr


def text(run, options=None, **more):
    return "".join(stream(run.model(), run.vocabulary, options or SampleOptions(), **more))


def test_each_line_is_continued_to_its_end(run, monkeypatch):
    lines = ["a", "", "dor", "k"]
    out = sample("--each-line", "--seed", "5", lines="\n".join(lines), monkeypatch=monkeypatch)
    expected = [
        line + text(run, prime=line, until="\n", seed=5, first=k) for k, line in enumerate(lines)
    ]
    assert out == "".join(expected)
    assert out.count("\n") == 4
    bare = sample(
        "--each-line", "--seed", "5", "--no-echo", lines="\n".join(lines), monkeypatch=monkeypatch
    )
    assert bare == "".join(e[len(line) :] for e, line in zip(expected, lines, strict=True))
    first = sample("--prime", "a", "--until", "\n", "--seed", "5")
    assert out.startswith(first)


def test_a_continuation_that_is_cut_ends_its_line(run, monkeypatch):
    out = sample(
        "--each-line", "--length", "1", "--seed", "5", lines="a\nb\n", monkeypatch=monkeypatch
    )
    assert [len(line) for line in out.splitlines()] == [2, 2]
    until = sample(
        "--each-line", "--until", "o", "--seed", "5", lines="a\n", monkeypatch=monkeypatch
    )
    assert until == "a" + text(run, prime="a", until="o", seed=5) + "\n"


def test_each_line_as_json(run, monkeypatch):
    out = sample("--each-line", "--json", "--seed", "5", lines="a\ndo", monkeypatch=monkeypatch)
    records = [json.loads(line) for line in out.splitlines()]
    assert [(r["line"], r["seed"], r["prime"]) for r in records] == [(1, 5, "a"), (2, 5, "do")]
    (second,) = samples(
        run.model(), run.vocabulary, prime="do", until="\n", seed=5, first=1, log_probs=True
    )
    assert records[1]["text"] == second.text
    assert records[1]["log_probs"] == list(second.log_probs)
    assert records[1]["log_prob"] == second.log_prob


def test_a_line_that_the_model_cannot_read_is_named(run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nbXb\nc\n")))
    done = inside("sample", "names", "--each-line", "--seed", "1")
    assert (done.returncode, done.stdout.count("\n")) == (1, 1)
    assert done.stderr.startswith("charrnn: error: line 2: the vocabulary has no character 'X'")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"bXb\nXX\n")))
    done = inside("sample", "names", "--each-line", "--unknown", "skip")
    assert (done.returncode, done.stdout[:3]) == (0, "bXb")
    assert done.stderr == "charrnn: note: 3 symbols that the model does not know were skipped\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a\nb\xff\n")))
    done = inside("sample", "names", "--each-line")
    assert done.returncode == 1
    assert (
        "standard input is not valid utf-8 at byte offset 3; name another --encoding, or set"
        in done.stderr
    )
    out = sample(
        *("--each-line", "--seed", "5", "--encoding", "utf-16-le"),
        lines="a\n".encode("utf-16-le"),
        monkeypatch=monkeypatch,
    )
    assert out == sample("--each-line", "--seed", "5", lines="a\n", monkeypatch=monkeypatch)
    assert sample("--each-line", lines="", monkeypatch=monkeypatch) == ""


@pytest.mark.slow
def test_a_line_is_answered_before_the_next_one_is_written(run):
    command = [sys.executable, "-m", "charrnn", "sample", "names", "--each-line", "--seed", "5"]
    for more in ([], ["--json"], ["--beam", "2"], ["--novel"]):
        arguments = [
            each for each in command if "--beam" not in more or each not in ("--seed", "5")
        ]
        with subprocess.Popen(
            [*arguments, *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            watchdog = threading.Timer(120, process.kill)
            watchdog.start()
            answers = []
            for line in ("a", "dor", "k"):
                process.stdin.write(line + "\n")
                process.stdin.flush()
                answers.append(process.stdout.readline())
            process.stdin.close()
            assert process.wait() == 0
            watchdog.cancel()
            assert all(line in answer for line, answer in zip("ad", answers, strict=False))


@pytest.mark.slow
def test_a_reader_that_leaves_ends_it_quietly(run):
    command = "yes a | PYTHON -m charrnn sample names --each-line --seed 1 | head -n 3"
    done = subprocess.run(
        ["bash", "-c", command.replace("PYTHON", sys.executable) + '; echo "${PIPESTATUS[1]}"'],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    *lines, code = done.stdout.splitlines()
    assert (len(lines), code, done.stderr) == (3, "141", "")


def test_a_beam_writes_the_most_likely_text(run, monkeypatch):
    model, vocabulary = run.model(), run.vocabulary
    made = most_likely(model, vocabulary, beam=4, count=2, length=12, prime="a")
    assert sample("--beam", "4", "--length", "12", "--prime", "a") == "a" + made[0].text
    out = sample("--beam", "4", "--count", "2", "--length", "12", "--prime", "a", "--no-echo")
    assert out.replace("\n---\n", "---\n").split("---\n") == [
        one.text.removesuffix("\n") if one is made[0] else one.text for one in made
    ]
    out = sample("--beam", "4", "--count", "2", "--length", "12", "--prime", "a", "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert [r["text"] for r in records] == [one.text for one in made]
    assert [r["log_prob"] for r in records] == [one.log_prob for one in made]
    assert {r["seed"] for r in records} == {None}
    greedy = sample("--temp", "0", "--length", "40")
    assert sample("--beam", "1", "--length", "40") == greedy
    lines = sample("--beam", "3", "--each-line", lines="a\nj\n", monkeypatch=monkeypatch)
    found = [most_likely(model, vocabulary, beam=3, prime=p, until="\n")[0].text for p in "aj"]
    assert lines == f"a{found[0]}j{found[1]}"
    once = sample("--beam", "3", "--no-repeat", "2", "--length", "30")
    assert len(set(pairwise(once))) == len(once) - 1


def test_no_line_of_the_text_is_written(run, place):
    plain = sample("--seed", "3", "--length", "600")
    novel = sample("--seed", "3", "--length", "600", "--novel")
    assert set(plain.splitlines()) & set(NAMES)
    assert not set(novel.splitlines()) & set(NAMES)
    assert len(novel) == 600
    assert novel == sample("--seed", "3", "--length", "600", "--novel")
    each = sample("--seed", "3", "--count", "30", "--until", "\n", "--novel").split("---\n")
    assert len(each) == 30
    assert not {line.strip() for line in each} & set(NAMES)
    kept = Path("checkpoints/names/novel-lines.npy")
    assert kept.stat().st_size < 10_000
    assert kept.name in own(kept.parent, {path.name for path in kept.parent.iterdir()})


def test_no_long_span_of_the_text_is_written(run):
    out = sample("--seed", "3", "--length", "300", "--novel-span", "3", "--prime", "ad")
    assert len(out) == 302
    assert not [i for i in range(len(out) - 3) if out[i : i + 4] in TEXT]
    assert [i for i in range(len(out) - 2) if out[i : i + 3] in TEXT]
    assert Path("checkpoints/names/novel-3.npy").exists()


def test_the_index_is_enough_without_the_text(run, monkeypatch):
    arguments = ("--seed", "4", "--length", "90", "--novel")
    expected = sample(*arguments)
    text_file = Path("names.txt")
    kept = Path("checkpoints/names/novel-lines.npy")
    text_file.rename("moved.txt")
    try:
        assert sample(*arguments) == expected
        whole = kept.read_bytes()
        for damaged in (whole[:-1], whole[:130], b"", whole.replace(whole[128:140], bytes(12))):
            kept.write_bytes(damaged)
            assert "names.txt does not exist; give the text with --novel-text" in refused(
                *arguments, code=1
            )
        kept.unlink()
        assert sample(*arguments, "--novel-text", "moved.txt") == expected
        assert not kept.exists()
    finally:
        Path("moved.txt").rename(text_file)
    assert sample(*arguments) == expected
    assert kept.read_bytes() == whole
    text_file.write_text(TEXT + "zoe\n")
    try:
        kept.unlink()
        assert "has changed since it was trained" in refused(*arguments, code=1)
    finally:
        text_file.write_text(TEXT)


def test_another_text_can_be_the_one_that_is_not_copied(run):
    Path("other.txt").write_text("\n".join(NAMES[:10]))
    arguments = ("--seed", "3", "--length", "600", "--novel", "--novel-text", "other.txt")
    lines = set(sample(*arguments).splitlines())
    assert not lines & set(NAMES[:10])
    assert lines & set(NAMES[10:])


def test_standard_input_that_is_not_copied_is_read_once(run, monkeypatch):
    Path("other.txt").write_text("\n".join(NAMES[:10]))
    rest = ("--seed", "3", "--length", "200", "--novel", "--novel-span", "2", "--novel-text")
    piped = sample(*rest, "-", lines="\n".join(NAMES[:10]), monkeypatch=monkeypatch)
    assert piped == sample(*rest, "other.txt")


def test_a_model_that_can_only_copy_is_given_up(run, monkeypatch):
    monkeypatch.setattr("charrnn.sampling.written.MAX_TRIES", 4)
    monkeypatch.setattr(Seen, "has_line", lambda self, line: True)
    told = refused("--novel", "--length", "60", "--seed", "1", code=1)
    assert "4 lines drawn in a row were all copies of lines in the text; raise --temp" in told


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("--novel --temp 0", "with --temp 0 every redraw is the same; give another --temp"),
        ("--novel --top-k 1", "--top-k 1"),
        ("--novel-text names.txt", "--novel-text only applies to --novel or --novel-span"),
        (
            "--novel --novel-text - --each-line",
            "--each-line and --novel-text -: standard input can be read only once; put one of",
        ),
        ("--novel --novel-text - --prime-file -", "--prime-file - and --novel-text -: standard"),
        ("--novel --novel-text - --novel-text -", "--novel-text - and --novel-text -: standard"),
        ("--novel-span 0", "--novel-span must be at least 1"),
        ("--beam 3 --temp 1", "--temp only applies to drawn text, but --beam draws none"),
        ("--beam 3 --temp-end 1", "--temp-end"),
        ("--beam 3 --top-k 2", "--top-k"),
        ("--beam 3 --top-p 0.5", "--top-p"),
        ("--beam 3 --min-p 0.5", "--min-p"),
        ("--beam 3 --seed 1", "--seed"),
        ("--beam 3 --repetition-penalty 2", "--repetition-penalty"),
        ("--beam 3 --novel", "--novel"),
        ("--beam 3 --novel-span 3", "--novel-span"),
        ("--beam 3 --count 4", "--count must be at least 1 and at most 3"),
        ("--beam 0", "--beam must be at least 1"),
        ("--beam 2 --length 0", "samples of --length 0 never end"),
        ("--each-line --prime x", "--prime says what is continued"),
        ("--each-line --prime-file x", "--prime-file says what is continued"),
        ("--each-line --count 2", "--count and --each-line exclude each other"),
        ("--next 2 --each-line", "--each-line only applies to samples"),
        ("--next 2 --beam 2", "--beam only applies to samples"),
        ("--next 2 --novel", "--novel only applies to samples"),
        ("--next 2 --novel-span 4", "--novel-span only applies to samples"),
        ("--next 2 --temp-end 1", "--temp-end only applies to samples"),
        ("--temp-end 1 --length 0", "--temp-end is reached at the end of --length"),
        ("--no-repeat 3 --length 0", "--no-repeat remembers the whole sample"),
        (
            "--repetition-window 3",
            "--repetition-window only applies to --repetition-penalty above 1",
        ),
        ("--repetition-penalty 0.5", "--repetition-penalty must be at least 1"),
        ("--errors replace", "--errors only applies to --prime-file, --each-line or --novel-text"),
        ("--prime-file x --column name", "--column only applies to --novel-text"),
        (
            "--no-repeat 20 --length 10",
            "--no-repeat 20 has no effect on 10 symbols; give a longer --length, or less",
        ),
        ("--no-repeat 13 --length 10 --prime ada", "--no-repeat 13 has no effect on 13 symbols"),
        ("--beam 2 --no-repeat 9 --length 9", "--no-repeat 9 has no effect"),
        ("--novel-span 10 --length 10", "--novel-span 10 has no effect on 10 symbols"),
    ],
)
def test_what_has_no_effect_is_refused(run, arguments, named):
    assert named in refused(*arguments.split())


def test_a_rule_that_can_have_an_effect_is_not_refused(run):
    assert sample("--no-repeat", "12", "--length", "10", "--prime", "ada", "--seed", "1")
    assert sample("--novel-span", "10", "--length", "11", "--seed", "1")


def test_a_search_that_does_not_end_says_so(run, monkeypatch):
    monkeypatch.setattr("charrnn.cli._samples.LONG_SEARCH", 5)
    monkeypatch.setattr("charrnn.sampling.beam.LONGEST", 12)
    done = inside("sample", "names", "--beam", "2", "--length", "0", "--until", "ttt")
    assert (done.returncode, done.stdout) == (1, "")
    note, error = done.stderr.splitlines()
    assert "note: 5 symbols are drawn and --until has not come; --length sets a limit" in note
    assert "none of the texts searched has ended after 12 symbols; give a --length, or a" in error
    assert sample("--beam", "2", "--length", "0", "--until", "a").endswith("a")


def test_rules_and_the_changing_temperature_are_used(run):
    for flags, options in [
        (("--temp", "0", "--temp-end", "2"), SampleOptions(0.0, temperature_end=2.0)),
        (("--repetition-penalty", "1.5"), SampleOptions(repetition_penalty=1.5)),
        (
            ("--repetition-penalty", "3", "--repetition-window", "4"),
            SampleOptions(repetition_penalty=3.0, repetition_window=4),
        ),
        (("--no-repeat", "3"), SampleOptions(no_repeat=3)),
    ]:
        out = sample("--seed", "3", "--length", "60", *flags)
        assert out == text(run, options, length=60, seed=3)
        assert out != text(run, length=60, seed=3)


def test_samples_are_written_as_they_end(run, monkeypatch):
    """The first is written before the others are complete."""
    seen = []
    from charrnn.cli import _samples

    monkeypatch.setattr(
        _samples.Output, "write", lambda self, data: seen.append(data), raising=True
    )
    counts = []
    original = _samples.Samples._made

    def counted(self, *arguments):
        for one in original(self, *arguments):
            counts.append(len(seen))
            yield one

    monkeypatch.setattr(_samples.Samples, "_made", counted)
    sample("--seed", "3", "--count", "3", "--until", "\n")
    assert counts == [0, 1, 3]  # a separator and a sample each
