"""Fixtures of several test files: small texts, new folders, a device to compute on."""

import gc
import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from doubles import cublas_on_host, cuda_on_host, fake_cupy
from helpers import nvrtc, running
from helpers.commands import built_once

_FSYNC = os.fsync


def pytest_configure(config):
    """Prepare the environment of all test processes."""
    if cuda_on_host.BUILDS not in os.environ:
        folder = tempfile.mkdtemp(prefix="charrnn-builds-")
        os.environ[cuda_on_host.BUILDS] = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    # Each process that a test starts would compile all of the package again, most of its time.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    # Several processes get one BLAS thread each: more would wait for each other.
    if getattr(config.option, "numprocesses", None):
        for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
            os.environ.setdefault(name, "1")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Collect without looking for garbage, which took a quarter of the time, then and later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """A cache of encoded texts that is not the user's, in this process and those it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHARRNN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def cache_folder(tmp_path_factory, monkeypatch):
    """A new cache for the test; its path."""
    path = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("CHARRNN_CACHE", str(path))
    monkeypatch.delenv("CHARRNN_CACHE_LIMIT_GB", raising=False)
    return path


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A new folder as current folder, with its own cache."""
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return work


@pytest.fixture
def device(monkeypatch):
    """The double of CuPy in the place of CuPy; yields its counts of transfers."""
    double = fake_cupy.create()
    monkeypatch.setitem(sys.modules, "cupy", double)
    return double


@pytest.fixture
def compiling(monkeypatch):
    """The double of CuPy that compiles CUDA text for the host, with a cuBLAS; yields it."""
    if cuda_on_host.compiler() is None:
        nvrtc.missing("c++", "there is no C++ compiler")
    double = fake_cupy.create(kernels=True)
    monkeypatch.setitem(sys.modules, "cupy", double)
    monkeypatch.setattr("charrnn.backend.gpu.cublas.load", cublas_on_host.Library)
    return double


@pytest.fixture(scope="session")
def package():
    """The folder of the package's sources."""
    import charrnn

    return Path(charrnn.__file__).parent


@pytest.fixture
def rng(request):
    """A generator seeded by the test's own name, so that tests do not share their numbers."""
    return np.random.default_rng(list(request.node.nodeid.encode()))


@pytest.fixture
def text(home):
    """The path of a small text in the current folder."""
    path = home / "text.txt"
    path.write_text(running.TEXT, encoding="utf-8")
    return str(path)


@pytest.fixture(scope="session", autouse=True)
def fast_disk():
    """Do not wait for the disk, but in processes that a test starts and in :func:`slow_disk`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda handle: None)
        yield


@pytest.fixture
def slow_disk(monkeypatch):
    """Wait for the disk, in tests whose subject is that files reach it."""
    monkeypatch.setattr("os.fsync", _FSYNC)


@pytest.fixture(scope="session", autouse=True)
def built_commands():
    """Build each command once in this process, which took half of a short command's time."""
    with pytest.MonkeyPatch.context() as patch:
        built_once(patch)
        yield
