"""An option that has no effect together with the others is refused in one line that names both."""

import json

import pytest
from helpers.commands import inside

from charrnn.text.decoding import decodes_all

TEXT = "the cat sat on the mat.\nA dog ate it!\n" * 8
SMALL = ("--hidden", "4", "--batch", "2", "--seq-len", "4", "--steps", "3", "--backend", "numpy")
QUICK = ("--windows", "1", "--anchors", "2", "--targets", "2", "--lyapunov-steps", "10")
QUICK += ("--max-lag", "2")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with texts, a run ``one`` on characters, a run ``bytes``, and others."""
    where = tmp_path_factory.mktemp("unused")
    (where / "t.txt").write_text(TEXT)
    (where / "v.txt").write_text("the cat sat at it\n")
    (where / "l.tsv").write_text("a\tthe cat\nb\ta mat\n" * 20)
    (where / "c.txt").write_text("cat\tthe cat\ndog\tA dog\n" * 20)
    (where / "g.txt").write_text("a\tb\nb\ta\n\n" * 20)
    tag = [*SMALL[:4], *SMALL[6:], "--task", "tag"]
    for name, text, options in (
        ("bytes", "t.txt", [*SMALL, "--level", "byte", "--watch", "1"]),
        ("tags", "g.txt", tag),
        ("latin", "t.txt", [*SMALL, "--encoding", "latin-1"]),
        ("one", "t.txt", [*SMALL, "--watch", "1"]),
    ):
        done = inside("train", text, *options, "--name", name, cwd=where)
        assert done.returncode == 0, done.stderr
    return where


REFUSED = [
    "sample one --next 2 ; --until t",
    "sample one --next 2 ; --seed 1",
    "sample one --next 2 ; --length 500",
    "sample one --next 2 ; --count 1",
    "sample one --next 2 --prime t ; --no-echo",
    "sample one --next 2 ; --no-repeat 2",
    "sample one --next 2 ; --repetition-penalty 2",
    "sample one --next 2 ; --repetition-window 2",
    "sample one --next 2 --prime the ; --no-repeat 4 : 3 symbols",
    "sample one --temp 0 ; --top-k 0",
    "sample one --temp 0 ; --top-p 0.5",
    "sample one --temp 0 ; --min-p 0.5",
    "sample one --top-k 1 ; --temp 0.8",
    "sample one --top-k 1 ; --top-p 0.5",
    "sample one --top-k 1 ; --min-p 0.5",
    "sample one --json --prime t ; --no-echo",
    "sample one --length 1 ; --temp-end 2 : one symbol",
    "train t.txt --dtype float64 ; --core native : float32",
    "train t.txt --dtype float64 ; --matmul bf16 : float32",
    "sample one --prime t ; --encoding utf-8",
    "sample bytes --prime-file v.txt ; --encoding utf-8 : reads bytes",
    "sample one --backend cupy ; --threads 1",
    "sample one --backend cupy ; --core numpy",
    "eval t.txt --run one --backend cupy ; --core numpy",
    "train t.txt --backend cupy ; --core numpy",
    "bench --backend cupy ; --core numpy",
    "eval t.txt --run one ; --start none : --per-line",
    "eval --split val --run one ; --unknown error",
    "eval --split val --run one ; --errors strict",
    "eval t.txt --run bytes ; --errors strict : reads bytes",
    "eval t.txt --run one --encoding latin-1 ; --errors replace",
    "eval t.txt --run latin ; --errors replace : --encoding latin-1",
    "eval g.txt --run tags --format lines ; --columns 2,1",
    "eval t.txt --run tags --encoding koi8-r ; --errors replace",
    "predict tags t.txt --encoding latin-1 ; --errors replace",
    "eval t.txt --run one --per-line ; --per-char",
    "eval t.txt --run one --per-char ; --reset-every 5",
    "eval t.txt --run one --dynamic ; --reset-every 5",
    "eval t.txt --run one --backend cupy ; --threads 1",
    "train t.txt --level byte ; --encoding utf-8",
    "train t.txt --level byte ; --errors replace",
    "train t.txt --encoding latin-1 ; --errors replace",
    "train t.txt --init-from latin ; --errors replace : --encoding latin-1",
    "diagnose --fresh --corpus t.txt --encoding latin-1 ; --errors replace",
    "sample one --prime-file v.txt --encoding latin-1 ; --errors replace",
    "view one t.txt --encoding latin-1 ; --errors replace",
    "train t.txt --init-from bytes ; --errors replace : --level",
    "train hello ; --encoding latin-1 : built-in",
    "train hello --val hello ; --errors replace : built-in",
    "eval hello reber --run one ; --encoding latin-1 : built-in",
    "diagnose --fresh --corpus hello ; --errors replace : built-in",
    "train t.txt --val v.txt ; --val-frac 0.1",
    "train t.txt --test v.txt ; --test-frac 0.1",
    "train t.txt --val-frac 0 ; --eval-every 500",
    "train t.txt --val-frac 0 ; --eval-chars 500",
    "train t.txt --state reset ; --restart 0.01",
    "train t.txt --schedule constant ; --horizon 9",
    "train t.txt --schedule plateau ; --horizon 9",
    "train t.txt --eval-every 0 ; --patience 2",
    "train t.txt --eval-every 0 ; --schedule plateau",
    "train t.txt --save-every 0 ; --keep 2",
    "train t.txt ; --outer-lr 1 : --sync-every",
    "train t.txt ; --outer-momentum 0 : --sync-every",
    "train t.txt --sync-every 2 ; --watch 1 : --sync-every",
    "train t.txt --dry-run ; --quiet",
    "train t.txt --dry-run ; --tensorboard b",
    "train t.txt --name two ; --out three",
    "train t.txt --backend cupy ; --threads 1",
    "train --resume one --eval-every 0 --steps 9 ; --patience 2",
    "train --resume one --save-every 0 --steps 9 ; --keep 2",
    "train --resume one ; --name two",
    "train --resume one ; --init-from one",
    "diagnose one ; --level char : --fresh",
    "diagnose one --corpus t.txt ; --label-column x : language model",
    "diagnose --fresh ; --target-level word : transduce",
    "diagnose --fresh --corpus l.tsv --task classify ; --lyapunov-steps 20 : trajectory",
    "diagnose --fresh --task classify ; --seq-len 5 : --task lm",
    "diagnose --fresh --corpus l.tsv --task transduce ; --targets 5 : attention",
    "diagnose --fresh --task transduce ; --pool last : classify",
    "diagnose one ; --hidden 4 : --fresh",
    "diagnose one ; --forget-bias 1 : --fresh",
    "diagnose one ; --steps 4 : --compare",
    "diagnose one ; --unknown error : --corpus",
    "diagnose one ; --encoding utf-8 : --corpus",
    "diagnose bytes --corpus t.txt ; --errors strict : reads bytes",
    "diagnose --fresh --corpus t.txt ; --unknown skip",
    "diagnose --fresh --corpus t.txt --level byte ; --encoding utf-8",
    "diagnose --fresh ; --steps 4 : --compare",
    "diagnose --compare rnn,lstm --corpus t.txt ; --unknown skip",
    "diagnose --compare rnn,lstm ; --cell rnn",
    "diagnose --compare rnn,lstm ; --gru-reset before : compared",
    "diagnose --fresh ; --compare rnn",
    "diagnose --fresh ; --history",
    *(
        f"diagnose one --history ; {given}"
        for given in (
            "--corpus t.txt", "--unknown skip", "--gradcheck", "--plot x.png",
            "--fail-on broken", "--windows 20", "--seed 0", "--lr 0.1", "--threads 1",
            "--backend numpy", "--hidden 4", "--encoding utf-8", "--level char", "--steps 3",
        )
    ),
    "view one ; --unknown skip : text",
    "view one ; --encoding latin-1 : text",
    "view bytes t.txt ; --errors strict : reads bytes",
    "view one --units ; --unit 0:1",
    "view one --html p.html ; --json",
    "view one t.txt --backend cupy ; --threads 1",
    "info ; --devices one : run",
    "bench --backend cupy ; --threads 1",
    "corpus make hello ; --force : --out",
    "corpus make hello --out - ; --force",
    "corpus make hello ; --seed 0 : hello",
    "corpus make python-docs ; --seed 3 : python-docs",
    "corpus make hello ; --order 2 : hello",
    "corpus info reber ; --seed 0 : reber",
    "corpus info hello ; --level byte : built-in",
    "corpus info t.txt ; --seed 0 : built-in",
    "corpus info t.txt --level byte ; --errors strict",
]  # fmt: skip
"""A command line that works, and an option that has no effect with it; after a colon, what the
message names if that is not an option of the first part."""


@pytest.mark.parametrize("line", REFUSED)
def test_what_has_no_effect_is_refused(line, place):
    rest, _, named = line.partition(" : ")
    base, _, extra = rest.partition(" ; ")
    small = SMALL if base.startswith("train t.txt") and "--backend" not in base else ()
    done = inside(*base.split(), *extra.split(), *small, cwd=place)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.count("\n") == 1
    assert extra.split()[0] in done.stderr
    others = [word for word in base.split() if word.startswith("--")]
    assert named in done.stderr if named else any(word in done.stderr for word in others)
    assert not (place / "checkpoints/t").exists()


def test_an_encoding_in_which_each_byte_is_a_character_is_known():
    every = ("latin-1", "iso8859-15", "koi8-r", "cp437", "mac-roman")
    some = ("utf-8", "ascii", "cp1252", "utf-16", "utf-7", "gb18030", "unicode_escape", "no", "hex")
    assert [name for name in (*every, *some) if decodes_all(name)] == [*every]


def test_more_labels_than_are_shown_anyway_are_noted(place):
    run = ("--name", "labels", "--task", "classify", *SMALL[:4], *SMALL[6:])
    assert inside("train", "c.txt", *run, cwd=place).returncode == 0
    for options, told in (("-k 3", True), ("-k 2 --json", True), ("-k 2", False)):
        done = inside("predict", "labels", "v.txt", *options.split(), cwd=place)
        assert ("has no effect: the model has 2 labels" in done.stderr) == told


def test_a_text_that_is_too_short_to_learn_from_is_noted(place):
    line = ("eval", "t.txt", "--run", "one", "--dynamic", "--dynamic-window")
    long, short = (inside(*line, window, cwd=place) for window in ("303", "302"))
    assert "--dynamic has no effect on 303 characters: the model learns after" in long.stderr
    assert "note" not in short.stderr
    plain = inside(*line[:4], cwd=place).stdout.splitlines()
    assert set(plain) < set(long.stdout.splitlines())
    assert not set(plain[3:6]) & set(short.stdout.splitlines())


def test_a_seed_has_no_effect_on_the_most_likely_text(place):
    """It is not refused: one seed for many temperatures is what people give."""
    with_seed = inside("sample", "one", "--temp", "0", "--seed", "3", "--length", "9", cwd=place)
    assert with_seed.returncode == 0
    assert with_seed.stderr.startswith("charrnn: note: --seed has no effect with --temp 0")
    alone = inside("sample", "one", "--temp", "0", "--length", "9", cwd=place)
    assert (alone.stdout, alone.stderr) == (with_seed.stdout, "")
    two = inside("sample", "one", "--top-k", "1", "--count", "2", "--length", "9", cwd=place)
    assert two.stderr == "charrnn: note: with --top-k 1 all samples are the same\n"
    assert two.stdout.split("\n---\n") == [alone.stdout] * 2


def test_more_symbols_than_there_are_is_said(place):
    for given, told in (("17", "17 has no effect: the model writes 17 symbols"), ("16", "")):
        done = inside("sample", "one", "--top-k", given, "--seed", "3", "--length", "9", cwd=place)
        assert done.returncode == 0
        assert done.stderr == (f"charrnn: note: --top-k {told}\n" if told else "")


def test_threads_have_no_effect_on_a_gpu(place, device):
    done = inside("sample", "one", "--threads", "1", "--length", "3", cwd=place)
    assert done.returncode == 0
    assert "note: --threads has no effect" in done.stderr


@pytest.mark.parametrize(
    "where", [("--name", "one"), ("--out", "checkpoints/one"), ("--name", ".")]
)
def test_a_dry_run_refuses_the_place_that_the_run_would_be_refused(where, place):
    done = inside("train", "t.txt", *SMALL, *where, "--dry-run", cwd=place)
    meant = inside("train", "t.txt", *SMALL, *where, cwd=place)
    assert (done.returncode, done.stderr) == (2, meant.stderr)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--watch", "4"], "--watch 4 has no effect: the run ends at step 3"),
        (["--sample-every", "4"], "--sample-every 4 has no effect: the run ends at step 3"),
        (["--keep", "1"], "--keep keeps nothing with --save-every 500: the run ends at step 3"),
        (["--save-every", "4"], "--save-every 4 has no effect: the run ends at step 3"),
        (["--patience", "2", "--eval-every", "1"], "--patience 2 has no effect before step 3"),
        (["--watch", "3", "--sample-every", "2", "--keep", "1", "--save-every", "3"], ""),
        (["--patience", "1", "--eval-every", "1"], ""),
    ],
)
def test_what_a_run_does_not_live_to_see_is_said(options, says, place, tmp_path):
    run = ("--out", tmp_path / "run", "--quiet")
    done = inside("train", "t.txt", *SMALL, *options, *run, cwd=place)
    assert done.returncode == 0
    assert says in done.stderr if says else done.stderr == ""


def test_a_resumed_run_does_not_speak_of_saves_that_it_does_not_reach(place, tmp_path):
    run = ("--out", tmp_path / "run", "--quiet", "--save-every", "3")
    assert inside("train", "t.txt", *SMALL[:-4], "--steps", "4", *run, cwd=place).returncode == 0
    done = inside("train", "--resume", tmp_path / "run", "--steps", "5", "--quiet", cwd=place)
    assert done.returncode == 0
    assert "--save-every" not in done.stderr


def test_a_finished_run_is_told_only_that_it_has_finished(place, tmp_path):
    run = ("--out", tmp_path / "run", "--quiet", "--watch", "2")
    assert inside("train", "t.txt", *SMALL, *run, cwd=place).returncode == 0
    done = inside("train", "--resume", tmp_path / "run", "--quiet", cwd=place)
    assert done.stderr.count("note: ") == 1
    assert "has finished at step 3" in done.stderr


def test_a_resumed_run_that_has_kept_some_keeps_nothing_new(place, tmp_path):
    run = ("--out", tmp_path / "run", "--quiet", "--keep", "1", "--save-every", "2")
    assert inside("train", "t.txt", *SMALL[:-4], "--steps", "4", *run, cwd=place).returncode == 0
    done = inside("train", "--resume", tmp_path / "run", "--steps", "5", "--quiet", cwd=place)
    assert "--keep keeps nothing new with --save-every 2: the run ends at step 5" in done.stderr


def test_the_comparison_shows_its_gradient_check(place):
    options = (*QUICK, "--compare", "rnn", "--steps", "1", "--hidden", "3", "--corpus", "t.txt")
    plain, checked = (
        inside("diagnose", *options, *more, cwd=place) for more in ((), ("--gradcheck",))
    )
    assert "Gradient check" not in plain.stdout
    assert "Gradient check" in checked.stdout


def test_a_new_run_from_weights_reads_its_text_as_the_run_did(place, tmp_path):
    (tmp_path / "latin.txt").write_bytes("café au lait\n".encode("latin-1") * 40)
    first = ("latin.txt", *SMALL, "--name", "first", "--encoding", "latin-1", "--quiet")
    assert inside("train", *first, cwd=tmp_path).returncode == 0
    again = ("latin.txt", *SMALL, "--name", "again", "--init-from", "first", "--quiet")
    done = inside("train", *again, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(inside("info", "again", "--json", cwd=tmp_path).stdout)
    assert told["encoding"] == "latin-1"


def test_more_threads_than_a_machine_can_have_are_refused(place):
    done = inside("sample", "one", "--threads", "9" * 20, "--length", "3", cwd=place)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--threads must be at most 65,536, not 99999999999999999999" in done.stderr
