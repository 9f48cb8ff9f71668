"""Parameters and optimizer moments that hold NaN or infinity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from charrnn.model.network import Network


@dataclass(frozen=True)
class Broken:
    """An array of ``size`` elements, of which ``count`` are NaN or infinite.

    ``kind`` is ``NaN`` if any of them is, else ``infinite``.
    """

    name: str
    kind: str
    count: int
    size: int


def find_broken(model: Network, moments: dict[str, np.ndarray] | None = None) -> list[Broken]:
    """Return the parameters and moments that hold NaN or infinity.

    ``moments`` maps names to flat arrays (P,) in the order of the model's parameters; arrays of
    another size are skipped.
    """
    get, broken = model.backend.get, []
    arrays = {name: get(array) for name, array in model.weights.items()}
    for moment, flat in (moments or {}).items():
        if flat.size == model.weights.trained.flat.size:
            parts = model.weights.trained.like(flat)
            arrays |= {f"optimizer.{moment} of {name}": part for name, part in parts.items()}
    for name, array in arrays.items():
        bad = array[~np.isfinite(array)]
        if bad.size:
            kind = "NaN" if np.isnan(bad).any() else "infinite"
            broken.append(Broken(name, kind, int(bad.size), int(array.size)))
    return broken
