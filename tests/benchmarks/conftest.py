"""The benchmarks as modules to import."""

import sys

import pytest
from helpers.benchmarks import FOLDER, SCRIPTS


@pytest.fixture(autouse=True)
def path(monkeypatch):
    """The benchmarks import each other from their own folder, as when they run as scripts."""
    if not FOLDER.is_dir():
        pytest.skip("a tree without benchmarks")
    monkeypatch.syspath_prepend(str(FOLDER))
    known = set(sys.modules)
    yield
    for name in set(sys.modules) - known:
        if name.partition(".")[0] in ("harness", "tasks", *SCRIPTS, "parallel", "run_all", "gpu"):
            del sys.modules[name]
