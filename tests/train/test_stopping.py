"""When training stops."""

import pytest

from charrnn.config import TrainConfig
from charrnn.train.stopping import MAX_STEPS, StopConditions


@pytest.mark.parametrize(
    ("epochs", "windows", "steps"),
    [
        (1.1, 100, 110),  # 110.00000000000001 in floating point
        (0.07, 100, 7),
        (1.105, 100, 111),
        (3, 7, 21),
        (5e-324, 7, 1),
        (1e300, 7, MAX_STEPS),
    ],
)
def test_a_part_of_a_pass_is_as_many_windows_as_it_says(epochs, windows, steps):
    assert StopConditions(TrainConfig(epochs=epochs), windows).total_steps == steps
