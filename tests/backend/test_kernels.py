"""Every fused operation: its CUDA text compiles for every GPU, and equals its plain definition.

No GPU is needed: NVRTC compiles without one, and the text runs on the host (``cuda_on_host``).
"""

import numpy as np
import pytest
from doubles import fake_cupy
from helpers import kernel_cases, nvrtc
from helpers.operations import REGISTRY

from charrnn.backend.gpu import kernels, philox
from charrnn.backend.gpu.kernels import Gpu, Parameter, Source, blocks, functions, fused
from charrnn.backend.gpu.philox import Key
from charrnn.model.onehot import columns
from charrnn.randomness import Purpose, words

SOURCES = {kernel.plain.__module__: kernel.source for kernel in REGISTRY.values()}
DTYPES = ("float32", "float64")
operations = pytest.mark.parametrize("name", sorted(REGISTRY))
precisions = pytest.mark.parametrize("dtype", DTYPES)


def test_every_operation_has_cases():
    assert set(REGISTRY) == set(kernel_cases.CASES)


@precisions
@operations
def test_a_kernel_equals_its_plain_definition(name, dtype, compiling, rng):
    """In whatever order blocks and threads run: what depends on it is a race."""
    kernel, count = REGISTRY[name], 0
    for case in kernel_cases.CASES[name](rng, np.dtype(dtype).type):
        expected = kernel_cases.run(lambda *a: kernel.plain(np, *a), case, np.copy, np.copy)
        for backwards in (False, True):
            compiling.backwards = backwards
            compiling.clear()
            found = kernel_cases.run(
                lambda *a: kernel(compiling, *a), case, compiling.asarray, compiling.asnumpy
            )
            kernel_cases.assert_equal(found, expected, case, dtype)
            assert compiling.launches
        count += 1
    assert count


@operations
def test_the_plain_definition_runs_where_nothing_compiles(name, device, rng):
    """The same result on the double, so that each definition is one on any array module."""
    for case in kernel_cases.CASES[name](rng, np.float32):
        expected = kernel_cases.run(lambda *a: REGISTRY[name].plain(np, *a), case, np.copy, np.copy)
        found = kernel_cases.run(
            lambda *a: REGISTRY[name](device, *a), case, device.asarray, device.asnumpy
        )
        for mine, theirs in zip(found, expected, strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("arch", nvrtc.ARCHITECTURES)
@precisions
@pytest.mark.parametrize("module", sorted(SOURCES))
def test_the_text_compiles_for_every_gpu(module, dtype, arch):
    code = nvrtc.load().compile(SOURCES[module].code(dtype), arch)
    assert all(function.encode() in code for function in SOURCES[module].functions)


def test_every_operation_is_in_a_text_that_compiles():
    assert {id(kernel.source) for kernel in REGISTRY.values()} == set(map(id, SOURCES.values()))


def test_a_text_that_is_wrong_does_not_compile():
    text = 'extern "C" __global__ void f(real* x) { nonsense; }'
    with pytest.raises(nvrtc.CompileError, match="nonsense"):
        nvrtc.load().compile(Source(text).code("float32"), "sm_80")


def test_the_parameters_are_read_from_the_text():
    found = functions(
        """
        __device__ int helper(int x) { return x; }
        extern "C" __global__ void __launch_bounds__(256, 2) one(
            const real* __restrict__ x, unsigned long long n, double s, const void *ids
        ) {}
        extern "C" __global__ void none() {}
        """
    )
    assert list(found) == ["one", "none"]
    assert found["one"] == (
        Parameter("x", "real", True),
        Parameter("n", "unsigned long long", False),
        Parameter("s", "double", False),
        Parameter("ids", "void", True),
    )
    assert found["none"] == ()
    with pytest.raises(ValueError, match="half h"):
        functions("__global__ void f(half h) {}")


SUM = Source(
    """
    extern "C" __global__ void sum(const real* x, long long n, real factor, real* out) {
        __shared__ double room[64];
        double s = 0;
        for (long long i = first(); i < n; i += stride()) s += x[i];
        s = block_sum(s, room, threadIdx.x, 64);
        if (threadIdx.x == 0) atomicAdd(out, (real)(factor * s));
    }
    extern "C" __global__ void warps(int* out) {
        int lane = threadIdx.x % 32, all = lane;
        for (int step = 16; step > 0; step /= 2) all += __shfl_xor_sync(~0u, all, step);
        int next = __shfl_down_sync(~0u, lane, 1);
        out[threadIdx.x] = all + 1000 * next;
    }
    extern "C" __global__ void race(int* out) {
        out[0] = threadIdx.x;
    }
    """
)


def test_the_host_runs_blocks_barriers_and_shuffles(compiling):
    gpu = Gpu(compiling, SUM)
    x, out = compiling.asarray(np.arange(1000.0)), compiling.zeros((), compiling.float64)
    gpu.launch(x.dtype, "sum", 3, 64, x, 1000, 0.5, out)
    assert float(out.get()) == 499500 / 2
    lanes = compiling.zeros(64, compiling.int32)
    gpu.launch("float32", "warps", 1, 64, lanes)
    expected = [496 + 1000 * min(lane + 1, 31) for lane in range(32)]
    assert lanes.get().tolist() == expected * 2


def test_the_order_of_turns_shows_a_race(compiling):
    gpu, found = Gpu(compiling, SUM), []
    for backwards in (False, True):
        compiling.backwards = backwards
        out = compiling.zeros(1, compiling.int32)
        gpu.launch("float32", "race", 1, 64, out)
        found.append(int(out[0].get()))
    assert found == [63, 0]


def test_arguments_that_disagree_with_the_text_are_refused(compiling):
    gpu = Gpu(compiling, SUM)
    x, out = compiling.zeros(8, compiling.float32), compiling.zeros((), compiling.float32)
    gpu.launch("float32", "sum", 1, 64, x, 8, 1, out)
    with pytest.raises(TypeError, match="x must be float64, not float32"):
        gpu.launch("float64", "sum", 1, 64, x, 8, 1, out)
    with pytest.raises(ValueError, match="x must be contiguous"):
        gpu.launch("float32", "sum", 1, 64, x[::2], 4, 1, out)
    with pytest.raises(TypeError, match="sum takes 4 arguments, not 3"):
        gpu.launch("float32", "sum", 1, 64, x, 8, out)
    gpu.launch("float32", "sum", 1, 64, kernels.Strided(x[::2]), 4, 1, out)


def test_an_operation_chooses_by_the_array_module(device):
    chosen = []

    @fused(Source(""), lambda gpu, x: chosen.append(gpu.xp))
    def operation(xp, x):
        """Say what it is."""
        chosen.append(x)

    assert operation.__doc__ == "Say what it is."
    assert kernels.registry()[operation.name] is operation
    compiler = fake_cupy.create(kernels=True)
    for xp in (np, device, compiler):
        operation(xp, 5)
    assert chosen == [5, 5, compiler]


def test_a_grid_covers_its_elements_and_has_an_end():
    assert [blocks(n) for n in (0, 1, 256, 257)] == [1, 1, 1, 2]
    assert blocks(1 << 40) == kernels.MOST_BLOCKS
    assert blocks(100, 8) == 13


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 1000])
@pytest.mark.parametrize("key", [(0, 0, 0), (-1, 2**40, 7), (2**64 - 1, 5, 0)])
def test_bits_drawn_by_array_arithmetic_are_those_of_the_host(count, key, device):
    seed, step, layer = key
    expected = words(seed, Purpose.DROPOUT, count, step=step, layer=layer)
    for xp in (np, device):
        found = philox.words(xp, Key(seed, Purpose.DROPOUT, step, layer), count)
        assert found.dtype == np.uint64
        host = found if xp is np else found.get()
        np.testing.assert_array_equal(host, expected.astype(np.uint64))
    assert device.uploads == []


def test_columns_go_into_some_rows_of_a_working_array(compiling, rng):
    table, ids = rng.standard_normal((4, 9)), rng.integers(0, 9, (5, 3))
    work = compiling.zeros((6, 7, 3), compiling.float64)
    columns(compiling, compiling.asarray(table), compiling.asarray(ids), work[:5, 1:5])
    found = work.get()
    np.testing.assert_array_equal(found[:5, 1:5], table[:, ids].transpose(1, 0, 2))
    assert not found[5:].any() and not found[:, [0, 5, 6]].any()
    with pytest.raises(ValueError, match="contiguous"):
        columns(compiling, compiling.asarray(table), compiling.asarray(ids), work[:5, :, :2])
