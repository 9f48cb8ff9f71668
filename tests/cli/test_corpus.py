"""charrnn corpus list, make, info and cache."""

import errno
import hashlib
import json
import math
import os
import re
import subprocess
import sys

import pytest
from helpers.commands import inside
from typer.testing import CliRunner

from charrnn.cli.corpus import app
from charrnn.errors import CharRNNError, CorpusError, option
from charrnn.text import builtin


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))


def run(*args, stdin=None):
    return CliRunner().invoke(app, [str(arg) for arg in args], input=stdin)


def good(*args, stdin=None):
    result = run(*args, stdin=stdin)
    assert result.exception is None, result.exception
    assert result.stderr == ""
    return result.stdout_bytes


def described(*args, stdin=None):
    (line,) = good(*args, "--json", stdin=stdin).splitlines()
    return json.loads(line)


def refused(*args):
    """Return the message and exit code of an error that charrnn raises itself."""
    error = run(*args).exception
    assert isinstance(error, CharRNNError)
    assert str(error).isprintable()
    return error.line(option), error.exit_code


def test_list_names_every_corpus():
    rows = good("list").decode().splitlines()
    assert [row.split()[0] for row in rows[1:]] == list(builtin.NAMES)
    records = {record["name"]: record for record in described("list")["corpora"]}
    assert list(records) == list(builtin.NAMES)
    assert records["reber"]["entropy_nats_per_char"] == pytest.approx(7 / 13 * math.log(2))
    assert records["python-docs"]["entropy_nats_per_char"] is None
    assert records["copy-lag"]["options"] == {"lag": 10, "flip": 0.1}
    assert records["hello"]["chars"] == 100_000


def test_list_works_where_the_docs_are_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    records = {record["name"]: record for record in described("list")["corpora"]}
    assert records["python-docs"]["chars"] is None
    assert b"missing" in good("list")


def test_make_writes_the_text_and_nothing_else():
    made = good("make", "reber", "--chars", 777, "--seed", 6)
    assert made == b"".join(builtin.generate("reber", 777, 6))
    assert good("make", "reber", "--chars", 777, "--seed", 6, "--out", "-") == made


@pytest.mark.parametrize("name", ["dates", "recall", "reversal", "walks"])
def test_make_writes_whole_examples(name):
    """Exactly 1,000 characters would end inside an example, which would then be a wrong one."""
    text = good("make", name, "--chars", 1000)
    whole = b"".join(builtin.generate(name, 1000))
    assert whole.startswith(text) and text.endswith(b"\n")
    assert b"\n" not in whole[len(text) :] and len(text) > 900
    assert len(good("make", name, "--chars", 3)) == 3


def test_make_takes_the_options_of_the_generator():
    made = good("make", "brackets", "--kinds", 3, "--max-depth", 2, "--open-prob", 0.5)
    options = {"kinds": 3, "max_depth": 2, "open_prob": 0.5}
    assert made == b"".join(builtin.generate("brackets", **options))


@pytest.mark.parametrize("command", ["make", "info"])
@pytest.mark.parametrize(
    ("args", "part"),
    [
        (["reber", "--flip", "0.1"], "no option --flip"),
        (["markov", "--max-depth", "3"], "no option --max-depth"),
        (["copy-lag", "--lag", "-4"], "--lag must be at least 1 and at most 1000000, not -4"),
        (["markov", "--seed", "-4"], "--seed must be at least 0, not -4"),
    ],
)
def test_options_that_cannot_be_are_usage_errors(command, args, part):
    message, code = refused(command, *args)
    assert part in message
    assert code == 2


def test_unknown_name_and_options():
    message, code = refused("make", "nosuch")
    assert "'nosuch'" in message
    assert "reber" in message
    assert code == 2
    assert run("make", "reber", "--nosuch", "1").exit_code == 2
    assert run("make", "copy-lag", "--lag", "many").exit_code == 2


def test_help_lists_the_options_of_every_generator():
    for command in ("make", "info"):
        text = re.sub(r"\x1b\[[\d;]*m", "", run(command, "--help").stdout)
        for name in builtin.NAMES:
            for key in builtin.create(name).options():
                assert f"--{key.replace('_', '-')}" in text


def test_out_is_written_whole_and_never_over_a_file(tmp_path):
    out = tmp_path / "new.txt"
    assert good("make", "hello", "--chars", 23, "--out", out) == b""
    assert out.read_bytes() == b"hellohellohellohellohel"
    message, code = refused("make", "hello", "--chars", 3, "--out", out)
    assert "--force" in message
    assert code == 1
    assert len(out.read_bytes()) == 23
    good("make", "hello", "--chars", 3, "--out", out, "--force")
    assert out.read_bytes() == b"hel"
    assert [path.name for path in tmp_path.iterdir()] == ["new.txt"]


def test_a_failure_leaves_no_file_behind(tmp_path, monkeypatch):
    def failing(*args, **options):
        yield b"some"
        raise CorpusError("it went wrong", "nothing helps")

    (tmp_path / "old.txt").write_bytes(b"old")
    monkeypatch.setattr(builtin, "generate", failing)
    assert "went wrong" in refused("make", "reber", "--out", "new.txt")[0]
    assert "went wrong" in refused("make", "reber", "--out", "old.txt", "--force")[0]
    assert [path.name for path in tmp_path.iterdir()] == ["old.txt"]
    assert (tmp_path / "old.txt").read_bytes() == b"old"


def test_places_that_cannot_be_written(tmp_path):
    assert "directory" in refused("make", "hello", "--out", tmp_path)[0]
    message, code = refused("make", "hello", "--out", tmp_path / "no\x1b" / "file")
    assert "no\\x1b" in message
    assert os.strerror(errno.ENOENT) in message
    assert code == 1


@pytest.mark.skipif(os.name == "nt", reason="needs links to files")
def test_out_through_a_link_keeps_the_link(tmp_path):
    (tmp_path / "target.txt").write_bytes(b"old")
    (tmp_path / "link.txt").symlink_to("target.txt")
    good("make", "hello", "--chars", 4, "--out", "link.txt", "--force")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "target.txt").read_bytes() == b"hell"


@pytest.mark.skipif(os.name == "nt", reason="no such device")
def test_out_to_a_device_needs_no_force():
    good("make", "hello", "--out", "/dev/null")


def test_a_closed_pipe_ends_it_quietly():
    code = "from charrnn.cli.corpus import app; app()"
    arguments = ["make", "copy-lag", "--chars", "1000000000000"]
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert set(process.stdout.read(10)) <= set(b"01")
        process.stdout.close()
        assert process.stderr.read() == b""
        process.wait(timeout=20)


@pytest.mark.parametrize("name", builtin.NAMES)
def test_info_of_a_builtin(name):
    found, known = described("info", name), builtin.info(name)
    assert found["name"] == name
    assert found["chars"] == known.chars
    assert found["alphabet"] == known.alphabet
    assert found["options"] == known.options
    assert found["entropy_nats_per_char"] == known.entropy
    if known.entropy is None:
        assert found["entropy_bits_per_char"] is None
        assert b"unknown" in good("info", name)
    else:
        assert found["entropy_bits_per_char"] == pytest.approx(known.entropy / math.log(2))
        assert f"{known.entropy:.6f} nats" in good("info", name).decode()


def test_info_of_markov_is_about_the_text_of_the_same_seed(tmp_path):
    options = ["markov", "--seed", 12, "--order", 1, "--concentration", 0.3]
    good("make", *options, "--chars", 200_000, "--out", "text.txt")
    stated = described("info", *options)
    assert stated["seed"] == 12
    counted = described("info", "text.txt")
    assert stated["entropy_nats_per_char"] == pytest.approx(
        counted["bigram_nats_per_char"], abs=0.01
    )
    assert described("info", *options[:1])["entropy_nats_per_char"] != pytest.approx(
        stated["entropy_nats_per_char"], abs=1e-3
    )


def test_info_of_a_file(tmp_path):
    data = "abab\nä\x1b".encode()
    (tmp_path / "text.txt").write_bytes(data)
    found = described("info", "text.txt")
    assert found == {
        "name": "text.txt",
        "level": "char",
        "bytes": 8,
        "chars": 7,
        "lines": 2,
        "distinct": 5,
        "sha256": hashlib.sha256(data).hexdigest(),
        "unigram_nats_per_char": pytest.approx(4 / 7 * math.log(7 / 2) + 3 / 7 * math.log(7)),
        "bigram_nats_per_char": pytest.approx(2 / 6 * math.log(2)),
        "frequent": [
            {"symbol": "a", "count": 2},
            {"symbol": "b", "count": 2},
            {"symbol": "\n", "count": 1},
            {"symbol": "\x1b", "count": 1},
            {"symbol": "ä", "count": 1},
        ],
        "left_out": [],
    }
    shown = good("info", "text.txt").decode()
    assert "\x1b" not in shown
    assert "'\\x1b'" in shown
    assert found["sha256"] in shown
    assert described("info", "-", stdin=data) == {**found, "name": "-"}


def test_info_of_a_file_takes_level_and_encoding(tmp_path):
    (tmp_path / "text.txt").write_bytes(b"one two one \xff")
    assert "offset 12" in refused("info", "text.txt")[0]
    found = described("info", "text.txt", "--encoding", "latin-1", "--level", "word")
    assert (found["chars"], found["distinct"]) == (7, 4)
    assert found["frequent"][:2] == [{"symbol": " ", "count": 3}, {"symbol": "one", "count": 2}]
    assert described("info", "text.txt", "--level", "byte")["frequent"][-1]["symbol"] == 255
    assert "b'\\xff'" in good("info", "text.txt", "--level", "byte").decode()
    replaced = inside("corpus", "info", "text.txt", "--errors", "replace", "--json")
    assert json.loads(replaced.stdout)["chars"] == 13
    assert "note: the text has U+FFFD" in replaced.stderr
    assert refused("info", "text.txt", "--level", "line")


def test_a_file_wins_over_a_builtin_of_its_name(tmp_path):
    assert "entropy_nats_per_char" in described("info", "hello")
    (tmp_path / "hello").write_bytes(b"hi")
    assert described("info", "hello")["bytes"] == 2


def test_options_of_the_other_kind_are_usage_errors(tmp_path):
    (tmp_path / "text.txt").write_bytes(b"abc")
    for args in (
        ["text.txt", "--seed", "0"],
        ["text.txt", "--max-depth", "4"],
        ["hello", "--level", "byte"],
        ["hello", "--encoding", "utf-8"],
        ["hello", "--errors", "replace"],
    ):
        message, code = refused("info", *args)
        assert message.startswith(args[1])
        assert code == 2


@pytest.mark.parametrize("name", ["nosuch", "no/such.txt", "empty.txt"])
def test_info_of_nothing(tmp_path, name):
    (tmp_path / "empty.txt").write_bytes(b"")
    message, code = refused("info", name)
    assert name in message
    assert code == 1


def test_cache_is_shown_and_cleared(tmp_path):
    from charrnn.text.corpus import open_corpus

    (tmp_path / "text.txt").write_text("some text to encode\n" * 50)
    open_corpus([str(tmp_path / "text.txt")])
    found = described("cache")
    assert found["path"] == str(tmp_path / "cache")
    (entry,) = found["entries"]
    assert entry["path"].startswith(found["path"])
    assert found["bytes"] == entry["bytes"] > 1000
    assert found["freed"] == 0
    assert f"{found['bytes']:,} bytes" in good("cache").decode()
    after = described("cache", "--clear")
    assert (after["entries"], after["bytes"], after["freed"]) == ([], 0, found["bytes"])


def test_a_cache_that_cannot_be_used_is_said_so(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "file"))
    done = run("cache")
    assert done.exit_code == 0
    assert "note: the cache of encoded texts" in done.stderr
    assert "set CHARRNN_CACHE to another folder" in done.stderr


def test_importing_the_command_is_light():
    code = (
        "import sys, charrnn.cli.corpus\n"
        "assert not {'numpy', 'cupy', 'rich', 'safetensors'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
