"""Archives for Keras: Keras, on PyTorch, computes the same."""

import os

import numpy as np
import pytest
from helpers.exchanged import CASES, TEXT, model, name, nats

pytest.importorskip("h5py")
pytest.importorskip("torch")
os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=name)
def test_keras_computes_the_same(case, tmp_path):
    ours = model(case, "float64" if case["layers"] == 2 else "float32")
    found = {}
    exec(ours.export(tmp_path / "m.keras", to="keras"), found)
    assert found["symbols"] == list(ours.vocabulary.symbols)
    ids = ours.vocabulary.encode(TEXT).astype(int)
    logits = keras.ops.convert_to_numpy(found["model"](ids[None, :-1]))[0]
    expected = ours.evaluate(TEXT).nats_per_char
    assert nats(logits, ids[1:]) == pytest.approx(expected, abs=1e-5)

    first = str(ours.vocabulary.symbols[0])
    written = list(ours.vocabulary.encode(first + ours.sample(12, prime=first, temperature=0)))
    logits = keras.ops.convert_to_numpy(found["model"](np.array([written[:-1]], int)))[0]
    assert logits.argmax(axis=1).tolist() == written[1:]
