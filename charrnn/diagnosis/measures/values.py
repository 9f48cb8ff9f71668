"""Values as measurements take and return them: float64, summaries of samples, records for JSON."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass, replace
from math import isfinite, nan
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from charrnn.backend import Backend
from charrnn.model.network import Network

Floats = NDArray[np.float64]
AnyNetwork = TypeVar("AnyNetwork", bound=Network)


@dataclass(frozen=True)
class Spread:
    """Mean, median and 95th percentile of a sample; NaN if it is empty.

    If the sample holds NaN or infinity, all three are its first such value.
    """

    mean: float
    median: float
    p95: float

    @classmethod
    def of(cls, sample: ArrayLike) -> Spread:
        """Summarise a 1-D sample."""
        values = np.asarray(sample, np.float64)
        if values.size == 0:
            return cls(nan, nan, nan)
        if not np.isfinite(values).all():
            worst = float(values[~np.isfinite(values)][0])
            return cls(worst, worst, worst)
        median, p95 = np.percentile(values, (50, 95))
        return cls(float(values.mean()), float(median), float(p95))


def part_of(stack: str, suffix: str) -> str:
    """Return the name of one of several readers: a stack's, by its name, in one direction.

    ``suffix`` is that of the names of its parameters, empty for the direction of time.
    """
    return " ".join(filter(None, (stack, "backwards" if suffix else "")))


def without_dropout(model: AnyNetwork, dtype: str | None = None) -> AnyNetwork:
    """Return the model with the same weights, on the same backend, without dropout."""
    dtype = dtype or model.config.dtype
    config = replace(model.config, dtype=dtype, dropout=0.0, recurrent_dropout=0.0)
    weights = model.backend.get(model.weights.flat)
    return type(model)(config, model.V, model.backend, weights, outputs=model.outputs)


def in_float64(model: AnyNetwork) -> AnyNetwork:
    """Return the model without dropout in float64."""
    return without_dropout(model, "float64")


def copied_to(model: AnyNetwork, backend: Backend) -> AnyNetwork:
    """Return the model on a backend, with its own copy of the weights."""
    weights = np.array(model.backend.get(model.weights.flat))
    return type(model)(model.config, model.V, backend, weights, outputs=model.outputs)


def plain(value: Any) -> Any:
    """Return a value ready for JSON: dataclasses as dictionaries, arrays and tuples as lists.

    Non-finite numbers become None.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return value if isfinite(value) else None
    return value
