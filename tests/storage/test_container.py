"""The file format: whole or not at all, verified on reading, hostile files refused."""

import errno
import hashlib
import json
import os

import numpy as np
import pytest
from helpers.checkpoints import DIGEST, header_of, seal
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from charrnn.errors import CharRNNError, CheckpointError
from charrnn.storage import container

pytestmark = pytest.mark.usefixtures("slow_disk")

FACTS = {"format": 1, "text": 'a "quote", a \\, é, \U0001f600', "nested": {"none": None, "x": 0.1}}


def tensors():
    return {
        "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
        "double": np.array([1e-300, -0.0, np.inf]),
        "empty": np.empty((0, 4), np.float32),
    }


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "run" / "file.safetensors"
    path.parent.mkdir()
    container.write(path, tensors(), FACTS)
    return path


def put(path, data):
    path.write_bytes(data)
    return path


def test_what_is_written_is_read(path):
    found, facts = container.read(path)
    assert found.keys() == tensors().keys()
    for name, array in tensors().items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)
        assert np.signbit(found[name]).tolist() == np.signbit(array).tolist()
    digest = facts.pop("digest")
    assert facts == FACTS
    assert len(digest) == 64


def test_arrays_that_are_not_contiguous_are_written_in_order(tmp_path, rng):
    whole = rng.standard_normal((6, 8))
    views = {"turned": whole.T, "strided": whole[::2, 1::3], "reversed": whole[::-1]}
    container.write(tmp_path / "file", views, {})
    found, _ = container.read(tmp_path / "file")
    for name, view in views.items():
        np.testing.assert_array_equal(found[name], view)


def test_the_safetensors_library_reads_the_file(path):
    found = load_file(path)
    for name, array in tensors().items():
        np.testing.assert_array_equal(found[name], array)
    with safe_open(path, "np") as file:
        assert set(file.metadata()) == {"charrnn"}
        assert json.loads(file.metadata()["charrnn"])["nested"] == FACTS["nested"]


def test_equal_contents_give_equal_bytes(path, tmp_path):
    other = tmp_path / "other"
    container.write(other, tensors(), FACTS)
    assert other.read_bytes() == path.read_bytes()


def test_every_flipped_byte_is_found(path):
    whole = path.read_bytes()
    for at in range(len(whole)):
        data = bytearray(whole)
        data[at] ^= (0x01, 0x80, 0xFF)[at % 3]
        with pytest.raises(CheckpointError):
            container.read(put(path, data))


def test_every_truncation_and_extension_is_found(path):
    whole = path.read_bytes()
    cut = [whole[:length] for length in range(len(whole))]
    for data in (*cut, whole + b"\0", whole + b"}", whole + whole):
        with pytest.raises(CheckpointError):
            container.read(put(path, data))
    container.read(put(path, whole))


ENTRY = '"dtype":"F32","shape":[2],"data_offsets":[0,8]'


def test_a_sealed_file_of_ones_own_is_read(tmp_path):
    """The forgeries below fail for what is wrong with them, not for their seal."""
    path = tmp_path / "file"
    path.write_bytes(
        seal(header_of(',"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'), b"\0" * 8)
    )
    found, _ = container.read(path)
    assert found["a"].tolist() == [0.0, 0.0]


HOSTILE = {
    "no JSON": ",,,",
    "a type that is never written": ',"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}',
    "a type that is none": ',"a":{"dtype":["F32"],"shape":[2],"data_offsets":[0,8]}',
    "a huge shape": ',"a":{"dtype":"F32","shape":[1000000000000,2],"data_offsets":[0,8]}',
    "a shape that overflows": ',"a":{"dtype":"F32","shape":[8,8,8,8,8,8,8],"data_offsets":[0,8]}',
    "many dimensions": ',"a":{"dtype":"F32","shape":[' + "1," * 99 + '2],"data_offsets":[0,8]}',
    "a negative extent": ',"a":{"dtype":"F32","shape":[-1,-2],"data_offsets":[0,8]}',
    "a fraction": ',"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}',
    "a truth value": ',"a":{"dtype":"F32","shape":[2,true],"data_offsets":[0,8]}',
    "offsets beyond the end": ',"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}',
    "offsets turned round": ',"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}',
    "a hole": ',"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}',
    "bytes left over": ',"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}',
    "an overlap": f',"a":{{{ENTRY}}},"b":{{{ENTRY}}}',
    "a name twice": f',"a":{{{ENTRY}}},"a":{{{ENTRY}}}',
    "three offsets": ',"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}',
    "no offsets": ',"a":{"dtype":"F32","shape":[2]}',
    "offsets of mixed types": f',"a":{{{ENTRY}}},"b":{{"dtype":"F32","data_offsets":"x"}}',
    "an entry that is a list": ',"a":[1,2]',
    "an entry that is nothing": ',"a":null',
    "deep nesting": ',"a":' + "[" * 100_000 + "]" * 100_000,
    "a number without end": ',"a":{"dtype":"F32","shape":['
    + "9" * 5000
    + '],"data_offsets":[0,8]}',
}


@pytest.mark.parametrize("entries", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_header_is_refused(entries, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(seal(header_of(entries), b"\0" * 8))
    with pytest.raises(CheckpointError) as caught:
        container.read(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 200


@pytest.mark.parametrize(
    "rest",
    ['\\"', '\\",\\"a\\":}', '\\",\\"digest\\":1}', '\\"} {', '\\",\\"a\\":' + "[" * 99_999 + "}"],
    ids=["open", "no value", "a fact twice", "more than one", "deep nesting"],
)
def test_hostile_facts_are_refused(rest, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(seal(header_of("", '{\\"digest\\":\\"' + "0" * 64 + rest)))
    with pytest.raises(CheckpointError):
        container.read(path)


@pytest.mark.parametrize("length", [0, 64, 1 << 40, (1 << 64) - 1])
def test_a_wrong_length_of_the_header_is_refused(length, path):
    data = bytearray(path.read_bytes())
    data[:8] = length.to_bytes(8, "little")
    data[DIGEST] = b"0" * 64
    data[DIGEST] = hashlib.sha256(data).hexdigest().encode()
    path.write_bytes(data)
    with pytest.raises(CheckpointError):
        container.read(path)


def test_what_is_no_checkpoint_is_called_so(tmp_path, rng):
    path = tmp_path / "file"
    contents = [b"", b"abc", b"a line of text\n" * 100, rng.bytes(5000), b"\0" * 4096]
    for data in contents:
        path.write_bytes(data)
        with pytest.raises(CheckpointError, match="not a charrnn checkpoint"):
            container.read(path)
    save_file({"weight": np.zeros((30, 30), np.float32)}, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="not a charrnn checkpoint"):
        container.read(path)
    with pytest.raises(CheckpointError, match="not a regular file"):
        container.read(tmp_path)
    with pytest.raises(CheckpointError, match="No such file"):
        container.read(tmp_path / "missing")


def fail(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("place", ["open", "write", "fsync", "replace"])
def test_a_failing_write_leaves_the_old_file(place, path, monkeypatch):
    before = path.read_bytes()
    with monkeypatch.context() as broken:
        broken.setattr(os, place, fail)
        with pytest.raises(CharRNNError, match=r"cannot write .*No space left") as caught:
            container.write(path, {"a": np.ones(5)}, {"format": 2})
    assert caught.value.exit_code == 1
    assert not isinstance(caught.value, CheckpointError)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    container.write(path, {"a": np.ones(5)}, {"format": 2})
    assert container.read(path)[1]["format"] == 2


def test_an_interrupt_while_writing_leaves_no_temporary_file(path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    before = path.read_bytes()
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            container.write(path, {"a": np.ones(5)}, {})
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_folder_that_is_gone_is_an_error_of_one_line(tmp_path):
    with pytest.raises(CharRNNError, match="cannot write") as caught:
        container.write(tmp_path / "gone" / "file", {}, {})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("length", range(1, 200, 7))
def test_facts_of_any_length_are_written(length, tmp_path):
    """The length of the header stands before it as eight bytes of any value."""
    container.write(tmp_path / "file", {}, {"text": "x" * length})
    assert container.read(tmp_path / "file")[1]["text"] == "x" * length


def test_what_could_not_be_read_is_not_written(path):
    before = path.read_bytes()
    with pytest.raises(CharRNNError, match="vocabulary is too large"):
        container.write(path, {"a": np.ones(5)}, {"symbols": ["a"] * 200_000})
    assert path.read_bytes() == before
    large = {"a": np.ones(1_500_000)}
    container.write(path, large, {"symbols": ["a"] * 200_000})
    assert len(container.read(path)[1]["symbols"]) == 200_000
