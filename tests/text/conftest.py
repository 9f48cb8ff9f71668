"""Every test here has its own cache, so that none finds what another encoded."""

import pytest


@pytest.fixture(autouse=True)
def folder(cache_folder):
    """The folder of the cache."""
    return cache_folder
