"""Products with one-hot vectors: column selection forward, column sums backward."""

from __future__ import annotations

from typing import Any

from charrnn.backend import Array
from charrnn.backend.operations import operation


@operation
def columns(xp: Any, table: Array, ids: Array, out: Array) -> None:
    """Write ``table @ one-hot(ids)`` to ``out`` (T, F, N), for a table (F, D) and ids (T, N)."""
    # NumPy's default mode copies through a buffer; CuPy has only one mode.
    unbuffered: dict[str, Any] = {"mode": "clip"} if xp.__name__ == "numpy" else {}
    for t in range(out.shape[0]):
        xp.take(table, ids[t], axis=1, out=out[t], **unbuffered)


@operation
def column_sums(xp: Any, rows: Array, ids: Array, out: Array) -> None:
    """Write ``rows`` (F, T·N) times the one-hot rows (T·N, V) of ``ids`` (T, N) to ``out`` (F, V).

    If the alphabet is larger than the window, only the symbols that occur are multiplied.
    """
    flat, V = ids.reshape(-1), out.shape[1]
    if flat.size >= V:
        xp.matmul(rows, _one_hot(xp, flat, V, rows.dtype), out=out)
    else:
        symbols, flat = xp.unique(flat, return_inverse=True)
        out[...] = 0.0
        out[:, symbols] = rows @ _one_hot(xp, flat.reshape(-1), symbols.size, rows.dtype)


def elements_of_sums(F: int, M: int, V: int) -> int:
    """Return the elements of the arrays that :func:`column_sums` makes for M symbols of V."""
    return M * V if M >= V else M * M + F * M


def _one_hot(xp: Any, ids: Array, V: int, dtype: Any) -> Array:
    """Return (M, V) with a single 1 in each row m, at ``ids[m]``."""
    hot = xp.zeros(ids.size * V, dtype)
    hot[xp.arange(ids.size, dtype=xp.int64) * V + ids] = 1.0
    return hot.reshape(ids.size, V)
