"""State dicts of other programs: what is read, and what is refused in one line."""

import json

import numpy as np
import pytest
from helpers.commands import inside
from safetensors.numpy import save_file

import charrnn
from charrnn.errors import CharRNNError, UsageError

V, D, H = 4, 5, 3
SYMBOLS = ["c", "a", "\n", "ä"]


def state(gates=4, layers=1, embed=True, **more):
    """Return the state dict of a character model; ``more`` replaces or adds tensors, or drops."""
    rng = np.random.default_rng(2)
    shapes = {"emb.weight": (V, D)} if embed else {}
    for k in range(layers):
        inputs = H if k else D if embed else V
        shapes |= {f"net.weight_ih_l{k}": (gates * H, inputs), f"net.bias_ih_l{k}": (gates * H,)}
        shapes |= {f"net.weight_hh_l{k}": (gates * H, H), f"net.bias_hh_l{k}": (gates * H,)}
    shapes |= {"fc.weight": (V, H), "fc.bias": (V,)}
    found = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    for name, shape in more.items():
        found.pop(name, None)
        if shape is not None:
            found[name] = np.ones(shape, np.float32)
    return found


@pytest.fixture
def load(tmp_path):
    """Import a state dict."""

    def run(tensors, vocabulary=SYMBOLS, **options):
        save_file(tensors, tmp_path / "m.safetensors")
        return charrnn.import_model(tmp_path / "m.safetensors", vocabulary, **options)

    return run


def test_symbols_get_the_order_of_the_vocabulary(load):
    tensors = state()
    model = load(tensors)
    assert model.vocabulary.symbols == ("\n", "a", "c", "ä")
    for own, theirs in enumerate((2, 1, 0, 3)):
        assert np.array_equal(model.weights["embedding.weight"][own], tensors["emb.weight"][theirs])
        assert np.array_equal(model.weights["decoder.weight"][own], tensors["fc.weight"][theirs])
        assert model.weights["decoder.bias"][own] == tensors["fc.bias"][theirs]
    columns = state(embed=False)
    first = load(columns).weights["rnn.weight_ih_l0"]
    assert np.array_equal(first, columns["net.weight_ih_l0"][:, [2, 1, 0, 3]])


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (state() | {"b.weight_ih_l0": np.ones((12, 5), "f4")}, "several recurrent modules"),
        ({"fc.weight": np.ones((4, 3), "f4")}, "no torch.nn.RNN, GRU or LSTM"),
        (state(**{"net.weight_ih_l0_reverse": (12, 5)}), "both directions"),
        (state(**{"net.weight_hr_l0": (2, 3)}), "proj_size"),
        (state(layers=2, **{"net.weight_hh_l0": None}), "a layer of its recurrent module"),
        (state(**{"net.weight_hh_l0": (12,)}), "has 1 dimensions"),
        (state(**{"net.weight_hh_l0": (12, 5)}), r"no cell has recurrent weights \(12, 5\)"),
        (state(gates=2), r"no cell has recurrent weights \(6, 3\)"),
        (state(**{"net.bias_hh_l0": (9,)}), "two biases of a layer differ"),
        (state(**{"fc.weight": None, "fc.bias": None}), "reads 5 inputs, but there are 4"),
        (state(**{"fc.bias": (3,)}), "decoder.bias is missing or does not fit"),
        (state(**{"fc.weight": (5, 3), "fc.bias": (5,)}), "does not fit the layers"),
        (state(**{"norm.bias": (3,)}), r"more than an Embedding.*norm\.bias"),
        (state(**{"fc2.weight": (4, 3), "fc2.bias": (4,)}), "several torch.nn.Linear"),
        (state(embed=False, **{"net.weight_ih_l0": (12, 7)}), "reads 7 inputs, but there are 4"),
        (state() | {"fc.bias": np.array([1, 2, 3, np.nan], "f4")}, "not a finite number"),
        (state() | {"step": np.array([1])}, "unexpected type"),
    ],
)
def test_what_is_no_character_model_is_refused(load, tensors, message):
    with pytest.raises(CharRNNError, match=message):
        load(tensors)


def test_a_linear_without_a_bias_and_a_module_without_biases(load):
    bare = {name: array for name, array in state().items() if "bias" not in name}
    model = load(bare)
    assert not model.weights["decoder.bias"].any()
    assert not model.weights["rnn.bias_ih_l0"].any()
    assert model.config.embed == D


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ('["c", "a", "\\n", "ä"]', ("\n", "a", "c", "ä")),
        ('{"a": 1, "c": 0, "ä": 3, "\\n": 2}', ("\n", "a", "c", "ä")),
        ('{"0": "c", "1": "a", "2": "\\n", "3": "ä"}', ("\n", "a", "c", "ä")),
        ("ca\nä", ("\n", "a", "c", "ä")),
        ('{"level": "byte", "symbols": [1, 2, 3, 4], "unknown": null}', (1, 2, 3, 4)),
        ("[3, 1, 2, 256]", (1, 2, 3, 256)),
        ('["the", "cat", " ", "sat"]', (" ", "cat", "sat", "the")),
    ],
)
def test_forms_of_a_vocabulary(tmp_path, load, text, symbols):
    (tmp_path / "v").write_text(text, encoding="utf-8")
    assert load(state(), tmp_path / "v").vocabulary.symbols == symbols


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abca", "'a' occurs twice"),
        ("abc", "predicts 4 symbols, but the vocabulary has 3"),
        ('{"a": 0, "b": 2}', "its ids are not 0, 1, 2"),
        ("[[1], 2]", "neither strings nor integers"),
        ("[1, 2, 3, 999]", "not an integer from 0 to 255"),
        ('["a", "<unk>"]', "is not a vocabulary: .*not one word"),
        ("", "is not a vocabulary"),
        (b"\xff", "not a vocabulary in UTF-8"),
        ('{"level": "char", "symbols": ["b", "a"], "unknown": null}', "out of order"),
        ("[" * 100_000, "occurs twice"),
    ],
)
def test_a_vocabulary_that_is_none_is_refused_in_one_line(tmp_path, text, message):
    save_file(state(), tmp_path / "m.safetensors")
    (tmp_path / "v").write_bytes(text if isinstance(text, bytes) else text.encode())
    done = inside("import", "m.safetensors", "--vocabulary", "v", cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert done.stderr.count("\n") == 1
    with pytest.raises(CharRNNError, match=message):
        charrnn.import_model(tmp_path / "m.safetensors", tmp_path / "v")
    assert not (tmp_path / "checkpoints").exists()


def test_what_the_file_says_itself(tmp_path):
    save_file(state(), tmp_path / "m.safetensors")
    with pytest.raises(UsageError, match="which symbols its ids stand for; list them: vocabulary"):
        charrnn.import_model(tmp_path / "m.safetensors")
    model = charrnn.import_model(tmp_path / "m.safetensors", SYMBOLS)
    model.export(tmp_path / "e.safetensors", to="torch")
    with pytest.raises(UsageError, match="activation has no effect"):
        charrnn.import_model(tmp_path / "e.safetensors", activation="relu")
    model.save(tmp_path / "c.safetensors")
    with pytest.raises(UsageError, match="is a checkpoint of charrnn, which needs no import"):
        charrnn.import_model(tmp_path / "c.safetensors")
    with pytest.raises(CharRNNError, match="no cell with activation relu has recurrent weights"):
        charrnn.import_model(tmp_path / "m.safetensors", SYMBOLS, activation="relu")


def header(entries, body=b"", length=None):
    data = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return (len(data) if length is None else length).to_bytes(8, "little") + data + body


ENTRY = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a file of tensors",
        header({}, length=1 << 60),
        header(b"{" + b'"a":{' * 50_000),
        header({"a": {**ENTRY, "shape": [1 << 62]}}, b"\0" * 4),
        header({"a": {**ENTRY, "data_offsets": [0, 1 << 40]}}, b"\0" * 4),
        header({"a": {**ENTRY, "dtype": "I64"}}, b"\0" * 8),
        header({"a": ENTRY}, b"\0" * 5),
        header({"a": ENTRY}),
        header(b'{"a":1,"a":2}'),
        header({"__metadata__": [1]}),
        header({"__metadata__": {"charrnn.model": 3}}),
        header({"__metadata__": {"charrnn.model": "{"}}),
        header({"__metadata__": {"charrnn.model": "[]"}}),
        header({"__metadata__": {"charrnn.vocabulary": "{}"}}),
        header({"__metadata__": {"charrnn.model": '{"cell": "nothing"}'}}),
        header(b"{" + b"," * 1_000_000),
        header(b"{\xff}"),
    ],
)
def test_a_hostile_file_is_refused_in_one_line(tmp_path, data):
    (tmp_path / "m.safetensors").write_bytes(data)
    (tmp_path / "v").write_text("abcd", encoding="utf-8")
    done = inside("import", "m.safetensors", "--vocabulary", "v", cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert done.stderr.startswith("charrnn: error: ")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "checkpoints").exists()


def test_a_changed_configuration_does_not_fit_the_tensors(tmp_path):
    from charrnn.storage import container

    charrnn.import_model(_saved(tmp_path), SYMBOLS).export(tmp_path / "e.safetensors", to="torch")
    tensors, facts = container.read_plain(tmp_path / "e.safetensors")
    for change in (
        {"cell": "gru"},
        {"cell": "gru", "gru_reset": "before"},
        {"layers": 10**9},
        {"hidden": 10**9},
        {"embed": 0},
        {"task": "classify"},
    ):
        told = json.loads(facts["charrnn.model"])
        if "cell" in change:
            told.pop("forget_bias")
        changed = facts | {"charrnn.model": json.dumps(told | change)}
        container.write_plain(tmp_path / "f.safetensors", tensors, changed)
        with pytest.raises(CharRNNError, match="cannot use"):
            charrnn.import_model(tmp_path / "f.safetensors")


def _saved(folder):
    save_file(state(), folder / "m.safetensors")
    return folder / "m.safetensors"


def test_a_name_that_is_taken(tmp_path):
    _saved(tmp_path)
    (tmp_path / "v").write_text("abcd", encoding="utf-8")
    words = ("import", "m.safetensors", "--vocabulary", "v")
    assert inside(*words, cwd=tmp_path).stdout.startswith("checkpoints/m: lstm, 1 layer of 3,")
    assert inside(*words, cwd=tmp_path).stdout.startswith("checkpoints/m-2: lstm")
    refused = inside(*words, "--name", "m", cwd=tmp_path)
    assert refused.returncode == 2
    assert "already contains a run; choose another name" in refused.stderr


@pytest.mark.parametrize("length", [0x280, 0x380, 0x480, 0x580])
def test_a_header_whose_length_looks_like_a_pickle(tmp_path, length):
    from charrnn.storage import container

    path = tmp_path / "m.safetensors"
    container.write_plain(path, state(), {"note": ""})
    size = int.from_bytes(path.read_bytes()[:8], "little")
    container.write_plain(path, state(), {"note": "x" * (length - size)})
    assert int.from_bytes(path.read_bytes()[:8], "little") == length
    assert charrnn.import_model(path, SYMBOLS).config.embed == D
