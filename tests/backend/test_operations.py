"""Every operation: whatever implements it equals its plain definition.

A GPU's implementations are compared without one: their CUDA text compiles with NVRTC, which needs
no GPU, and runs on the host (``cuda_on_host``).
"""

import ast
import inspect
import subprocess
import sys
from importlib.resources import files

import numpy as np
import pytest
from doubles import fake_cupy
from helpers import kernel_cases, nvrtc
from helpers.operations import OPERATIONS

from charrnn.backend.gpu import operations as on_gpu
from charrnn.backend.gpu.cublas import with_own_products
from charrnn.backend.gpu.kernels import launchers
from charrnn.backend.operations import PROVIDERS, Operation, operation, operations
from charrnn.model.onehot import columns

DTYPES = ("float32", "float64")
FOLDER = files(on_gpu)
each_operation = pytest.mark.parametrize("name", sorted(OPERATIONS))
precisions = pytest.mark.parametrize(
    "dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)]
)


@pytest.fixture
def gpu(compiling):
    """The double of a GPU, with its own products; yields what has launched, by name."""
    xp, why = with_own_products(compiling)
    assert not why
    yield xp


def calls(xp):
    """Return what was launched on the double since the last call: CUDA functions, products."""
    library = xp.products._library.calls
    found = [*xp.launches, *(name for name, _ in library if name.startswith("cublasGemm"))]
    xp.clear()
    library.clear()
    return found


MODULES = {"gpu": "gpu", "native": "test_native.py", "plain": "device"}
"""For each provider the fixture with an array module that it computes on, or the tests of it."""


def test_every_provider_is_compared():
    assert list(MODULES) == list(PROVIDERS)


def test_every_operation_has_cases():
    assert set(OPERATIONS) == set(kernel_cases.CASES)


def launchers_of_the_package():
    on_gpu.implementation("", None)
    package = on_gpu.__name__ + "."
    return {n: l for n, l in launchers().items() if l.launch.__module__.startswith(package)}


def test_every_operation_has_a_launcher():
    assert set(OPERATIONS) == set(launchers_of_the_package())


@each_operation
def test_a_launcher_takes_what_the_operation_takes(name):
    plain, launch = (
        list(inspect.signature(function).parameters.values())[1:]
        for function in (OPERATIONS[name].plain, launchers_of_the_package()[name].launch)
    )
    assert [(p.name, p.default) for p in plain] == [(p.name, p.default) for p in launch]


@precisions
@each_operation
def test_the_gpu_computes_what_the_plain_definition_says(name, dtype, gpu, rng):
    """In whatever order blocks and threads run: what depends on it is a race."""
    tested, count = OPERATIONS[name], 0
    assert tested.provided(gpu)[0] == "gpu"
    for case in kernel_cases.CASES[name](rng, np.dtype(dtype).type):
        expected = kernel_cases.run(lambda *a: tested.plain(np, *a), case, np.copy, np.copy)
        for backwards in (False, True):
            gpu.cupy.backwards = backwards
            calls(gpu)
            found = kernel_cases.run(lambda *a: tested(gpu, *a), case, gpu.asarray, gpu.asnumpy)
            kernel_cases.assert_equal(found, expected, case, dtype)
            assert calls(gpu) or launchers()[name].source is None
        count += 1
    assert count


@each_operation
def test_the_plain_definition_runs_on_any_array_module(name, device, rng):
    """The same result on the double, which compiles nothing."""
    tested = OPERATIONS[name]
    assert tested.provided(device)[0] == tested.provided(np)[0] == "plain"
    for case in kernel_cases.CASES[name](rng, np.float32):
        expected = kernel_cases.run(lambda *a: tested.plain(np, *a), case, np.copy, np.copy)
        found = kernel_cases.run(
            lambda *a: tested(device, *a), case, device.asarray, device.asnumpy
        )
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(mine, theirs)


def sources():
    launched = launchers_of_the_package().values()
    return {launcher.source.name: launcher.source for launcher in launched if launcher.source}


def named(suffix):
    return sorted(path.name for path in FOLDER.iterdir() if path.name.endswith(suffix))


@pytest.mark.parametrize(
    "arch",
    [
        pytest.param(arch, marks=pytest.mark.slow if index else ())
        for index, arch in enumerate(nvrtc.ARCHITECTURES)
    ],
)
@precisions
@pytest.mark.parametrize("file", named(".cu"))
def test_the_text_compiles_for_every_gpu(file, dtype, arch):
    source = sources()[file]
    code = nvrtc.load().compile(source.code(dtype), arch)
    assert source.functions
    assert all(function.encode() in code for function in source.functions)


def test_every_file_of_cuda_is_used():
    texts = [path.read_text("utf-8") for path in FOLDER.iterdir() if ".cu" in path.name]
    assert set(sources()) == set(named(".cu"))
    for header in set(named(".cuh")) - {"prelude.cuh"}:
        assert any(f'#include "{header}"' in text for text in texts)


@pytest.mark.slow
@pytest.mark.parametrize("file", named(".cu"))
def test_every_function_is_launched(file, gpu, rng):
    mine = [n for n, l in launchers_of_the_package().items() if l.source is sources()[file]]
    calls(gpu)
    for name in mine:
        for case in kernel_cases.CASES[name](rng, np.float32):
            kernel_cases.run(
                lambda *a, n=name: OPERATIONS[n](gpu, *a), case, gpu.asarray, gpu.asnumpy
            )
    assert set(calls(gpu)) == set(sources()[file].functions)


def test_cells_know_nothing_of_cuda(package):
    found = sorted((package / "cells").glob("*.py"))
    assert len(found) >= 5
    for path in found:
        text = path.read_text("utf-8")
        assert "__global__" not in text and "cuda" not in text.lower()
        assert "backend.gpu" not in text
        names = {n.value for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Constant)}
        assert "numpy" not in names, f"{path.name} asks for the device"


def test_a_gpus_files_are_loaded_when_it_computes():
    """And not before: nothing else imports them."""
    code = (
        "import sys, charrnn.api, charrnn.train.loop\n"
        "print(*[m for m in sys.modules if m.startswith('charrnn.backend.gpu.operations')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def plain(xp, x, factor=2):
    """Say what it is."""
    return x * factor


def test_an_operation_outside_the_package_runs_its_plain_definition_everywhere(device):
    made = operation(plain)
    assert operations()[made.name] is made
    assert made.name == f"{__name__}:plain"
    assert made.__doc__ == "Say what it is."
    assert repr(made) == f"<operation {made.name}>"
    for xp in (np, device, fake_cupy.create(kernels=True)):
        assert made.provided(xp)[0] == "plain"
        assert made(xp, 5, factor=3) == 15


def test_a_name_outside_the_package_is_never_one_of_the_package():
    def imitation(xp):
        return None

    imitation.__module__, imitation.__qualname__ = "cells.lstm", "pointwise_forward"
    assert Operation(imitation).name == "cells.lstm:pointwise_forward"


def test_another_provider_comes_first_where_it_has_an_implementation(monkeypatch):
    """For the array module and the operation alike; what it leaves is computed plainly."""

    def provider(asked, xp):
        return (lambda x, factor=2: ("fast", x, factor)) if asked is fast and xp is np else None

    def other(xp, x):
        return x + 1

    fast, slow = Operation(plain), Operation(other)
    monkeypatch.setattr("charrnn.backend.operations.PROVIDERS", {"fast": provider, **PROVIDERS})
    assert fast(np, 1, factor=4) == ("fast", 1, 4)
    assert fast.provided(np)[0] == "fast"
    assert slow(np, 1) == 2
    assert fast(fake_cupy.create(), 3) == 6


def test_columns_go_into_some_rows_of_a_working_array(compiling, rng):
    table, ids = rng.standard_normal((4, 9)), rng.integers(0, 9, (5, 3))
    work = compiling.zeros((6, 7, 3), compiling.float64)
    columns(compiling, compiling.asarray(table), compiling.asarray(ids), work[:5, 1:5])
    found = work.get()
    np.testing.assert_array_equal(found[:5, 1:5], table[:, ids].transpose(1, 0, 2))
    assert not found[5:].any() and not found[:, [0, 5, 6]].any()
    with pytest.raises(ValueError, match="contiguous"):
        columns(compiling, compiling.asarray(table), compiling.asarray(ids), work[:5, :, :2])
