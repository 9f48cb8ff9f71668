"""Products through a separate cuBLAS handle equal NumPy's, for every layout of the arrays.

The calls go by ctypes to functions with cuBLAS's meaning, which run on the host.
"""

import ctypes.util

import numpy as np
import pytest

from charrnn.backend import memory
from charrnn.backend.gpu import cublas
from charrnn.backend.gpu.cublas import MatrixProducts, Module, with_own_products
from charrnn.backend.products import add_product
from charrnn.errors import BackendError

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])
T, M, K, N = 5, 4, 3, 7


@pytest.fixture
def xp(compiling):
    module, why = with_own_products(compiling)
    assert isinstance(module, Module), why
    module.products._library.calls.clear()
    return module


def products(xp):
    """Return the names of the products that cuBLAS was asked for."""
    return [name for name, _ in xp.products._library.calls if name.startswith("cublasGemm")]


def assert_product(xp, a, b, out=None):
    """Compare a product with NumPy's; it is cuBLAS that makes it, in one call."""
    before = len(products(xp))
    expected = np.matmul(a._data, b._data)
    found = xp.matmul(a, b) if out is None else xp.matmul(a, b, out=out)
    assert out is None or found is out
    assert found.dtype == expected.dtype
    unit = 16 * np.finfo(expected.dtype).eps
    np.testing.assert_allclose(found._data, expected, rtol=unit, atol=unit)
    assert len(products(xp)) == before + 1


def drawn(xp, rng, dtype, *shape):
    return xp.asarray(rng.standard_normal(shape).astype(dtype))


def lying(array, how):
    """Return the same matrix or matrices, lying in memory otherwise."""
    xp = array._owner
    axes = (*range(array.ndim - 2), array.ndim - 1, array.ndim - 2)
    if how == "transposed":
        return xp.ascontiguousarray(array.transpose(*axes)).transpose(*axes)
    if how == "within":
        shape = (*array.shape[:-2], array.shape[-2] + 2, array.shape[-1] + 3)
        room = xp.zeros(shape, array.dtype)
        room[..., 1:-1, 2:-1] = array
        return room[..., 1:-1, 2:-1]
    return array


@dtypes
@pytest.mark.parametrize("left", ["rows", "transposed", "within"])
@pytest.mark.parametrize("right", ["rows", "transposed", "within"])
@pytest.mark.parametrize("many", ["", "a", "b", "ab"])
def test_a_product_is_that_of_numpy(many, left, right, dtype, xp, rng):
    for m, k, n in ((M, K, N), (1, K, N), (M, 1, N), (M, K, 1), (1, 1, 1), (9, 17, 2)):
        a = lying(drawn(xp, rng, dtype, *([T] * ("a" in many)), m, k), left)
        b = lying(drawn(xp, rng, dtype, *([T] * ("b" in many)), k, n), right)
        shape = (*([T] * bool(many)), m, n)
        assert_product(xp, a, b)
        assert_product(xp, a, b, xp.full(shape, np.nan, dtype))
        room = xp.zeros((*shape[:-2], m + 2, n), dtype)
        assert_product(xp, a, b, room[..., 1:-1, :])
        assert not room._data[..., [0, -1], :].any()


@dtypes
def test_a_product_is_added_to_what_is_there(dtype, xp, rng):
    a, b = drawn(xp, rng, dtype, M, K), drawn(xp, rng, dtype, N, K).T
    out = drawn(xp, rng, dtype, M, N)
    expected = out._data + a._data @ b._data
    add_product(xp, a, b, out, xp.empty_like(out))
    unit = 16 * np.finfo(dtype).eps
    np.testing.assert_allclose(out._data, expected, rtol=unit, atol=unit)
    assert products(xp) == ["cublasGemmEx"]
    host, room = np.ones((2, 3)), np.empty((2, 3))
    add_product(np, np.full((2, 4), 2.0), np.ones((4, 3)), host, room)
    assert host.tolist() == [[9.0] * 3] * 2


def test_steps_of_a_working_array_are_multiplied_as_they_lie(xp, rng):
    """Some rows of each step, as the layers read and write them."""
    weight, x = drawn(xp, rng, np.float32, 6, K), drawn(xp, rng, np.float32, T + 2, K, N)
    work = xp.zeros((T + 2, 9, N), xp.float32)
    assert_product(xp, weight, x[:T], work[:T, 2:8])
    assert_product(xp, weight.T, work[:T, 2:8], x[1 : T + 1])
    assert not work._data[T:].any() and not work._data[:, [0, 1, 8]].any()


OTHERS = {
    "vectors": lambda xp: (xp.ones(K), xp.ones(K)),
    "a matrix and a vector": lambda xp: (xp.ones((M, K)), xp.ones(K)),
    "integers": lambda xp: (xp.ones((M, K), xp.int32), xp.ones((K, N), xp.int32)),
    "two types": lambda xp: (xp.ones((M, K), xp.float32), xp.ones((K, N))),
    "nothing to add up": lambda xp: (xp.ones((M, 0)), xp.ones((0, N))),
    "no rows": lambda xp: (xp.ones((0, K)), xp.ones((K, N))),
    "every second element": lambda xp: (xp.ones((M, 2 * K))[:, ::2], xp.ones((K, N))),
    "backwards": lambda xp: (xp.ones((M, K))[::-1], xp.ones((K, N))),
    "four dimensions": lambda xp: (xp.ones((2, 1, M, K)), xp.ones((3, K, N))),
    "one of many": lambda xp: (xp.ones((1, M, K)), xp.ones((3, K, N))),
}


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS.keys())
def test_all_else_is_left_to_cupy(make, xp):
    a, b = make(xp)
    np.testing.assert_array_equal(xp.matmul(a, b)._data, np.matmul(a._data, b._data))
    assert products(xp) == []


def test_an_output_that_lies_otherwise_is_written_too(xp, rng):
    a, b = drawn(xp, rng, np.float64, M, K), drawn(xp, rng, np.float64, K, N)
    out = xp.zeros((N, M)).T
    xp.matmul(a, b, out=out)
    np.testing.assert_allclose(out._data, a._data @ b._data, rtol=1e-12)


@pytest.mark.parametrize(("matmul", "single"), [("fp32", 68), ("tf32", 77)])
def test_how_to_compute_is_what_was_chosen(matmul, single, compiling):
    library = cublas.load(compiling)
    module = Module(compiling, MatrixProducts(compiling, library, matmul))
    for dtype, expected in ((compiling.float32, single), (compiling.float64, 70)):
        module.matmul(module.ones((2, 2), dtype), module.ones((2, 2), dtype))
        module.matmul(module.ones((3, 2, 2), dtype), module.ones((2, 2), dtype))
        for _, arguments in library.calls[-2:]:
            assert arguments[-2] == expected


def test_each_stream_has_a_handle_and_a_workspace(xp):
    """Set after the stream, which takes a workspace away."""
    stream = xp.cuda.Stream(non_blocking=True)
    with stream:
        assert_product(xp, xp.ones((2, 3)), xp.ones((3, 2)))
    names = [name for name, _ in xp.products._library.calls]
    assert names[:3] == ["cublasCreate_v2", "cublasSetStream_v2", "cublasSetWorkspace_v2"]
    assert_product(xp, xp.ones((2, 3)), xp.ones((3, 2)))
    assert len(xp.products._handles) == 2


@pytest.mark.parametrize(("status", "name"), [(13, "EXECUTION_FAILED"), (99, "code 99")])
def test_a_product_that_fails_says_why(status, name, xp):
    xp.products._library.status = status
    with pytest.raises(BackendError, match=rf"cublasGemmEx failed: CUBLAS_STATUS_{name}"):
        xp.matmul(xp.ones((2, 2)), xp.ones((2, 2)))


def test_a_want_of_memory_is_told_as_one(xp):
    xp.products._library.status = 3
    with pytest.raises(BackendError) as caught:
        xp.matmul(xp.ones((2, 2)), xp.ones((2, 2)))
    told = memory.explain(caught.value)
    assert told is not None and "out of GPU memory" in str(told)


def test_without_the_library_cupy_multiplies_itself(compiling, monkeypatch):
    def fail(cupy):
        raise BackendError("the cuBLAS library was not found")

    monkeypatch.setattr(cublas, "load", fail)
    assert with_own_products(compiling) == (compiling, "the cuBLAS library was not found")


def test_a_library_that_computes_wrongly_is_not_used(compiling, monkeypatch):
    monkeypatch.setattr(MatrixProducts, "multiply", lambda self, a, b, out, add=False: True)
    module, why = with_own_products(compiling)
    assert module is compiling
    assert "wrong product" in why


def test_what_is_no_library_is_passed_over(monkeypatch, compiling):
    monkeypatch.undo()
    monkeypatch.setattr(cublas, "_in_use", lambda: ["/nonexistent/libcublas.so.13"])
    monkeypatch.setattr(cublas, "_by_pathfinder", lambda: [ctypes.util.find_library("c") or ""])
    monkeypatch.setattr(cublas, "_NAMES", {})
    with pytest.raises(BackendError, match="was not found"):
        cublas.load(compiling)
