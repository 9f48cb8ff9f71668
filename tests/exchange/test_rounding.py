"""Weights in 8 and 16 bits."""

import numpy as np
import pytest
from helpers.exchanged import CELLS, TEXT, model

from charrnn.errors import UsageError
from charrnn.exchange.rounding import BITS, quantise


@pytest.mark.parametrize("bits", BITS)
def test_no_weight_moves_by_more_than_half_a_step_of_its_row(bits):
    rng = np.random.default_rng(1)
    matrix = rng.normal(size=(40, 30)) * 10.0 ** rng.integers(-30, 4, size=(40, 1))
    integers, scales = found = quantise(matrix, bits)
    assert integers.dtype == f"int{bits}"
    assert np.abs(integers.astype(int)).max(axis=1).tolist() == [2 ** (bits - 1) - 1] * 40
    moved = np.abs(found.matrix - matrix).max(axis=1)
    assert (moved <= scales * (0.5 + 2.0**-8)).all()
    assert found.matrix.dtype == scales.dtype == np.float32


@pytest.mark.parametrize("bits", BITS)
def test_rows_of_zeros_and_of_numbers_below_all_steps_become_zeros(bits):
    matrix = np.array([[0.0, 0.0], [1e-60, -1e-60], [1e-44, 1e-45]])
    found = quantise(matrix, bits).matrix
    assert not found[:2].any()
    assert np.isfinite(found).all()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_rounded_model_has_rounded_matrices_and_its_biases(cell, dtype):
    ours = model({**cell, "layers": 2, "embed": 5}, dtype)
    found = ours.rounded(8)
    for name, array in found.weights.items():
        exact = ours.weights[name]
        rounded = quantise(exact, 8).matrix if exact.ndim == 2 else exact.astype(np.float32)
        assert array.dtype == dtype
        assert (array == rounded.astype(dtype)).all()
    losses = [each.evaluate(TEXT).nats_per_char for each in (ours, ours.rounded(16), found)]
    assert losses[0] != losses[2]
    assert abs(losses[1] - losses[0]) < abs(losses[2] - losses[0]) < 0.05


def test_other_numbers_of_bits_are_refused(tmp_path):
    ours = model({"cell": "lstm"})
    for bits in (4, 8.0, "8", True):
        with pytest.raises(UsageError, match="bits must be 8 or 16, not"):
            ours.rounded(bits)
        with pytest.raises(UsageError, match="bits must be 8 or 16, not"):
            ours.export(tmp_path / "m", to="html", bits=bits)
    with pytest.raises(UsageError, match="bits has no effect: only a page has rounded weights"):
        ours.export(tmp_path / "m", to="torch", bits=8)
    assert not (tmp_path / "m").exists()
