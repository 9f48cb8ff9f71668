"""The compiled core in tests."""

import os
from pathlib import Path

import pytest

from charrnn.backend.native import build, library

TARGETS = library.runnable(build.FEATURES.get(build.machine(), {}), library.features())
LIBRARIES = "CHARRNN_TEST_LIBRARIES"
"""The environment variable that names a folder of other libraries to test."""


CELLS = (
    {"cell": "lstm"},
    {"cell": "gru"},
    {"cell": "gru", "gru_reset": "before"},
    {"cell": "rnn"},
    {"cell": "rnn", "activation": "relu"},
)
each_cell = pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(cell.values()))


def opened(target=None, threads=2):
    """Open the library for a target, the best one by default; skip if it was not built."""
    folder = Path(os.environ.get(LIBRARIES, build.FOLDER))
    path = folder / build.file_name(target or (TARGETS or ["none"])[0])
    if not path.is_file():
        if "c" in os.environ.get("CHARRNN_REQUIRE_COMPILERS", "").split():
            pytest.fail(f"{path.name} was not built")
        pytest.skip("the compiled core was not built")
    return library.open_library(path, target or TARGETS[0], threads)
