"""Event files: as their format says, and as TensorBoard reads them."""

import json
import struct

import numpy as np
import pytest
from helpers.commands import inside

from charrnn.exchange.event_file import crc32c, events, opening, record, scalars, summaries

RECORDS = [
    {"event": "start", "run": "r"},
    {"event": "step", "step": 25, "loss": 3.25, "smoothed": 3.3, "grad_norm": 0.125, "lr": 1e-3,
     "chars_per_second": 12345.6, "epoch": 0, "seconds": 1.5},
    {"event": "watch", "step": 300, "grad_norms": {"rnn.l0": 0.5, "x": None},
     "update_ratios": {"global": 0.01}, "clip_rate": 0.0},
    {"event": "eval", "step": 1_000_000, "val_loss": 1.5, "best": True, "seconds": 99.0},
    {"event": "end", "step": 1_000_000, "reason": "steps"},
]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "crc"),
    [(b"", 0), (b"123456789", 0xE3069283), (b"\0" * 32, 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43)],
)
def test_the_checksum_is_crc_32c(data, crc):
    """The check value of CRC-32C, and the vectors of RFC 3720, B.4."""
    assert crc32c(data) == crc


def test_a_record_is_framed_by_its_length_and_checksums():
    assert record(b"abc")[:8] == b"\x03" + b"\0" * 7
    assert record(b"abc")[12:15] == b"abc"
    assert len(record(b"abc")) == 8 + 4 + 3 + 4


def test_only_numbers_that_are_known_are_scalars():
    assert scalars(RECORDS[2]) == {
        "clip_rate": 0.0, "grad_norms/rnn.l0": 0.5, "update_ratios/global": 0.01,
    }  # fmt: skip
    assert scalars(RECORDS[3]) == {"val_loss": 1.5}
    assert scalars(RECORDS[0]) == scalars(RECORDS[4]) == {}


@pytest.mark.parametrize(("value", "read"), [(1e50, "inf"), (-1e50, "-inf"), (3e38, 3e38)])
def test_a_number_too_large_for_the_file_is_infinite(value, read):
    (written,) = summaries([{"event": "step", "step": 1, "loss": value, "seconds": 0.0}], 0.0)
    assert struct.unpack("<f", written[:-4][-4:])[0] == np.float32(read)


def test_a_record_without_a_time_has_that_of_the_one_before_it():
    def of(step, time, loss):
        tag = b"\x0a\x0b" + b"\x0a\x04loss" + b"\x15" + struct.pack("<f", loss)
        return record(b"\x09" + struct.pack("<d", time) + b"\x10" + step + b"\x2a\x0d" + tag)

    records = [
        {"event": "start", "seconds": 1.0, "n": 3},
        {"event": "step", "step": 3, "seconds": 2.5, "loss": 1.5},
        {"event": "step", "step": 300, "loss": 0.5},
        {"event": "end", "step": 300, "seconds": 9.0, "loss": 0.5},
    ]
    first, *others = events(records, 100.0)
    assert first == opening(100.0)
    assert others == [of(b"\x03", 102.5, 1.5), of(b"\xac\x02", 102.5, 0.5)]
    assert list(summaries(records[2:3], 100.0)) == [of(b"\xac\x02", 100.0, 0.5)]


def test_the_command_writes_the_metrics_of_any_run(tmp_path):
    (tmp_path / "t.tsv").write_text("a\tthe cat\nb\ta dog\n" * 20, encoding="utf-8")
    train = ("train", "t.tsv", "--task", "classify", "--hidden", "4", "--steps", "4", "--name", "r")
    assert inside(*train, "--log-every", "1", "--watch", "2", cwd=tmp_path).returncode == 0
    words = ("export", "r", "--to", "tensorboard", "--out", "board")
    for _ in range(2):  # the second time it is replaced
        facts = json.loads(inside(*words, "--json", cwd=tmp_path).stdout)
    (path,) = (tmp_path / "board").rglob("*")
    data = path.read_bytes()
    assert facts == {"file": "board/" + path.name, "to": "tensorboard", "bytes": len(data)}
    assert path.name.startswith("events.out.tfevents.")
    for tag in (b"loss", b"val_loss", b"accuracy", b"grad_norms/"):
        assert tag in data
    assert inside(*words, cwd=tmp_path).stdout.startswith(f"board/{path.name}: ")
    checkpoint = next(tmp_path.glob("checkpoints/r/best*")).rename(tmp_path / "m.safetensors")
    done = inside("export", checkpoint.name, *words[2:], cwd=tmp_path)
    assert (done.returncode, "there are no metrics next to m.safe" in done.stderr) == (1, True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of its own imports
def test_tensorboard_reads_the_same_numbers(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    path = tmp_path / "events.out.tfevents.1.charrnn"
    path.write_bytes(b"".join(events(RECORDS, 1000.0)))
    read = EventAccumulator(str(path))
    read.Reload()
    expected = {
        (tag, found["step"]): value for found in RECORDS for tag, value in scalars(found).items()
    }
    seen = {
        (tag, one.step): one.value for tag in read.Tags()["scalars"] for one in read.Scalars(tag)
    }
    assert seen == {key: np.float32(value) for key, value in expected.items()}
    assert read.Scalars("loss")[0].wall_time == 1001.5
