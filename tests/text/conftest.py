"""Every test here has a cache of its own, so that none finds what another encoded."""

import pytest


@pytest.fixture(autouse=True)
def folder(cache_folder):
    """The folder of the cache."""
    return cache_folder
