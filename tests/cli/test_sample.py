"""``charrnn sample`` as a user meets it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import check_names

from charrnn.cli.app import run
from charrnn.config import ModelConfig
from charrnn.model.language import LanguageModel
from charrnn.sampling import SampleOptions, next_symbols, stream
from charrnn.storage import checkpoint
from charrnn.text.vocabulary import Vocabulary

CHARS = Vocabulary("char", tuple("\n abcdeé漢😀"))
BYTES = Vocabulary("byte", tuple(range(256)))


def save(name: str, vocabulary: Vocabulary, **options: object) -> LanguageModel:
    settings: dict[str, object] = {"hidden": 10} | options
    config = ModelConfig(**settings)  # type: ignore[arg-type]
    model = LanguageModel.fresh(config, len(vocabulary), 4)
    folder = Path("checkpoints", name)
    folder.mkdir(parents=True)
    saved = checkpoint.Checkpoint(config, vocabulary, model.weights.flat)
    checkpoint.save(folder / "last.safetensors", saved)
    return model


@pytest.fixture
def model(home: Path) -> LanguageModel:
    return save("chars", CHARS, layers=2)


@pytest.fixture
def call(capfdbinary, monkeypatch):
    """Run a command line; return its exit code, standard output and standard error."""

    def run_it(*arguments: str) -> tuple[int, bytes, str]:
        code = run(["sample", *arguments])
        out, err = capfdbinary.readouterr()
        check_names(("sample", *arguments), err)
        return code, out, err.decode()

    return run_it


def text(model: LanguageModel, **options: object) -> str:
    return "".join(stream(model, CHARS, **options))  # type: ignore[arg-type]


def test_the_text_alone_is_written(model, call) -> None:
    code, out, err = call("--seed", "5", "--length", "300")
    assert (code, err) == (0, "")
    assert out.decode() == text(model, length=300, seed=5)
    assert len(out.decode()) == 300


def test_the_run_can_be_named_in_three_ways(model, call) -> None:
    save("other", CHARS)
    arguments = ("--seed", "1", "--length", "40")
    by_name = call("chars", *arguments)[1]
    assert by_name.decode() == text(model, length=40, seed=1)
    assert call("checkpoints/chars", *arguments)[1] == by_name
    assert call("checkpoints/chars/last.safetensors", *arguments)[1] == by_name
    assert call("other", *arguments)[1] != by_name


def test_without_a_seed_every_text_is_new(model, call) -> None:
    assert call()[1] != call()[1]


def test_the_prime_comes_first(model, call) -> None:
    expected = text(model, length=20, seed=2, prime="é\nab")
    arguments = ("--seed", "2", "--length", "20", "--prime", "é\nab")
    assert call(*arguments)[1].decode() == "é\nab" + expected
    assert call(*arguments, "--no-echo")[1].decode() == expected


def test_the_prime_from_a_file_is_kept_as_it_is(model, call) -> None:
    Path("prime").write_bytes("a 😀 b\n".encode())
    expected = text(model, length=9, seed=2, prime="a 😀 b\n")
    out = call("--seed", "2", "--length", "9", "--prime-file", "prime")[1]
    assert out.decode() == "a 😀 b\n" + expected


def test_skipped_symbols_of_the_prime_are_still_printed(model, call) -> None:
    arguments = ("--seed", "2", "--length", "9", "--prime", "aXb")
    code, out, err = call(*arguments)
    assert (code, out) == (1, b"")
    assert "'X'" in err
    assert "set --unknown to skip" in err
    assert err.count("\n") == 0 or err.endswith("\n")
    assert call(*arguments, "--unknown", "skip")[1].decode() == "aXb" + text(
        model, length=9, seed=2, prime="ab"
    )


def test_the_filters_and_the_temperature_are_used(model, call) -> None:
    arguments = ("--seed", "3", "--length", "80")
    for flags, options in [
        (("--temp", "0"), SampleOptions(0.0)),
        (("--temp", "2.5"), SampleOptions(2.5)),
        (("--top-k", "3"), SampleOptions(top_k=3)),
        (("--top-p", "0.3"), SampleOptions(top_p=0.3)),
        (("--min-p", "0.9"), SampleOptions(min_p=0.9)),
    ]:
        expected = text(model, options=options, length=80, seed=3)
        assert call(*arguments, *flags)[1].decode() == expected
        assert expected != text(model, length=80, seed=3)


def test_until_ends_the_text(model, call) -> None:
    out = call("--length", "900", "--seed", "6", "--until", "a")[1].decode()
    assert out.index("a") == len(out) - 1


@pytest.mark.parametrize("more", [(), ("--count", "2"), ("--json", "--length", "9")])
@pytest.mark.parametrize(
    ("option", "typed", "says"),
    [
        ("--until", "aZ", "--until 'aZ' cannot occur: the vocabulary has no character 'Z'"),
        ("--until", r"\n", r"write a newline as $'\n'"),
        ("--until", r"b\t", r"write a tab as $'\t'"),
        ("--prime", r"a\nb", r"write a newline as $'\n'"),
        ("--prime", r"\t", r"write a tab as $'\t'"),
        ("--prime", r"a\b", r"no character '\\'"),
    ],
)
def test_a_text_that_cannot_occur_is_one_line(model, call, option, typed, says, more) -> None:
    code, out, err = call(option, typed, *more)
    assert (code, out) == (1, b"")
    assert says in err
    assert err.count("\n") == 1


def test_a_backslash_that_the_model_knows_is_text(home, call) -> None:
    save("escapes", Vocabulary("char", ("\n", "\\", "n")))
    for option in ("--until", "--prime"):
        code, _, err = call(option, r"\n", "--length", "5")
        assert (code, err.count("\n")) == (0, 1)
        assert err.startswith(
            f"charrnn: note: {option} holds a backslash and a letter, \\n; write a"
        )
        assert call(option, "\n", "--length", "5")[2] == ""


def test_samples_that_do_not_end_are_told_of(model, call, monkeypatch) -> None:
    monkeypatch.setattr("charrnn.cli._samples.LONG", 3)
    arguments = ("--count", "2", "--until", "abcde", "--seed", "1")
    done = call(*arguments, "--length", "30")
    assert (done[0], done[2]) == (0, "")
    samples = call("--count", "2", "--until", "\n", "--seed", "1", "--length", "0")
    assert samples[0] == 0
    assert samples[2].startswith("charrnn: note: 3 symbols are drawn and --until has not come")
    assert samples[2].count("\n") == 1
    monkeypatch.setattr("charrnn.sampling.draw.LONGEST", 9)
    code, out, err = call("--json", "--until", "abcdeabcde", "--seed", "1", "--length", "0")
    assert (code, out) == (1, b"")
    assert err.endswith("error: a sample has not ended after 9 symbols; give a --length\n")


def test_samples_are_separated_by_a_line(model, call) -> None:
    arguments = ("--seed", "8", "--length", "15", "--prime", "ab")
    out = call(*arguments, "--count", "3")[1].decode()
    parts = out.split("\n---\n")
    alone = call(*arguments)[1].decode()
    assert len(parts) == 3
    assert parts[0] == alone.removesuffix("\n")
    assert all(part.startswith("ab") for part in parts)
    assert len(parts[2]) == 17
    assert len(set(parts)) == 3


def test_a_sample_that_ends_its_line_gets_no_empty_one(model, call) -> None:
    out = call("--length", "900", "--until", "\n", "--count", "2", "--seed", "1")[1]
    first, second = out.split(b"---\n")
    assert first.count(b"\n") == second.count(b"\n") == 1
    assert first.endswith(b"\n")


def test_json_holds_seed_prime_text_and_log_probabilities(model, call) -> None:
    code, out, err = call("--json", "--count", "2", "--length", "12", "--prime", "漢")
    assert (code, err) == (0, "")
    records = [json.loads(line) for line in out.splitlines()]
    keys = {"sample", "seed", "prime", "text", "log_probs", "log_prob"}
    assert [set(r) for r in records] == [keys] * 2
    assert [r["sample"] for r in records] == [1, 2]
    first = records[0]
    assert first["prime"] == "漢"
    assert first["text"] == text(model, length=12, seed=first["seed"], prime="漢")
    assert len(first["log_probs"]) == 12
    assert all(value < 0 for value in first["log_probs"])
    assert first["log_prob"] == pytest.approx(sum(first["log_probs"]))


def test_the_next_symbols(model, call) -> None:
    expected = next_symbols(model, CHARS, SampleOptions(1.0), count=3, prime="ba")
    arguments = ("--next", "3", "--temp", "1", "--prime", "ba")
    lines = call(*arguments)[1].decode().splitlines()
    assert lines == [f"{symbol!r}\t{p:.6f}" for symbol, p in expected]
    record = json.loads(call(*arguments, "--json")[1])
    assert record["prime"] == "ba"
    assert [one["symbol"] for one in record["next"]] == [one.symbol for one in expected]
    for one, wanted in zip(record["next"], expected, strict=True):
        assert one["p"] == pytest.approx(wanted.p)
        assert one["log_p"] == pytest.approx(np.log(wanted.p))


def test_a_newline_stays_on_the_line_of_its_probability(home, call) -> None:
    save("lines", Vocabulary("char", ("\n", "\x1b")))
    out = call("--next", "2")[1].decode().splitlines()
    assert sorted(line.split("\t")[0] for line in out) == [r"'\n'", r"'\x1b'"]


def test_bytes_are_written_as_they_are(home, call) -> None:
    made = save("bytes", BYTES, cell="gru")
    expected = b"".join(
        part for part in stream(made, BYTES, length=200, seed=3, prime=b"\xc3\xa9") if part
    )
    arguments = ("--length", "200", "--seed", "3")
    assert call(*arguments, "--prime", "é")[1] == b"\xc3\xa9" + expected
    Path("prime").write_bytes(b"\xc3\xa9")
    assert call(*arguments, "--prime-file", "prime", "--no-echo")[1] == expected
    record = json.loads(call(*arguments, "--prime", "é", "--json")[1])
    assert record["prime"] == [0xC3, 0xA9]
    assert bytes(record["text"]) == expected


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--temp", "-0.1"), "--temp must"),
        (("--temperature=-0.1",), "--temperature must"),
        (("--temp", "nan"), "--temp"),
        (("--top-k", "-1"), "--top-k"),
        (("--top-p", "0"), "--top-p"),
        (("--top-p", "1.5"), "--top-p"),
        (("--min-p", "1"), "--min-p"),
        (("--length", "-1"), "--length"),
        (("--count", "0"), "--count"),
        (("--next", "0"), "--next"),
        (("--next", "2", "--count", "2"), "--count"),
        (("--length", "0", "--count", "2"), "--length"),
        (("--length", "0", "--json"), "--length"),
        (("--prime", "a", "--prime-file", "b"), "--prime-file"),
        (("--unknown", "perhaps"), "--unknown"),
        (("--backend", "abacus"), "abacus"),
        (("--threads", "0"), "--threads"),
    ],
)
def test_impossible_options_are_one_line_and_exit_code_2(
    model, call, arguments: tuple[str, ...], named: str
) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, b"")
    assert named in err


def test_option_errors_do_not_need_a_run_nor_numpy(home) -> None:
    program = (
        "import sys; from charrnn.cli.app import run; code = run(['sample', '--temp', '-1']);"
        "sys.exit(9 if {'numpy', 'safetensors', 'rich'} & set(sys.modules) else code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 2


def test_without_a_run_there_is_nothing_to_sample_from(home, call) -> None:
    code, out, err = call()
    assert (code, out) == (1, b"")
    assert err.count("\n") == 1


def test_a_missing_prime_file_is_named(model, call) -> None:
    code, out, err = call("--prime-file", "nowhere.txt")
    assert (code, out) == (1, b"")
    assert "nowhere.txt" in err


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "charrnn", "sample", *arguments]


def test_a_reader_that_leaves_ends_an_endless_sample_quietly(model) -> None:
    with subprocess.Popen(
        command("--length", "0"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert len(process.stdout.read(5000)) == 5000
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=20) == 141


def test_output_is_utf8_whatever_the_locale_and_the_prime_may_be_piped(model) -> None:
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        command("--seed", "1", "--length", "60", "--prime-file", "-"),
        input="漢 é\n".encode(),
        capture_output=True,
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode() == "漢 é\n" + text(model, length=60, seed=1, prime="漢 é\n")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_the_text_ends_its_line(model) -> None:
    import pty

    outer, inner = pty.openpty()
    subprocess.run(
        command("--length", "5", "--until", "a", "--seed", "3"), stdout=inner, check=True
    )
    os.close(inner)
    written = b""
    try:
        while part := os.read(outer, 1000):
            written += part
    except OSError:  # how Linux reports the end
        pass
    os.close(outer)
    expected = text(model, length=5, until="a", seed=3)
    assert written.decode().replace("\r\n", "\n") == expected + "\n" * (expected[-1] != "\n")


def test_what_a_prime_lost_is_counted(model, call) -> None:
    arguments = ("--length", "5", "--seed", "1", "--unknown", "skip")
    note = "charrnn: note: 2 symbols that the model does not know were skipped\n"
    assert call(*arguments, "--prime", "aXbY")[2] == note
    assert call(*arguments, "--prime", "aXbY", "--next", "2")[0] == 2
    shown = call("--next", "2", "--unknown", "skip", "--prime", "aXbY")
    assert (shown[0], shown[2]) == (0, note)
    _, out, err = call(*arguments, "--prime", "aXbY", "--json", "--count", "2")
    assert [json.loads(line)["skipped"] for line in out.splitlines()] == [2, 2]
    assert err == note
    _, out, err = call(*arguments, "--prime", "ab", "--json")
    assert (json.loads(out)["skipped"], err) == (0, "")
    assert "skipped" not in json.loads(call("--length", "5", "--prime", "ab", "--json")[1])


def test_a_model_with_an_unknown_symbol_skips_nothing(home, call) -> None:
    save("unknown", Vocabulary("char", ("\n", "a", "\ufffd"), 2))
    arguments = ("--length", "5", "--seed", "1", "--prime", "aX", "--unknown", "skip")
    code, out, err = call(*arguments)
    assert (code, err.count("\n")) == (0, 1)
    assert "--unknown has no effect" in err
    assert call(*arguments[:-2])[1:] == (out, "")
