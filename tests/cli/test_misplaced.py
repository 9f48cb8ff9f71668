"""Words in another order, and numbers in another form: what is told is what works."""

import io
import shlex

import pytest
from helpers.commands import inside

TAIL = " --hidden 4 --steps 2 --batch 2 --quiet"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    where = tmp_path_factory.mktemp("misplaced")
    for name in ("t.txt", "-d.txt"):
        (where / name).write_text("the cat sat on the mat.\n" * 20)
    (where / "c.tsv").write_text("cat\tthe cat\ndog\tA dog\n" * 20)
    for line in (
        "t.txt --name one --seq-len 4",
        "t.txt --name 'a b' --seq-len 4",
        "c.tsv --task classify --name pets",
    ):
        assert inside("train", *shlex.split(line + TAIL), cwd=where).returncode == 0
    return where


ORDER = {
    "--run one eval t.txt": "--run stands before the command eval; options follow it: "
    "charrnn eval t.txt --run one",
    "--json info one": "--json stands before the command info; options follow it: "
    "charrnn info one --json",
    "eval one t.txt": "one is a run, not a text; write charrnn eval t.txt --run one",
    "eval t.txt 'a b' --json": "'a b' is a run, not a text; write "
    "charrnn eval t.txt --json --run 'a b'",
    "eval one": "one is a run, not a text; write charrnn eval --split val --run one",
    "predict c.tsv pets -k 2": "c.tsv is a file, not a run; the run is first: "
    "charrnn predict pets c.tsv -k 2",
    "view t.txt one --length 3": "t.txt is a file, not a run; the run is first: "
    "charrnn view one t.txt --length 3",
    "sample one 'the c'": "Got unexpected extra argument(s) (the c); write charrnn sample one "
    "--prime 'the c'",
    "export one one.py --to torch": "Got unexpected extra argument(s) (one.py); write charrnn "
    "export one --to torch --out one.py",
    "diagnose one t.txt": "Got unexpected extra argument(s) (t.txt); write charrnn diagnose one "
    "--corpus t.txt",
    "help train": "No such command: help; it is charrnn train --help",
    "help": "No such command: help; it is charrnn --help",
    "version": "No such command: version; it is charrnn --version",
    "INFO one": "No such command: INFO; it is charrnn info",
    "eval -d.txt --run one": "No such option: -d.txt; for the file write ./-d.txt",
}


@pytest.mark.parametrize("line", ORDER)
def test_words_in_another_order_are_told_the_command(line, place):
    done = inside(*shlex.split(line), cwd=place)
    assert (done.returncode, done.stdout) == (2, "")
    told = done.stderr.partition("; see charrnn ")[0].strip()  # of what is no error of ours
    assert told == f"charrnn: error: {ORDER[line]}"
    if "charrnn" in ORDER[line]:
        words = shlex.split(ORDER[line].rpartition("charrnn ")[2])
        words += ["one"] if words == ["info"] else []
        again = inside(*words, cwd=place)
        assert again.returncode == 0, again.stderr


def test_a_file_with_a_dash_is_read_as_told(place):
    assert inside("eval", "./-d.txt", "--run", "one", cwd=place).returncode == 0
    assert "No such option: -x" in inside("eval", "-x.txt", "--run", "one", cwd=place).stderr


def test_a_run_as_a_text_to_train_on_is_told_both_ways(place):
    done = inside("train", "t.txt", "one", *TAIL.split(), cwd=place)
    assert done.returncode == 2
    told = done.stderr.partition("; ")[2].strip()
    begins, goes_on = told.split(" begins with its weights, ")
    assert begins == f"charrnn train t.txt{TAIL} --init-from one"
    assert goes_on == "charrnn train --resume one goes on"
    assert inside(*shlex.split(begins)[1:], "--name", "new", cwd=place).returncode == 0


def test_a_run_as_the_only_text_to_train_on_is_told_its_own_text(place):
    def told():
        line = inside("train", "one", "--seq-len", "4", cwd=place).stderr.partition("; ")[2]
        return shlex.split(line.partition(" begins with its weights, ")[0])

    begins = told()
    own = str(place / "t.txt")
    assert begins == ["charrnn", "train", own, "--seq-len", "4", "--init-from", "one"]
    assert inside(*begins[1:], *TAIL.split(), "--name", "its-own", cwd=place).returncode == 0
    (place / "t.txt").rename(place / "u.txt")
    try:
        assert told()[2] == "TEXT"
    finally:
        (place / "u.txt").rename(place / "t.txt")


def test_a_text_that_has_the_name_of_a_run_is_a_text(place):
    (place / "one").write_text("the cat sat on the mat.\n" * 20)
    try:
        assert inside("eval", "one", "--run", "checkpoints/one", cwd=place).returncode == 0
        assert inside("train", "one", "--name", "of-text", *TAIL.split(), cwd=place).returncode == 0
    finally:
        (place / "one").unlink()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--dropout 0,5", "--dropout 0.5"),
        ("--dropout 50%", "--dropout 0.5"),
        ("--steps 1k", "--steps 1000"),
        ("--steps 1e3", "--steps 1000"),
        ("--steps 1,000,000", "--steps 1000000"),
        ("--minutes 5m", "--minutes 5"),
        ("--minutes 90s", "--minutes 1.5"),
        ("--minutes 1.5h", "--minutes 90"),
        ("--steps 1.5", ""),
        ("--steps 5m", "--steps 5000000"),
        ("--steps 50%", ""),
        ("--lr 1e", ""),
        ("--minutes 5x", ""),
        ("--lr abc", ""),
    ],
)
def test_a_number_in_another_form_is_told(place, typed, meant):
    done = inside("train", "t.txt", *typed.split(), "--dry-run", cwd=place)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    told = done.stderr.partition("; ")[2]
    assert told == (f"write {meant}; " if meant else "") + "see charrnn train --help\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("eval T.TXT --run one", "T.TXT does not exist; did you mean t.txt?"),
        ("eval t.text --run one", "t.text does not exist; did you mean t.txt?"),
        ("eval ' t.txt' --run one", " t.txt does not exist; did you mean t.txt?"),
        ("train c", "c does not exist and is not a built-in corpus; did you mean c.tsv?"),
        ("train python_docs", "and is not a built-in corpus; did you mean python-docs?"),
        ("train checkpoints/../c.tsw", "did you mean checkpoints/../c.tsv?"),
        ("train nothing.txt", "nothing.txt does not exist; check the path"),
        ("train 'x*.txt'", "only without quotes, and where a file has such a name"),
        ("train '~/x.txt'", "only without quotes, and where a file has such a name"),
        ("train https://a.example/t.txt", "download it first: curl -LO https://a.example/t.txt"),
        ("sample ONE", "there is no run 'ONE'; did you mean one?"),
        ("sample A_b", "there is no run 'A_b'; did you mean 'a b'?"),
        ("sample other", "there is no run 'other'; charrnn runs lists them; charrnn train"),
        ("sample checkpoints/onee", "there is no run 'checkpoints/onee'; charrnn runs lists them"),
    ],
)
def test_a_name_that_is_nearly_right_is_told(place, line, said):
    done = inside(*shlex.split(line), cwd=place)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert said in done.stderr


def test_what_is_no_text_in_the_locale_is_told(place):
    for name, also in (("prime", ", or give a --prime-file with its --encoding"), ("until", "")):
        done = inside("sample", "one", f"--{name}", "\udce8", cwd=place)
        assert done.returncode == 2
        assert done.stderr == (
            f"charrnn: error: --{name} has bytes that are not text in utf-8; "
            f"type it in utf-8{also}\n"
        )
    (place / "p.txt").write_bytes(b"the c\xe0")
    words = ("--prime-file", "p.txt", "--encoding", "latin-1", "--unknown", "skip")
    assert inside("sample", "one", *words, "--length", "3", cwd=place).returncode == 0


def test_standard_input_is_named(place, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\n")))
    done = inside("predict", "pets", cwd=place)
    assert done.stderr.startswith("charrnn: error: standard input is not valid utf-8 at byte off")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO()))
    done = inside("eval", "-", "--run", "pets", cwd=place)
    assert done.stderr.endswith("standard input has no example; write one a line: label<TAB>text\n")


def test_a_damaged_checkpoint_alone_is_not_told_a_strange_one(place):
    data = (place / "checkpoints/one/last.safetensors").read_bytes()
    (place / "cut.safetensors").write_bytes(data[:900])
    (place / "other.safetensors").write_bytes(data[:900])
    assert inside("info", "cut.safetensors", cwd=place).stderr.endswith("its header is cut off\n")
    (place / "checkpoints/one/0.safetensors").write_bytes(data[:900])
    told = inside("info", "checkpoints/one/0.safetensors", cwd=place).stderr
    named = told.partition("name another checkpoint of the run, ")[2].strip()
    assert inside("info", named, cwd=place).returncode == 0


def test_a_damaged_checkpoint_is_not_told_a_file_that_is_none_of_its_run(place, tmp_path):
    data = (place / "checkpoints/one/last.safetensors").read_bytes()
    (tmp_path / "best.safetensors").write_bytes(data[:900])
    (tmp_path / "of-another-run.safetensors").write_bytes(data)
    (tmp_path / "last.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")  # of another program
    told = inside("info", "best.safetensors", cwd=tmp_path).stderr
    assert told.endswith("its header is cut off\n")
    (tmp_path / "step-00000001.safetensors").write_bytes(data)
    told = inside("info", "best.safetensors", cwd=tmp_path).stderr
    assert told.endswith("name another checkpoint of the run, step-00000001.safetensors\n")


def test_what_is_no_state_dict_is_told_how_one_is_written(place):
    done = inside("import", "t.txt", cwd=place)
    assert done.stderr.endswith(
        "t.txt is not a safetensors file; write one in Python: "
        "safetensors.torch.save_file(model.state_dict(), FILE)\n"
    )
    assert "write one" not in inside("import", "nothing.safetensors", cwd=place).stderr


def test_words_that_are_no_file_are_piped_in(place, monkeypatch):
    for line in ("predict pets 'the cat' --json", "view one 'the cat' --json", "eval 'the cat' "):
        line += "--run one" * line.startswith("eval")
        done = inside(*shlex.split(line), cwd=place)
        piped = line.replace("'the cat'", "-")
        assert done.returncode == 2
        assert done.stderr == (
            "charrnn: error: 'the cat' is not a file; to give the text itself: "
            f"echo 'the cat' | charrnn {piped}\n"
        )
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"the cat\n")))
        assert inside(*shlex.split(piped), cwd=place).returncode == 0
    (place / "b c").write_text("the cat\n")
    assert inside("predict", "pets", "b c", cwd=place).returncode == 0
    assert "does not exist" in inside("predict", "pets", "b c.txt", cwd=place).stderr


def test_a_text_as_a_run_is_told_what_a_run_is(place):
    for command in ("sample", "info", "diagnose"):
        done = inside(command, "t.txt", cwd=place)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "t.txt is not a charrnn checkpoint; name a run: charrnn runs lists" in done.stderr
