"""One symbol at a time gives what a window of many gives."""

import numpy as np
import pytest

from charrnn.backend import select
from charrnn.config import ModelConfig
from charrnn.model.language import LanguageModel
from charrnn.sampling import stepper
from charrnn.sampling.stepper import Stepper
from charrnn.sampling.steps import plain

V = 7


def new_model(seed: int = 3, **options: object) -> LanguageModel:
    settings: dict[str, object] = {"hidden": 6, "dtype": "float64"} | options
    return LanguageModel.fresh(ModelConfig(**settings), V, seed)  # type: ignore[arg-type]


def symbols(seed: int, T: int, N: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, V, (T, N)).astype(np.uint8)


def window_logits(model: LanguageModel, ids: np.ndarray) -> np.ndarray:
    """Return (T, N, V) logits of a window that starts from zero states."""
    window = model.window(*ids.shape, backward=False)
    return model.head.logits(model.weights, model.forward(window, ids)).transpose(0, 2, 1)


CELLS = [
    {"cell": "lstm"},
    {"cell": "gru"},
    {"cell": "gru", "gru_reset": "before"},
    {"cell": "rnn"},
    {"cell": "rnn", "activation": "relu"},
]


@pytest.mark.parametrize("limit", [0, 1 << 20], ids=["no table", "table"])
@pytest.mark.parametrize("embed", [0, 5])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(cell.values()))
def test_steps_equal_a_window(
    cell: dict[str, str], layers: int, embed: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "TABLE_ELEMENTS", limit)
    model = new_model(layers=layers, embed=embed, **cell)
    ids = symbols(1, 9, 4)
    expected = window_logits(model, ids)
    one = Stepper(model, 4)
    for t, row in enumerate(ids):
        np.testing.assert_allclose(one.step(row), expected[t], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(cell.values()))
@pytest.mark.parametrize("T", [1, 4, 5, 11])
def test_reading_in_windows_equals_steps(
    cell: dict[str, str], T: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stepper, "READ_STEPS", 4)
    model = new_model(layers=2, **cell)
    ids = symbols(2, T + 2, 1)
    expected = window_logits(model, ids)[-2:, 0]
    read = Stepper(model, 3)
    read.read(ids[:T, 0])
    for t in (0, 1):
        found = read.step(np.repeat(ids[T + t], 3))
        np.testing.assert_allclose(found, np.tile(expected[t], (3, 1)), rtol=1e-11, atol=1e-13)


def test_reading_starts_again_from_zero_states() -> None:
    model = new_model(cell="lstm", layers=2)
    ids = symbols(5, 6, 1)[:, 0]
    fresh, used = Stepper(model), Stepper(model)
    for symbol in (2, 1, 4):
        used.step(np.array([symbol]))
    fresh.read(ids)
    used.read(ids)
    np.testing.assert_array_equal(used.step(ids[:1]), fresh.step(ids[:1]))


def test_streams_do_not_touch_each_other() -> None:
    model = new_model(cell="gru", embed=3)
    ids = symbols(8, 5, 2)
    changed = ids.copy()
    changed[:, 1] = (ids[:, 1] + 1) % V
    a, b = Stepper(model, 2), Stepper(model, 2)
    for one, other in zip(ids, changed, strict=True):
        first, second = a.step(one).copy(), b.step(other)
        np.testing.assert_array_equal(first[0], second[0])
        assert not np.array_equal(first[1], second[1])


def test_float32_stays_float32() -> None:
    model = new_model(dtype="float32", embed=4)
    assert Stepper(model, 2).step(np.array([1, 2])).dtype == np.float32


@pytest.mark.parametrize("table", [True, False])
@pytest.mark.parametrize("streams", [1, 3])
def test_a_gpu_gives_the_logits_of_the_host(streams, table, compiling, monkeypatch):
    """With a table of input products, and without one as for a large alphabet."""
    if not table:
        monkeypatch.setattr("charrnn.sampling.steps.plain.TABLE_ELEMENTS", 0)
    host = LanguageModel.fresh(ModelConfig(hidden=5, layers=2, dtype="float64"), 7, 1)
    there = LanguageModel(host.config, 7, select("cupy"), host.weights.flat)
    steppers = [Stepper(model, streams) for model in (host, there)]
    for k in range(3):
        mine, theirs = (stepper.step(np.full(streams, k)) for stepper in steppers)
        np.testing.assert_allclose(theirs, mine, rtol=1e-10)
