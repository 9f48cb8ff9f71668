"""Archives for Keras: Keras, on PyTorch, computes the same."""

import os

import numpy as np
import pytest
from helpers.exchanged import CASES, TEXTS, first, likeliest, model, name, nats

pytest.importorskip("h5py")
pytest.importorskip("torch")
os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
@pytest.mark.parametrize("level", TEXTS)
@pytest.mark.parametrize("case", CASES, ids=name)
def test_keras_computes_the_same(case, level, tmp_path):
    text = TEXTS[level]
    ours = model(case, "float64" if case["layers"] == 2 else "float32", text, level)
    found = {}
    exec(ours.export(tmp_path / "m.keras", to="keras"), found)
    assert found["symbols"] == list(ours.vocabulary.symbols)
    ids = ours.vocabulary.encode(text).astype(int)
    logits = keras.ops.convert_to_numpy(found["model"](ids[None, :-1]))[0]
    expected = ours.evaluate(text).nats_per_char
    assert nats(logits, ids[1:]) == pytest.approx(expected, abs=1e-5)

    def step(last, before):
        before = [*(before or []), last]
        return keras.ops.convert_to_numpy(found["model"](np.array([before])))[0, -1], before

    written = ours.sample(12, prime=first(ours), temperature=0)
    assert ours.vocabulary.decode(np.array(likeliest(step, 12))) == written
