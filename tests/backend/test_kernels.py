"""CUDA text: its parameters, its launches, and the host that runs it in tests."""

from importlib.resources import files

import numpy as np
import pytest
from helpers import nvrtc

from charrnn.backend.gpu import kernels
from charrnn.backend.gpu.kernels import CudaSource, Gpu, Parameter, blocks, functions


@pytest.fixture
def written(tmp_path):
    """Return a source with a text of the test's own."""

    def write(text, **headers):
        for name, header in headers.items():
            (tmp_path / f"{name}.cuh").write_text(header)
        (tmp_path / "test.cu").write_text(text)
        return CudaSource("test.cu", tmp_path)

    return write


def test_a_text_that_is_wrong_does_not_compile(written):
    text = 'extern "C" __global__ void f(real* x) { nonsense; }'
    with pytest.raises(nvrtc.CompileError, match="nonsense"):
        nvrtc.load().compile(written(text).code("float32"), "sm_80")


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


SUM = """
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


def test_the_host_runs_blocks_barriers_and_shuffles(compiling, written):
    gpu = Gpu(compiling, written(SUM))
    x, out = compiling.asarray(np.arange(1000.0)), compiling.zeros((), compiling.float64)
    gpu.launch(x.dtype, "sum", 3, 64, x, 1000, 0.5, out)
    assert float(out.get()) == 499500 / 2
    lanes = compiling.zeros(64, compiling.int32)
    gpu.launch("float32", "warps", 1, 64, lanes)
    expected = [496 + 1000 * min(lane + 1, 31) for lane in range(32)]
    assert lanes.get().tolist() == expected * 2


def test_the_order_of_turns_shows_a_race(compiling, written):
    gpu, found = Gpu(compiling, written(SUM)), []
    for backwards in (False, True):
        compiling.backwards = backwards
        out = compiling.zeros(1, compiling.int32)
        gpu.launch("float32", "race", 1, 64, out)
        found.append(int(out[0].get()))
    assert found == [63, 0]


def test_arguments_that_disagree_with_the_text_are_refused(compiling, written):
    gpu = Gpu(compiling, written(SUM))
    x, out = compiling.zeros(8, compiling.float32), compiling.zeros((), compiling.float32)
    gpu.launch("float32", "sum", 1, 64, x, 8, 1, out)
    with pytest.raises(TypeError, match="x must be float64, not float32"):
        gpu.launch("float64", "sum", 1, 64, x, 8, 1, out)
    with pytest.raises(ValueError, match="x must be contiguous"):
        gpu.launch("float32", "sum", 1, 64, x[::2], 4, 1, out)
    with pytest.raises(TypeError, match="sum takes 4 arguments, not 3"):
        gpu.launch("float32", "sum", 1, 64, x, 8, out)
    gpu.launch("float32", "sum", 1, 64, kernels.Strided(x[::2]), 4, 1, out)


def test_a_grid_covers_its_elements_and_has_an_end():
    assert [blocks(n) for n in (0, 1, 256, 257)] == [1, 1, 1, 2]
    assert blocks(1 << 40) == kernels.MAX_BLOCKS
    assert blocks(100, 8) == 13


def test_a_source_includes_the_files_beside_it(written):
    source = written('#include "twice.cuh"\n// text', twice='#include "once.cuh"', once="int x;")
    assert source.text == "int x;\n// text"
    code = source.code("float64")
    prelude = files("charrnn.backend.gpu.operations").joinpath("prelude.cuh").read_text("utf-8")
    assert code == f"typedef double real;\n{prelude}\n{source.text}"
