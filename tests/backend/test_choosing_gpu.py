"""Which device a run gets: a GPU that is missing, broken or wrong is told in one line, not used."""

import sys

import numpy as np
import pytest

from charrnn.backend import select
from charrnn.errors import BackendError, UsageError

HOST = np.ones((2, 2), np.float32)


def cannot_import(monkeypatch, name="cupy"):
    """Make ``import cupy`` fail, for want of ``name``."""
    monkeypatch.delitem(sys.modules, "cupy", raising=False)

    class Finder:
        @staticmethod
        def find_spec(module, path=None, target=None):
            if module == "cupy":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])


def falls_back(reason):
    found = select("auto")
    assert found.name == "numpy"
    assert found.synchronous
    assert reason in found.note


def test_without_cupy_the_remedy_is_to_install_it(monkeypatch):
    cannot_import(monkeypatch)
    with pytest.raises(BackendError, match="CuPy is not installed; pip install") as caught:
        select("cupy")
    assert caught.value.exit_code == 1
    falls_back("not installed")


def test_a_broken_cupy_names_what_it_lacks(monkeypatch):
    cannot_import(monkeypatch, "fastrlock")
    with pytest.raises(BackendError, match="fastrlock"):
        select("cupy")
    falls_back("fastrlock")


def test_cupy_without_a_gpu_says_so(device):
    device.devices = 0
    with pytest.raises(BackendError, match=r"CuPy 14\.2\.0 .* finds no GPU.*no device"):
        select("cupy")
    falls_back("no GPU")


def test_cupy_without_a_driver_says_why(device):
    def fail():
        raise RuntimeError("cudaErrorInsufficientDriver: too old\nsecond line")

    device.devices = 0
    device.cuda.runtime.getDeviceCount = fail
    with pytest.raises(BackendError, match="cudaErrorInsufficientDriver: too old") as caught:
        select("cupy")
    assert "\n" not in str(caught.value)


def test_cupy_that_cannot_compute_says_so(device, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("CUBLAS_STATUS_NOT_INITIALIZED\nsecond line")

    monkeypatch.setattr(device, "ones", fail, raising=False)
    with pytest.raises(BackendError, match="cannot compute on it: CUBLAS_STATUS") as caught:
        select("cupy")
    assert "\n" not in str(caught.value)
    falls_back("cannot compute")


def test_a_gpu_that_computes_wrongly_is_not_used(device, monkeypatch):
    monkeypatch.setattr(
        device, "ones", lambda shape, dtype: device.asarray(2 * HOST), raising=False
    )
    with pytest.raises(BackendError, match="wrong product"):
        select("cupy")
    falls_back("wrong product")


def test_auto_takes_a_gpu_that_works(device):
    found = select("auto")
    assert (found.name, found.note) == ("cupy", "")
    assert found.xp is device


def test_an_unknown_backend_is_a_usage_error():
    with pytest.raises(UsageError, match="auto, numpy, cupy") as caught:
        select("\x1b[31mjax")
    assert str(caught.value).isprintable()
