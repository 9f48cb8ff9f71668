"""Models for PyTorch, and from it: what both compute is the same."""

import json

import numpy as np
import pytest
from helpers.commands import inside
from helpers.exchanged import (
    AT_LEVELS,
    CASES,
    TEXT,
    TEXTS,
    first,
    likeliest,
    model,
    name,
    name_at,
    nats,
)

import charrnn

torch = pytest.importorskip("torch")
from safetensors.torch import save_file  # noqa: E402


def opened(code):
    """Return what the printed code defines."""
    found = {}
    exec(code, found)
    return found


def of_torch(network, text_ids, pieces=1):
    """Return PyTorch's nats of a text, read in pieces with carried states."""
    logits, states = [], None
    with torch.no_grad():
        for part in np.array_split(text_ids[:-1], pieces):
            out, states = network(torch.tensor(part.astype(np.int64))[:, None], states)
            logits.append(out[:, 0].numpy())
    return nats(np.concatenate(logits), text_ids[1:].astype(int))


@pytest.mark.parametrize(("level", "case"), AT_LEVELS, ids=name_at)
def test_an_exported_model_computes_the_same_in_pytorch(case, level, tmp_path):
    text = TEXTS[level]
    ours = model(case, "float64" if case["layers"] == 2 else "float32", text, level)
    found = opened(ours.export(tmp_path / "m.safetensors", to="torch"))
    assert found["symbols"] == list(ours.vocabulary.symbols)
    ids = ours.vocabulary.encode(text)
    expected = ours.evaluate(text).nats_per_char
    assert of_torch(found["model"], ids, pieces=5) == pytest.approx(expected, abs=1e-6)

    def step(last, states):
        with torch.no_grad():
            logits, states = found["model"](torch.tensor([[last]]), states)
        return logits[0, 0].numpy(), states

    written = ours.sample(60, prime=first(ours), temperature=0)
    assert ours.vocabulary.decode(likeliest(step, 60)) == written


@pytest.mark.parametrize("case", CASES, ids=name)
def test_an_exported_model_comes_back_bit_for_bit(case, tmp_path):
    ours = model(case)
    ours.export(tmp_path / "m.safetensors", to="torch")
    back = charrnn.import_model(tmp_path / "m.safetensors")
    assert back.config == ours.config
    assert back.vocabulary == ours.vocabulary
    assert np.array_equal(back.weights.flat, ours.weights.flat)


class Theirs(torch.nn.Module):
    """A character model as people write them."""

    def __init__(self, kind, V, embed, hidden, layers, bias=True, **more):
        super().__init__()
        self.net = torch.nn.ModuleDict()
        self.V = V
        if embed:
            self.net["emb"] = torch.nn.Embedding(V, embed)
        self.net["core"] = getattr(torch.nn, kind)(embed or V, hidden, layers, bias=bias, **more)
        self.head = torch.nn.Linear(hidden, V, bias=bias)

    def forward(self, ids, states=None):
        x = self.net["emb"](ids) if "emb" in self.net else torch.nn.functional.one_hot(ids, self.V)
        out, states = self.net["core"](x.to(self.head.weight), states)
        return self.head(out), states


UNSORTED = "".join(dict.fromkeys(TEXT))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("embed", [0, 6])
@pytest.mark.parametrize(
    ("kind", "more"), [("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("GRU", {}), ("LSTM", {})]
)
def test_a_model_of_pytorch_evaluates_to_what_pytorch_says(kind, more, embed, bias, tmp_path):
    torch.manual_seed(1)
    theirs = Theirs(kind, len(UNSORTED), embed, 9, 2, bias=bias, **more)
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    options = {"activation": "relu"} if more else {}
    ours = charrnn.import_model(tmp_path / "theirs.safetensors", list(UNSORTED), **options)
    ids = np.array([UNSORTED.index(c) for c in TEXT])
    assert ours.evaluate(TEXT).nats_per_char == pytest.approx(of_torch(theirs, ids), abs=1e-6)


@pytest.mark.parametrize("kept", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(kept, tmp_path):
    theirs = Theirs("GRU", len(UNSORTED), 6, 9, 1).to(kept)
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    ours = charrnn.import_model(tmp_path / "theirs.safetensors", list(UNSORTED))
    assert ours.config.dtype == ("float64" if kept == torch.float64 else "float32")
    ids = np.array([UNSORTED.index(c) for c in TEXT])
    expected = of_torch(theirs.double(), ids)
    assert ours.evaluate(TEXT).nats_per_char == pytest.approx(expected, abs=1e-5)


def test_a_pickle_is_refused_with_what_converts_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    theirs = Theirs("LSTM", len(UNSORTED), 6, 9, 1)
    for name_, how in (("a.pt", {}), ("b.pt", {"_use_new_zipfile_serialization": False})):
        torch.save(theirs.state_dict(), name_, **how)
        done = inside("import", name_)
        assert done.returncode == 1
        assert "is a pickle" in done.stderr
        lines = done.stderr.partition("in Python: ")[2]
        exec(f"import torch, safetensors.torch; {lines}", {})
        made = name_.replace(".pt", ".safetensors")
        assert charrnn.import_model(made, list(UNSORTED)).config.embed == 6


def test_a_run_of_it_is_sampled_scored_diagnosed_and_trained_further(tmp_path):
    theirs = Theirs("LSTM", len(UNSORTED), 6, 9, 1)
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    (tmp_path / "v.json").write_text(json.dumps(list(UNSORTED)), encoding="utf-8")
    (tmp_path / "t.txt").write_text(TEXT * 20, encoding="utf-8")
    done = inside("import", "theirs.safetensors", "--vocabulary", "v.json", "--json", cwd=tmp_path)
    facts = json.loads(done.stdout)
    assert facts | {"cell": "lstm", "embed": 6, "vocabulary": len(UNSORTED)} == facts
    for words in (
        ("sample", "theirs", "--length", "20"),
        ("eval", "--run", "theirs", "t.txt"),
        ("diagnose", "theirs", "--corpus", "t.txt", "--windows", "2", "--anchors", "4"),
        ("info", "theirs"),
        ("train", "t.txt", "--init-from", "theirs", "--steps", "2", "--batch", "4", "--quiet"),
    ):
        done = inside(*words, cwd=tmp_path)
        assert done.returncode == 0, (words, done.stderr)
