"""The array module without memory: shapes and dtypes are NumPy's, and bytes are counted."""

import numpy as np
import pytest

from charrnn.backend.meter import Meter, UnknownError

KEYS = (
    0,
    -1,
    slice(1, 3),
    slice(None, None, -1),
    slice(3, 0, -2),
    slice(5, 2),
    (1, slice(0, 2)),
    (..., None),
    (slice(None), None, 2),
    (0, ..., slice(1, None, 2)),
    (slice(None, None, 3), 0, -2),
)


@pytest.fixture
def meter():
    return Meter()


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_a_view_has_the_shape_of_numpys_and_takes_nothing(key, meter):
    array = meter.empty((4, 5, 6), np.float32)
    before = meter.bytes
    view = array[key]
    assert view.shape == np.empty((4, 5, 6))[key].shape
    assert view.dtype == np.float32
    assert meter.bytes == before == 4 * 4 * 5 * 6


COMPUTED = {
    "transpose": lambda xp, a, b: a.transpose(1, 0),
    "T": lambda xp, a, b: a.T,
    "reshape": lambda xp, a, b: a.reshape(2, -1),
    "reshape by a tuple": lambda xp, a, b: a.reshape((6, 2)),
    "sum": lambda xp, a, b: a + b[0],
    "number": lambda xp, a, b: 2.0 * (1.0 - a) / 3.0,
    "product": lambda xp, a, b: a @ b.T if xp is np else xp.matmul(a, b.T),
    "products": lambda xp, a, b: xp.matmul(a[None], b.T.reshape(1, 4, 3)),
    "ufunc": lambda xp, a, b: xp.tanh(a),
    "out": lambda xp, a, b: xp.multiply(a, b, out=b),
    "concatenate": lambda xp, a, b: xp.concatenate((a, b[:1])),
    "columns": lambda xp, a, b: xp.concatenate((a, b), axis=1),
    "like": lambda xp, a, b: xp.zeros_like(a),
    "full": lambda xp, a, b: xp.full((2, 1), 0.5, a.dtype),
    "one axis": lambda xp, a, b: xp.zeros(7, np.uint8),
    "constant": lambda xp, a, b: xp.asarray(0.5, a.dtype),
    "two types": lambda xp, a, b: xp.multiply(a, xp.zeros((3, 1), np.float64)),
    "copy": lambda xp, a, b: a.copy(),
}


@pytest.mark.parametrize("compute", COMPUTED.values(), ids=COMPUTED.keys())
def test_a_result_has_the_shape_and_dtype_of_numpys(compute, meter):
    shape = (3, 4)
    expected = compute(np, *(np.ones(shape, np.float32) for _ in range(2)))
    hollow = [meter.empty(shape, np.float32) for _ in range(2)]
    before = meter.bytes
    found = compute(meter, *hollow)
    assert found.shape == expected.shape and len(found.shape) == found.ndim
    assert found.dtype == expected.dtype
    assert found.size == expected.size and found.nbytes == expected.nbytes
    own = found.owner is None and all(found is not given for given in hollow)
    assert meter.bytes - before == own * expected.nbytes


def test_what_is_deleted_is_not_counted_but_a_view_holds_what_it_shows(meter):
    array = meter.zeros((10, 3))
    view = array[2:4]
    del array
    assert meter.bytes == 240
    del view
    assert meter.bytes == 0


def test_absurd_sizes_are_exact(meter):
    huge = 10**30 + 1
    array = meter.empty((huge, huge), np.float32)
    assert meter.bytes == 4 * huge**2
    assert array[1:, ::2].shape == (huge - 1, (huge + 1) // 2)
    assert (array * array[:1]).shape == (huge, huge)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda xp: xp.empty((2, 3)) + xp.empty((2, 4)),
        lambda xp: xp.matmul(xp.empty((2, 3)), xp.empty((2, 3))),
        lambda xp: xp.add(xp.empty(3), xp.empty(3), out=xp.empty(4)),
        lambda xp: xp.empty((2, 3)).__setitem__(0, xp.empty(4)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(wrong, meter):
    with pytest.raises(ValueError, match=r"fit|product"):
        wrong(meter)


def test_an_index_out_of_range_and_an_unknown_function_are_refused(meter):
    with pytest.raises(IndexError, match="out of range"):
        meter.empty((2, 3))[2]
    with pytest.raises(UnknownError, match=r"numpy\.einsum"):
        meter.einsum("ij->ji", meter.empty((2, 3)))
    with pytest.raises(UnknownError, match="argsort"):
        meter.empty((2, 3)).argsort()


def test_values_are_written_where_they_fit(meter):
    array = meter.zeros((2, 3))
    array[...] = 1.0
    array[1] = array[0]
    array += 1.0
    array *= array
    assert meter.bytes == 48
