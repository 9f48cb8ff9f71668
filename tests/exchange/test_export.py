"""What is exported where, and what is refused."""

import json

import pytest
from helpers.commands import inside
from helpers.exchanged import model

import charrnn
from charrnn.errors import CharRNNError, UsageError


def test_a_file_that_must_not_be_replaced(tmp_path):
    one = model({"cell": "lstm"})
    one.save(tmp_path / "c.safetensors")
    before = (tmp_path / "c.safetensors").read_bytes()
    with pytest.raises(UsageError, match="is a checkpoint of charrnn; name another file"):
        one.export(tmp_path / "c.safetensors", to="torch")
    with pytest.raises(UsageError, match="is a folder; name a file in it"):
        one.export(tmp_path, to="torch")
    with pytest.raises(UsageError, match="choose one of torch, onnx, keras"):
        one.export(tmp_path / "m", to="numpy")
    assert (tmp_path / "c.safetensors").read_bytes() == before


def test_a_cell_without_layouts_is_refused(tmp_path, monkeypatch):
    one = model({"cell": "lstm"})
    monkeypatch.setattr(type(one.network.stack.cell), "layouts", None)
    with pytest.raises(CharRNNError, match="cell lstm does not say how other libraries lay it out"):
        one.export(tmp_path / "m", to="torch")
    assert not (tmp_path / "m").exists()


def test_the_command_prints_the_code_or_json(tmp_path):
    model({"cell": "gru", "layers": 2}).save(tmp_path / "run.safetensors")
    words = ("export", "run.safetensors", "--to", "torch", "--out", "m.safetensors")
    code = inside(*words, cwd=tmp_path).stdout
    assert "torch.nn.GRU(" in code
    facts = json.loads(inside(*words, "--json", cwd=tmp_path).stdout)
    size = (tmp_path / "m.safetensors").stat().st_size
    assert facts == {"file": "m.safetensors", "to": "torch", "bytes": size, "code": code}


def test_a_model_of_another_task_is_refused_in_one_line(tmp_path):
    pairs = [("ab", "x"), ("ba", "y")] * 20
    labels = charrnn.fit(pairs, task="classify", hidden=4, steps=2, backend="numpy")
    labels.save(tmp_path / "run.safetensors")
    done = inside("export", "run.safetensors", "--to", "torch", "--out", "m", cwd=tmp_path)
    assert done.returncode == 1
    assert "is a classifier, not a language model; export writes language models" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--out", "m"), "--to is missing; choose one of torch"),
        (("--to", "torch"), "--out is missing; name the file to write"),
        (("--to", "jax", "--out", "m"), "unknown library --to 'jax'; choose one of torch"),
    ],
)
def test_what_is_missing(tmp_path, words, message):
    model({"cell": "lstm"}).save(tmp_path / "run.safetensors")
    done = inside("export", "run.safetensors", *words, cwd=tmp_path)
    assert (done.returncode, message in done.stderr) == (2, True)


def test_without_onnx_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("charrnn.exchange.onnx_graph.find_spec", lambda name: None)
    with pytest.raises(CharRNNError, match=r"needs onnx; pip install 'charrnn\[exchange\]'"):
        model({"cell": "lstm"}).export(tmp_path / "m.onnx", to="onnx")
    assert not (tmp_path / "m.onnx").exists()
