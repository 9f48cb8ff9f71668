"""``charrnn eval`` as a user meets it."""

import io
import json
import math
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.commands import check_names

from charrnn.cli.app import run
from charrnn.config import ModelConfig
from charrnn.evaluate import score
from charrnn.model.language import LanguageModel
from charrnn.storage import checkpoint, heldout
from charrnn.text.vocabulary import Vocabulary

CHARS = Vocabulary("char", tuple("\t\n \\abcdeé漢"))
BYTES = Vocabulary("byte", tuple(range(256)))
TEXT = "abé 漢\tc\\\n\nd\nbad cab"


def save(name: str, vocabulary: Vocabulary) -> LanguageModel:
    config = ModelConfig(hidden=10, layers=2)
    model = LanguageModel.fresh(config, len(vocabulary), 4)
    folder = Path("checkpoints", name)
    folder.mkdir(parents=True)
    saved = checkpoint.Checkpoint(config, vocabulary, model.weights.flat)
    checkpoint.save(folder / "last.safetensors", saved)
    return model


@pytest.fixture
def model(home: Path) -> LanguageModel:
    Path("text.txt").write_bytes(TEXT.encode())
    return save("chars", CHARS)


@pytest.fixture
def call(capfdbinary):
    """Run a command line; return its exit code, standard output and standard error."""

    def run_it(*arguments: str) -> tuple[int, bytes, str]:
        code = run(["eval", *arguments])
        out, err = capfdbinary.readouterr()
        check_names(("eval", *arguments), err)
        return code, out, err.decode()

    return run_it


def nats(model: LanguageModel, text: str) -> float:
    return score(model, [CHARS.encode(text)]).nats_per_char


def test_json_holds_the_exact_score(model, call) -> None:
    code, out, err = call("text.txt", "--json")
    assert (code, err) == (0, "")
    record = json.loads(out)
    assert record["chars"] == len(TEXT) - 1
    assert record["nats_per_char"] == pytest.approx(nats(model, TEXT), rel=1e-6)
    assert record["bits_per_char"] == pytest.approx(nats(model, TEXT) / math.log(2), rel=1e-6)
    assert record["perplexity"] == pytest.approx(math.exp(nats(model, TEXT)), rel=1e-6)
    assert record["run"] == str(Path("checkpoints", "chars", "last.safetensors"))
    assert record["source"] == ["text.txt"]
    assert record["split"] is None


def test_the_table_shows_the_same_figures(model, call) -> None:
    out = call("text.txt")[1].decode()
    rows = dict(line.split("  ", 1) for line in out.splitlines())
    figures = {name.strip(): value.strip() for name, value in rows.items()}
    assert figures["characters scored"] == str(len(TEXT) - 1)
    assert figures["nats per character"] == f"{nats(model, TEXT):.6f}"
    assert figures["perplexity"] == f"{math.exp(nats(model, TEXT)):.4f}"


def test_texts_are_joined_and_may_come_from_a_pipe(model, call, monkeypatch) -> None:
    Path("more.txt").write_bytes(b"ab\n")
    whole = json.loads(call("text.txt", "more.txt", "--json")[1])
    assert whole["nats_per_char"] == pytest.approx(nats(model, TEXT + "ab\n"), rel=1e-6)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(TEXT.encode() + b"ab\n")))
    piped = json.loads(call("-", "--json", "--run", "chars")[1])
    assert piped["nats_per_char"] == whole["nats_per_char"]


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_split_is_the_run_s_own_text(model, call, split: str) -> None:
    ids = CHARS.encode("bead " * 30)
    heldout.write(Path("checkpoints/chars"), split, ids)
    record = json.loads(call("--split", split, "--json")[1])
    assert record["chars"] == 149
    assert record["nats_per_char"] == pytest.approx(score(model, [ids]).nats_per_char, rel=1e-6)
    assert (record["source"], record["split"]) == (None, split)


def test_symbols_read_as_the_unknown_symbol_are_counted(home, call) -> None:
    save("folded", Vocabulary("char", tuple("\nab\ufffd"), 3))
    Path("text.txt").write_text("aXb\nYa")
    code, out, err = call("text.txt", "--json")
    assert (code, json.loads(out)["folded"]) == (0, 2)
    assert "2 symbols that the model does not know were read as its unknown symbol" in err
    assert call("text.txt", "--per-line")[2] == err
    heldout.write(Path("checkpoints/folded"), "val", np.array([1, 3, 2], np.uint8))
    record = json.loads(call("--split", "val", "--json")[1])
    assert (record["folded"], record["bytes"]) == (None, None)


def test_a_missing_split_is_one_line(model, call) -> None:
    code, out, err = call("--split", "test")
    assert (code, out, err.count("\n")) == (1, b"", 1)
    assert "test" in err


def test_each_line_is_printed_after_its_score(model, call) -> None:
    out = call("text.txt", "--per-line")[1].decode()
    lines = TEXT.splitlines(keepends=True)
    expected = [f"{nats(model, line):.6f}" if len(line) > 1 else "-" for line in lines]
    printed = [line.split("\t", 1) for line in out.splitlines(keepends=True)]
    assert [amount for amount, _ in printed] == expected
    assert "".join(line for _, line in printed) == TEXT + "\n"


def test_lines_in_json(model, call) -> None:
    records = [
        json.loads(line) for line in call("text.txt", "--per-line", "--json")[1].splitlines()
    ]
    assert [record["line"] for record in records] == [1, 2, 3, 4]
    assert [record["text"] for record in records] == TEXT.split("\n")
    assert [record["chars"] for record in records] == [8, 0, 1, 6]
    assert records[1]["nats_per_char"] is None
    assert records[3]["nats_per_char"] == pytest.approx(nats(model, "bad cab"), rel=1e-6)


def test_pieces_are_read_from_a_zero_state(model, call) -> None:
    found = json.loads(call("text.txt", "--reset-every", "5", "--json")[1])
    pieces = [TEXT[at : at + 6] for at in range(0, len(TEXT) - 1, 5)]
    amounts = [nats(model, piece) * (len(piece) - 1) for piece in pieces]
    assert found["nats"] == pytest.approx(sum(amounts), rel=1e-6)
    assert (found["chars"], found["reset_every"]) == (len(TEXT) - 1, 5)
    assert "every 5" in call("text.txt", "--reset-every", "5")[1].decode()


def test_lines_of_a_split(model, call) -> None:
    heldout.write(Path("checkpoints/chars"), "val", CHARS.encode(TEXT))
    assert call("--split", "val", "--per-line") == call("text.txt", "--per-line")


def test_every_symbol_has_a_line_with_its_surprisal(model, call) -> None:
    lines = call("text.txt", "--per-char")[1].decode().splitlines()
    shown = [line.rsplit("\t", 1) for line in lines]
    escaped = TEXT.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
    assert "".join(symbol for symbol, _ in shown) == escaped
    assert shown[0][1] == "-"
    total = sum(float(value) for _, value in shown[1:])
    assert total / (len(TEXT) - 1) == pytest.approx(nats(model, TEXT), abs=1e-5)


def test_symbols_in_json(model, call) -> None:
    records = [
        json.loads(line) for line in call("text.txt", "--per-char", "--json")[1].splitlines()
    ]
    assert "".join(record["symbol"] for record in records) == TEXT
    assert records[0]["nats"] is None
    mean = np.mean([record["nats"] for record in records[1:]])
    assert mean == pytest.approx(nats(model, TEXT), rel=1e-6)


def test_bytes(home, call) -> None:
    model = save("bytes", BYTES)
    data = b"\x00\xff\xc3\n\nab\\\x7f"
    Path("data.bin").write_bytes(data)
    record = json.loads(call("data.bin", "--json")[1])
    expected = score(model, [np.frombuffer(data, np.uint8)]).nats_per_char
    assert record["nats_per_char"] == pytest.approx(expected, rel=1e-6)
    out = call("data.bin", "--per-line")[1]
    escaped = [b"\\x00\\xff\\xc3", b"", b"ab\\\\x7f"]
    assert [line.split(b"\t", 1)[1] for line in out.split(b"\n")[:-1]] == escaped
    lines = [json.loads(line) for line in call("data.bin", "--per-line", "--json")[1].splitlines()]
    assert [line["text"] for line in lines] == [list(part) for part in data.split(b"\n")]
    shown = [line.split(b"\t")[0] for line in call("data.bin", "--per-char")[1].splitlines()]
    assert b"".join(shown) == rb"\x00\xff\xc3\n\nab\\\x7f"
    chars = [json.loads(line) for line in call("data.bin", "--per-char", "--json")[1].splitlines()]
    assert [one["symbol"] for one in chars] == list(data)


def test_unknown_symbols(model, call) -> None:
    Path("other.txt").write_text("abZcd", encoding="utf-8")
    code, out, err = call("other.txt", "--json")
    assert (code, out) == (1, b"")
    assert "'Z'" in err
    record = json.loads(call("other.txt", "--json", "--unknown", "skip")[1])
    assert record["chars"] == 3
    assert record["nats_per_char"] == pytest.approx(nats(model, "abcd"), rel=1e-6)


def test_skipped_symbols_are_counted(model, call) -> None:
    Path("other.txt").write_text("abZcd\nabe\nÄÖ\n", encoding="utf-8")
    skip = ("other.txt", "--unknown", "skip")
    code, out, err = call(*skip, "--json")
    assert (code, json.loads(out)["skipped"]) == (0, 3)
    assert err == "charrnn: note: 3 symbols that the model does not know were skipped\n"
    assert "characters skipped  3\n" in call(*skip)[1].decode()
    code, out, err = call(*skip, "--per-line", "--json")
    assert [json.loads(line)["skipped"] for line in out.splitlines()] == [1, 0, 2]
    assert err.endswith("were skipped, in 2 lines\n")
    err = call(*skip, "--per-line")[2]
    assert err.endswith("were skipped, in 2 lines (--json counts them)\n")
    assert "3 symbols" in call(*skip, "--per-char")[2]
    record = json.loads(call("text.txt", "--json")[1])
    assert record["skipped"] == 0
    code, out, err = call("text.txt", "--unknown", "skip")
    assert (code, err) == (0, "")
    assert "characters skipped  0\n" in out.decode()


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_text_of_which_nothing_is_left_is_one_line(model, call, flags: tuple[str, ...]) -> None:
    Path("other.txt").write_text("ÄaÖ")
    code, out, err = call("other.txt", "--unknown", "skip", *flags)
    assert (code, out, err.count("\n")) == (1, b"", 1)
    assert "1 symbol left, 2 skipped" in err


def test_totals_and_bytes_compare_levels(model, call) -> None:
    record = json.loads(call("text.txt", "--json")[1])
    assert record["nats"] == pytest.approx(nats(model, TEXT) * (len(TEXT) - 1), rel=1e-6)
    assert record["bits"] == pytest.approx(record["nats"] / math.log(2), rel=1e-12)
    assert record["bytes"] == len(TEXT.encode())
    assert record["bits_per_byte"] == pytest.approx(record["bits"] / record["bytes"], rel=1e-12)
    rows = dict(
        re.split("  +", line, maxsplit=1) for line in call("text.txt")[1].decode().splitlines()
    )
    assert rows["nats in all"] == f"{record['nats']:.6f}"
    assert rows["bits in all"] == f"{record['bits']:.6f}"
    assert rows["bytes of the text"] == str(record["bytes"])
    assert rows["bits per byte"] == f"{record['bits_per_byte']:.6f}"
    lines = [json.loads(line) for line in call("text.txt", "--per-line", "--json")[1].splitlines()]
    assert [line["bytes"] for line in lines] == [
        len(line.encode()) for line in TEXT.splitlines(keepends=True)
    ]
    assert lines[0]["nats"] == pytest.approx(8 * lines[0]["nats_per_char"], rel=1e-12)
    assert lines[1]["nats"] == 0.0
    Path("other.txt").write_text("abÖcd", encoding="utf-8")
    record = json.loads(call("other.txt", "--json", "--unknown", "skip")[1])
    assert (record["bytes"], record["skipped"]) == (4, 1)


def test_bytes_of_bytes_and_of_a_split(home, call) -> None:
    save("bytes", BYTES)
    heldout.write(Path("checkpoints/bytes"), "val", np.arange(40, dtype=np.uint8))
    record = json.loads(call("--split", "val", "--json")[1])
    assert (record["bytes"], record["chars"]) == (40, 39)
    folded = Vocabulary("char", ("a", "é", "\ufffd"), 2)
    save("folded", folded)
    for ids, size in (([0, 1, 0, 1], 6), ([0, 1, 2], None)):
        heldout.write(Path("checkpoints/folded"), "val", np.array(ids, np.uint8))
        record = json.loads(call("--run", "folded", "--split", "val", "--json")[1])
        assert record["bytes"] == size
        assert (record["bits_per_byte"] is None) == (size is None)
        lines = call("--run", "folded", "--split", "val", "--json", "--per-line")[1].splitlines()
        assert [json.loads(line)["bytes"] for line in lines] == [size]
    assert (
        "bytes of the text   not known\n" in call("--run", "folded", "--split", "val")[1].decode()
    )
    Path("text.txt").write_text("aé漢a", encoding="utf-8")
    record = json.loads(call("text.txt", "--run", "folded", "--json")[1])
    assert record["bytes"] == 7  # what was folded is at hand


def test_whole_lines_are_scored_after_a_newline(model, call) -> None:
    arguments = ("text.txt", "--per-line", "--json")
    lines = [json.loads(line) for line in call(*arguments, "--start", "newline")[1].splitlines()]
    for record, line in zip(lines, TEXT.splitlines(keepends=True), strict=True):
        assert record["chars"] == len(line)
        assert record["nats_per_char"] == pytest.approx(nats(model, "\n" + line), rel=1e-6)
        assert record["nats"] == pytest.approx(len(line) * record["nats_per_char"], rel=1e-12)
    out = call("text.txt", "--per-line", "--start", "newline")[1].decode()
    amounts = [line.split("\t", 1)[0] for line in out.splitlines()]
    assert amounts == [f"{line['nats_per_char']:.6f}" for line in lines]
    assert call(*arguments, "--start", "none") == call(*arguments)


def test_the_probabilities_of_all_lines_add_up_to_one(home, call) -> None:
    save("three", Vocabulary("char", ("\n", "a", "b")))
    total = 0.0
    for line in ("\n", "a", "b\n", "ba", "bb"):
        Path("line.txt").write_text(line, encoding="utf-8", newline="")
        record = json.loads(call("line.txt", "--per-line", "--start", "newline", "--json")[1])
        total += math.exp(-record["nats"])
    assert total == pytest.approx(1.0, abs=1e-6)


def test_a_line_starts_after_a_newline_only_where_the_model_knows_it(home, call) -> None:
    save("bare", Vocabulary("char", ("a", "b")))
    Path("text.txt").write_text("ab", encoding="utf-8")
    code, out, err = call("text.txt", "--per-line", "--start", "newline")
    assert (code, out, err.count("\n")) == (2, b"", 1)
    assert "does not know the newline" in err
    assert call("text.txt", "--per-line", "--start", "none")[0] == 0


def test_other_encodings(model, call) -> None:
    Path("latin.txt").write_bytes("abéé".encode("latin-1"))
    code, out, err = call("latin.txt")
    assert (code, out) == (1, b"")
    assert "offset 2" in err
    record = json.loads(call("latin.txt", "--json", "--encoding", "latin-1")[1])
    assert record["nats_per_char"] == pytest.approx(nats(model, "abéé"), rel=1e-6)
    arguments = ("latin.txt", "--json", "--errors", "replace", "--unknown", "skip")
    assert json.loads(call(*arguments)[1])["chars"] == 1


@pytest.mark.parametrize("content", [b"", b"a"])
def test_a_text_that_is_too_short_is_one_line(model, call, content: bytes) -> None:
    Path("short.txt").write_bytes(content)
    for flags in ((), ("--json",)):
        code, out, err = call("short.txt", *flags)
        assert (code, out, err.count("\n")) == (1, b"", 1)


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_model_with_weights_that_are_no_numbers_is_refused(
    home, call, flags: tuple[str, ...]
) -> None:
    model = save("chars", CHARS)
    model.weights["decoder.bias"][1] = np.nan
    saved = checkpoint.Checkpoint(model.config, CHARS, model.weights.flat)
    checkpoint.save(Path("checkpoints/chars/last.safetensors"), saved)
    Path("text.txt").write_bytes(b"abc")
    code, out, err = call("text.txt", *flags)
    assert (code, out) == (1, b"")
    assert "decoder.bias" in err
    assert "charrnn diagnose" in err


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_model_whose_output_overflows_has_no_score(home, call, flags: tuple[str, ...]) -> None:
    model = save("chars", CHARS)
    model.weights["decoder.bias"][...] = -np.finfo(np.float32).max
    model.weights["decoder.bias"][0] = np.finfo(np.float32).max
    saved = checkpoint.Checkpoint(model.config, CHARS, model.weights.flat)
    checkpoint.save(Path("checkpoints/chars/last.safetensors"), saved)
    Path("text.txt").write_bytes(b"abc")
    code, out, _ = call("text.txt", *flags)
    assert code == 0
    if flags:
        assert json.loads(out)["nats_per_char"] is None
    else:
        assert b"inf" in out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), "--split"),
        (("text.txt", "--split", "val"), "text.txt and --split exclude each other"),
        (("text.txt", "--per-line", "--per-char"), "--per-line"),
        (("text.txt", "--start", "newline"), "--start"),
        (("text.txt", "--per-char", "--start", "none"), "--start"),
        (("--split", "train"), "--split"),
        (("--split", "val", "--encoding", "latin-1"), "--encoding"),
        (("--split", "val", "--unknown", "skip"), "--unknown"),
        (("text.txt", "--encoding", "klingon"), "klingon"),
        (("text.txt", "--backend", "abacus"), "abacus"),
    ],
)
def test_impossible_options_are_named_and_exit_with_2(
    model, call, arguments: tuple[str, ...], named: str
) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, b"")
    assert named in err


def test_a_missing_text_is_named(model, call) -> None:
    code, out, err = call("nowhere.txt")
    assert (code, out) == (1, b"")
    assert "nowhere.txt" in err


def test_spaces_and_joiners_of_a_line_are_shown_as_they_are(home, call) -> None:
    line = "Oui\u00a0!\u3000雨 می\u200cخواهم \U0001f468\u200d\U0001f469"
    save("spaces", Vocabulary("char", tuple(sorted({"\n", *line}))))
    Path("text.txt").write_text(f"{line}\n", encoding="utf-8")
    assert call("text.txt", "--per-line")[1].decode().endswith(f"\t{line}\n")
