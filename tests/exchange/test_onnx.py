"""Graphs for ONNX: onnxruntime computes the same."""

import json

import numpy as np
import pytest
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

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def opened(code):
    """Return what the printed code defines."""
    found = {}
    exec(code, found)
    return found


def read(run, ids, pieces):
    """Return the nats of a text, read in pieces with carried states."""
    logits, states = [], None
    for part in np.array_split(ids[:-1], pieces):
        out, states = run(part.astype(int)[:, None], states)
        logits.append(out[:, 0])
    return nats(np.concatenate(logits), ids[1:].astype(int))


@pytest.mark.parametrize(("level", "case"), AT_LEVELS, ids=name_at)
def test_onnxruntime_computes_the_same(case, level, tmp_path):
    text = TEXTS[level]
    ours = model(case, "float64" if case["layers"] == 2 else "float32", text, level)
    found = opened(ours.export(tmp_path / "m.onnx", to="onnx"))
    assert found["symbols"] == list(ours.vocabulary.symbols)
    ids, expected = ours.vocabulary.encode(text), ours.evaluate(text).nats_per_char
    for pieces in (1, 7, len(ids) - 1):
        assert read(found["run"], ids, pieces) == pytest.approx(expected, abs=1e-5)

    def step(last, states):
        logits, states = found["run"]([[last]], states)
        return logits[0, 0], states

    written = ours.sample(60, prime=first(ours), temperature=0)
    assert ours.vocabulary.decode(likeliest(step, 60)) == written


@pytest.mark.parametrize("case", CASES[::3], ids=name)
def test_streams_side_by_side_are_those_one_by_one(case, tmp_path):
    ours = model(case)
    run = opened(ours.export(tmp_path / "m.onnx", to="onnx"))["run"]
    ids = ours.vocabulary.encode(TEXT)[:60].astype(int)
    together, ends = run(ids.reshape(3, 20).T)
    for stream in range(3):
        alone, end = run(ids.reshape(3, 20)[stream][:, None])
        assert np.allclose(together[:, stream], alone[:, 0], atol=1e-6)
        for whole, own in zip(ends, end, strict=True):
            assert np.allclose(whole[:, stream], own[:, 0], atol=1e-6)


def test_what_the_graph_says_of_itself(tmp_path):
    ours = model({"cell": "lstm", "layers": 2, "embed": 5})
    ours.export(tmp_path / "m.onnx", to="onnx")
    graph = onnx.load(tmp_path / "m.onnx")
    facts = {each.key: json.loads(each.value) for each in graph.metadata_props}
    assert facts["charrnn.model"] == ours.config.to_json()
    assert facts["charrnn.vocabulary"] == ours.vocabulary.to_json()

    def shapes(values):
        return {
            each.name: [d.dim_param or d.dim_value for d in each.type.tensor_type.shape.dim]
            for each in values
        }

    state = [1, "batch", 7]
    names = ("h_l0", "c_l0", "h_l1", "c_l1")
    given = {"ids": ["steps", "batch"]} | dict.fromkeys(names, state)
    V = len(ours.vocabulary)
    made = {"logits": ["steps", "batch", V]} | {f"{each}_next": state for each in names}
    assert shapes(graph.graph.input) == given
    assert list(shapes(graph.graph.output).items()) == list(made.items())
