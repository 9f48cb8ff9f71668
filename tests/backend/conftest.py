"""What the tests of the compiled core share."""

import pytest
from helpers.native import opened


@pytest.fixture(scope="module")
def core():
    return opened()


@pytest.fixture
def however_little(monkeypatch):
    """Divide even the smallest piece of work among all threads."""
    monkeypatch.setattr("charrnn.backend.native.core.SMALL", 1e-3)
    monkeypatch.setattr("charrnn.model.compiled.layers.STREAMS", 1)
