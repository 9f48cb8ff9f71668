"""The compiled core: what it computes equals NumPy's definitions, with the same bits everywhere.

All of it is skipped if no library was built, but where ``CHARRNN_REQUIRE_COMPILERS`` names ``c``.
"""

import ctypes
import os
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from helpers import kernel_cases
from helpers.native import LIBRARIES, TARGETS, compute, each_cell, opened
from helpers.operations import OPERATIONS

from charrnn.backend import numpy_backend, select
from charrnn.backend.native import build, jobs, library
from charrnn.backend.native.core import address
from charrnn.backend.native.operations import implementation
from charrnn.backend.selection import CORE_VARIABLE
from charrnn.config import ModelConfig
from charrnn.model.compiled import CompiledLayer
from charrnn.model.language import LanguageModel
from charrnn.model.resets import Resets

ROUNDING = library.runnable(build.BF16_FEATURES.get(build.machine(), {}), library.features())
SHAPES = ((1, 1, 1, 1, 3), (2, 7, 4, 3, 5), (2, 33, 6, 17, 40), (1, 64, 3, 50, 9))
"""Layers, hidden units, steps, streams, symbols: with remainders of every width of vectors."""

each_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


pytestmark = pytest.mark.usefixtures("however_little")


@each_cell
@each_shape
@pytest.mark.parametrize("more", ({}, {"embed": 5}, {"dropout": 0.3}), ids=str)
def test_a_model_equals_the_plain_one(core, cell, shape, more):
    """To 1e-6 of the gradient's norm against float64; float32 on NumPy differs by as much."""
    layers, hidden, T, N, V = shape
    config = ModelConfig(layers=layers, hidden=hidden, **cell, **more)
    model = LanguageModel.fresh(config, V, 1, numpy_backend(core=core))
    assert all(isinstance(layer, CompiledLayer) for layer in model.stack.layers)
    mine = compute(numpy_backend(core=core), config, V, T, N)
    exact = compute(numpy_backend(), replace(config, dtype="float64"), V, T, N)
    np.testing.assert_allclose(mine[0], exact[0], rtol=1e-6)
    for found, expected in zip(mine[1], exact[1], strict=True):
        assert np.linalg.norm(found - expected) <= 1e-6 * np.linalg.norm(expected)
    for found, expected in zip(mine[2], exact[2], strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=3e-6)


@each_cell
def test_gradients_of_the_first_states_are_left(core, cell):
    config = ModelConfig(layers=2, hidden=9, **cell)
    left = []
    for backend, dtype in ((numpy_backend(core=core), "float32"), (numpy_backend(), "float64")):
        weights = LanguageModel.fresh(replace(config, dtype="float64"), 6, 1).weights.flat
        model = LanguageModel(replace(config, dtype=dtype), 6, backend, weights.copy())
        window, grads = model.window(4, 3), model.weights.like(np.empty_like(model.weights.flat))
        ids = np.random.default_rng(3).integers(0, 6, (4, 3)).astype(np.uint8)
        model.loss_and_gradient(window, ids, ids, grads)
        left.append(window.state_gradients)
    for name, expected in left[1].items():
        np.testing.assert_allclose(left[0][name], expected, rtol=1e-4, atol=1e-7)


@each_cell
def test_a_surprisal_equals_the_plain_one(core, cell):
    config = ModelConfig(layers=2, hidden=20, **cell)
    weights = LanguageModel.fresh(config, 30, 4).weights.flat
    ids = np.random.default_rng(1).integers(0, 30, (9, 5)).astype(np.uint8)
    found = []
    for backend in (numpy_backend(core=core), numpy_backend()):
        model = LanguageModel(config, 30, backend, weights)
        window = model.window(9, 5, backward=False)
        found.append(model.surprisal(window, ids, ids[::-1]))
    np.testing.assert_allclose(*found, rtol=2e-6, atol=2e-6)


def test_only_the_targets_that_count_give_gradients(core):
    config = ModelConfig(layers=1, hidden=12)
    mask = np.random.default_rng(2).random((5, 4)) < 0.4
    ids = np.random.default_rng(1).integers(0, 7, (5, 4)).astype(np.uint8)
    found = []
    for backend in (numpy_backend(core=core), numpy_backend()):
        model = LanguageModel.fresh(config, 7, 3, backend)
        grads = model.weights.like(np.empty_like(model.weights.flat))
        window = model.window(5, 4)
        loss = model.loss_and_gradient(window, ids, ids, grads, mask=mask, symbols=11)
        found.append((float(loss), grads.flat))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-4, atol=1e-7)


@each_cell
@pytest.mark.parametrize("embed", (0, 3))
def test_streams_that_start_anew_inside_a_window_equal_the_plain_ones(core, cell, embed):
    config = ModelConfig(layers=2, hidden=11, embed=embed, **cell)
    rng = np.random.default_rng(4)
    starts, found = rng.random((7, 5)) < 0.3, []
    mask = ~np.roll(starts, -1, axis=0)  # the last symbol of an example has no target
    mask[-1] = True
    ids = rng.integers(0, 6, (7, 5)).astype(np.uint8)
    weights = LanguageModel.fresh(replace(config, dtype="float64"), 6, 1).weights.flat
    for backend, dtype in ((numpy_backend(core=core), "float32"), (numpy_backend(), "float64")):
        model = LanguageModel(replace(config, dtype=dtype), 6, backend, weights.copy())
        window, grads = model.window(7, 5), model.weights.like(np.empty_like(model.weights.flat))
        resets = Resets.of(starts, backend, dtype)
        window.resets = resets
        loss = model.loss_and_gradient(window, ids, ids, grads, mask=mask)
        found.append((float(loss), grads.flat))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-6)
    difference = np.linalg.norm(found[0][1] - found[1][1])
    assert difference <= 1e-6 * np.linalg.norm(found[1][1])


def test_a_large_alphabet_is_scored_some_rows_at_a_time(core, monkeypatch):
    from charrnn.model import head

    config = ModelConfig(layers=1, hidden=8)
    whole = compute(numpy_backend(core=core), config, 40, 6, 5)
    monkeypatch.setattr(head, "SLAB_ELEMENTS", 40 * 7)
    parts = compute(numpy_backend(core=core), config, 40, 6, 5)
    assert whole[0] == parts[0]
    np.testing.assert_array_equal(whole[1], parts[1])


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_a_compiled_operation_equals_its_plain_definition(core, name, rng):
    """Each one that there is; which ones there are is told below."""
    if implementation(name, core) is None:
        assert name not in COMPILED
        return
    tested, xp = OPERATIONS[name], core.module()
    assert tested.provided(xp)[0] == "native"
    for dtype in (np.float32, np.float64):
        for case in kernel_cases.CASES[name](rng, dtype):
            expected = kernel_cases.run(lambda *a: tested.plain(np, *a), case, np.copy, np.copy)
            found = kernel_cases.run(lambda *a: tested(xp, *a), case, np.copy, np.copy)
            kernel_cases.assert_equal(found, expected, case, np.dtype(dtype).name)


COMPILED = {
    "model.dropout.draw",
    "model.onehot.column_sums",
    "model.parameters.norm",
    "train.optimizers.adam.adam",
    "train.optimizers.cautious.direct",
    "train.optimizers.cautious.move",
    "train.optimizers.rmsprop.rmsprop",
    "train.optimizers.sgd.sgd",
}


def test_the_compiled_operations_are_known(core):
    assert {name for name in OPERATIONS if implementation(name, core)} == COMPILED


def test_structures_have_the_same_size_on_both_sides(core):
    names = {"Recurrence": "lstm_forward"}
    checked = 0
    for name, structure in vars(jobs).items():
        size = getattr(core.library, f"charrnn_{names.get(name, name.lower())}_size", None)
        if isinstance(structure, type) and issubclass(structure, ctypes.Structure) and size:
            assert ctypes.sizeof(structure) == size(), name
            checked += 1
    assert checked >= 15


def elementary(core, x):
    results = [np.empty_like(x) for _ in range(3)]
    wide = -np.abs(x).astype(np.float64) * (1 + 1e-9)
    arrays = x, *results, wide, np.empty_like(wide)
    core.call("elementary", jobs.Elementary(x.size, *map(address, arrays)), 0)
    return results, *arrays[-2:]


@pytest.mark.parametrize("every", (16411, pytest.param(3001, marks=pytest.mark.slow)))
def test_elementary_functions_are_within_three_units_of_the_last_place(core, every):
    patterns = np.arange(0, 2**32, every, dtype=np.uint64).astype(np.uint32)  # over all floats
    near = np.linspace(-110, 95, 10**9 // every, dtype=np.float32)
    x = np.concatenate([patterns.view(np.float32), near])
    with np.errstate(all="ignore"):  # among them are signalling NaNs
        wide = x.astype(np.longdouble)
    with np.errstate(all="ignore"):
        exact = np.exp(wide), 1 / (1 + np.exp(-wide)), np.tanh(wide)
        for found, expected in zip(elementary(core, x)[0], exact, strict=True):
            with np.errstate(all="ignore"):
                rounded = expected.astype(np.float32)
            np.testing.assert_array_equal(np.isnan(found), np.isnan(rounded))
            np.testing.assert_array_equal(np.isinf(found), np.isinf(rounded))
            finite = np.isfinite(rounded)
            unit = np.spacing(np.abs(rounded[finite])).astype(np.longdouble)
            assert (np.abs(found[finite] - expected[finite]) / unit).max() <= 3


def test_rows_of_gradients_are_added_in_order(core):
    """Also where they are more than those that are multiplied at a time."""
    draw, V = np.random.default_rng(0), 11
    d = draw.standard_normal((600, 45)).astype(np.float32)[:, 3:40]
    ids = draw.integers(0, V, len(d)).astype(np.int32)
    sums, symbols = np.empty(d.shape[1], np.float32), np.empty((d.shape[1], V), np.float32)
    core.outer(d, [], sums, (ids, symbols))
    expected = np.zeros((V, d.shape[1]), np.float32)
    np.add.at(expected, ids, d)
    np.testing.assert_array_equal(symbols, expected.T)
    np.testing.assert_array_equal(sums, np.add.accumulate(d)[-1])


def test_nats_are_added_in_order(core):
    nats = np.random.default_rng(0).standard_normal(1000) * np.logspace(-9, 9, 1000)
    job = jobs.Nats(nats.size, address(nats))
    core.call("nats", job, 0)
    assert job.sum == np.add.accumulate(nats)[-1] != nats.sum()


def test_the_elementary_exp_of_doubles_is_within_one_unit_of_the_last_place(core):
    x = np.concatenate([np.linspace(0, 760, 20001), np.geomspace(1e-30, 1e30, 2001)])
    with np.errstate(all="ignore"):
        _, wide, found = elementary(core, x.astype(np.float32))
        exact = np.exp(wide.astype(np.longdouble))
    unit = np.spacing(exact.astype(np.float64)).astype(np.longdouble)
    assert (np.abs(found - exact) / unit).max() <= 1
    assert found[wide == 0].tolist() == [1.0]
    ends = elementary(core, np.array([np.inf, np.nan], np.float32))[2]
    np.testing.assert_array_equal(ends, [0.0, np.nan])


@each_cell
@pytest.mark.parametrize("value", (np.nan, np.inf))
def test_what_is_not_finite_passes_through(core, cell, value):
    if cell["cell"] == "rnn" and value == np.inf:
        pytest.skip("tanh of infinity is 1, and a rectified infinity meets no 0 here")
    config = ModelConfig(layers=1, hidden=6, **cell)
    last = LanguageModel.fresh(config, 4, 1).weights.flat.size - 1  # a bias of the output
    losses, gradients, _ = compute(numpy_backend(core=core), config, 4, 9, 5, 1, (last, value))
    assert not np.isfinite(losses[0])
    assert not np.isfinite(gradients[0]).all()
    first = compute(numpy_backend(core=core), config, 4, 9, 5, 1, (0, np.nan))
    assert not np.isfinite(first[1][0]).all()


@each_cell
def test_bits_depend_neither_on_threads_nor_on_the_library(cell):
    config = ModelConfig(layers=2, hidden=37, dropout=0.2, **cell)
    first = None
    for target, threads in product(TARGETS or ["none"], (1, 2, 3, 7)):
        backend = numpy_backend(core=opened(target, threads))
        found = compute(backend, config, 23, 9, 29)
        assert first is None or found[0] == first[0]
        first = first or found
        np.testing.assert_array_equal(found[1], first[1])
        np.testing.assert_array_equal(found[2], first[2])


@pytest.fixture(params=ROUNDING or ["none"])
def rounding(request):
    """A core whose products round their factors to bfloat16."""
    if not ROUNDING:
        pytest.skip("this processor has no products in bfloat16")
    core = opened(request.param)
    if not core.usable:
        pytest.skip(f"this machine cannot run the core {request.param}")
    return core


@each_cell
@each_shape
def test_products_in_bfloat16_differ_by_the_rounding_of_their_factors(rounding, cell, shape):
    """By 2^-9 of each factor at most; a wrong pairing of factors would be off by all of it."""
    layers, hidden, T, N, V = shape
    for embed in (0, 3):
        config = ModelConfig(layers=layers, hidden=hidden, embed=embed, **cell)
        mine = compute(numpy_backend(core=rounding), config, V, T, N)
        exact = compute(numpy_backend(), replace(config, dtype="float64"), V, T, N)
        np.testing.assert_allclose(mine[0], exact[0], rtol=5e-3)
        for found, expected in zip(mine[1], exact[1], strict=True):
            assert np.linalg.norm(found - expected) <= 8e-2 * np.linalg.norm(expected)
        assert any((f != e).any() for f, e in zip(mine[1], exact[1], strict=True))


@each_cell
def test_neither_do_those_of_products_in_bfloat16(rounding, cell):
    config, first = ModelConfig(layers=2, hidden=37, **cell), None
    for rounding.threads in (1, 2, 5):
        found = compute(numpy_backend(core=rounding), config, 23, 9, 29)
        first = first or found
        np.testing.assert_array_equal(found[1], first[1])


@each_cell
@each_shape
def test_every_core_rounds_to_bfloat16_alike(rounding, cell, shape):
    """They differ by the order of their sums."""
    layers, hidden, T, N, V = shape
    config = ModelConfig(layers=layers, hidden=hidden, **cell)
    mine = compute(numpy_backend(core=rounding), config, V, T, N, windows=1)
    other = compute(numpy_backend(core=opened(ROUNDING[-1])), config, V, T, N, windows=1)
    np.testing.assert_allclose(mine[0], other[0], rtol=1e-3)
    for found, expected in zip(mine[1], other[1], strict=True):
        assert np.linalg.norm(found - expected) <= 2e-2 * np.linalg.norm(expected)


def test_float64_and_numpy_s_own_path_stay_without_it(core, monkeypatch):
    assert select("numpy", core="numpy").core is None
    assert select("numpy", core="native").core.name == core.name
    monkeypatch.setenv(CORE_VARIABLE, "numpy")
    assert select("numpy").core is None
    assert select("numpy", core="native").core is not None
    config = ModelConfig(layers=1, hidden=4, dtype="float64")
    model = LanguageModel.fresh(config, 3, 0, numpy_backend(core=core))
    assert model.core is None
    plain = compute(numpy_backend(), config, 3, 4, 2)
    np.testing.assert_array_equal(compute(numpy_backend(core=core), config, 3, 4, 2)[1], plain[1])


@pytest.mark.slow
def test_no_address_is_wrong_and_no_behaviour_undefined(core, tmp_path):
    """The tests of the core, with libraries that the compiler has made watch themselves."""
    tests = sorted(Path(__file__).parent.glob("test_native*.py"))
    command = build.compiler()
    assert command
    checks = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize=alignment")
    runtime = subprocess.run(
        [*command, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not Path(runtime).is_absolute():
        pytest.skip("the compiler has no address sanitizer to load first")
    for target in TARGETS:
        build.compile_core(target, tmp_path / build.file_name(target), command, checks)
    env = os.environ | {
        LIBRARIES: str(tmp_path),
        "LD_PRELOAD": runtime,
        "ASAN_OPTIONS": "detect_leaks=0:halt_on_error=1",
        "UBSAN_OPTIONS": "halt_on_error=1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", *tests,
         "-m", "not slow", "-k", "equal or bits or finite or states or rows or elementary"],
        env=env, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout.replace("2 skipped", "")
