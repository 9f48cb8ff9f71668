"""Where the benchmarks are, and what they need."""

import importlib.util
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
HAVE_TORCH = importlib.util.find_spec("torch") is not None
SCRIPTS = (
    *("train_step", "sampling", "startup", "memory", "encoding", "scaling", "shakespeare"),
    "examples",
)

needs_torch = pytest.mark.skipif(not HAVE_TORCH, reason="PyTorch is not installed")
