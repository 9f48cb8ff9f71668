"""The recurrent matrices: spectral radius, largest singular value, and their consequences.

For h_t = φ(W x_t + U h_{t-1} + b) the Jacobian is diag(φ') U, and |φ'| ≤ γ with γ = 1 for tanh and
the rectifier. So ‖∂h_t/∂h_{t-k}‖ ≤ (γ σ₁(U))^k through the states of the layer: σ₁(U) < 1/γ is
sufficient for vanishing gradients, and σ₁(U) > 1/γ necessary for exploding ones, not sufficient
(Pascanu, Mikolov and Bengio 2013, arXiv 1211.5063, section 2.1). The spectral radius ρ(U) ≤ σ₁(U)
says how states grow where φ' is 1; products of diag(φ') U may grow if ρ(U) is 0, and shrink if it
is above 1. The theorem does not apply to gated cells, whose states have a second path; for their
matrices only the numbers are given, gate by gate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from charrnn.cells.base import Cell
from charrnn.diagnosis.measures.values import Floats, part_of
from charrnn.model.network import Network
from charrnn.model.sequences.bidirectional import BACK

ROUNDING = 1e-6
"""By how much σ₁ must be below 1/γ: an orthogonal matrix in float32 has σ₁ = 1 ± 1e-7."""


@dataclass(frozen=True)
class Recurrent:
    """One gate's block of ``weight_hh`` of one layer, (H, H).

    ``part`` is which of several readers of the model, and empty if there is one;
    ``spectral_radius`` is max |eigenvalue|, ``sigma_max`` the largest singular value;
    ``vanishing_sufficient`` whether σ₁ < 1/γ; None if the theorem does not apply to the cell.
    """

    layer: int
    gate: str
    spectral_radius: float
    sigma_max: float
    vanishing_sufficient: bool | None
    part: str = ""

    @property
    def name(self) -> str:
        """The layer, with its part of the model."""
        return f"{self.part} {self.layer}".strip()


def recurrent(model: Network) -> list[Recurrent]:
    """Measure every recurrent matrix of the model, in float64 on the host; a cell may have none."""
    matrices = []
    for name, (prefix, stack) in model.stacks().items():
        for layer, each in enumerate(stack.layers):
            for suffix in ("", BACK):
                if f"weight_hh{suffix}" not in each.shapes:
                    continue
                array = model.weights[prefix + stack.name(f"weight_hh{suffix}", layer)]
                weight = model.backend.get(array).astype(np.float64)
                matrices += _blocks(stack.cell, weight, layer, part_of(name, suffix))
    return matrices


def _blocks(cell: Cell, weight: Floats, layer: int, part: str) -> list[Recurrent]:
    """Measure the blocks of all gates of one matrix (G·H, H)."""
    found = []
    for gate, block in zip(cell.gates, np.split(weight, len(cell.gates)), strict=True):
        radius = float(np.abs(np.linalg.eigvals(block)).max())
        sigma = float(np.linalg.norm(block, 2))
        holds = None if cell.slope_bound is None else sigma < 1.0 / cell.slope_bound - ROUNDING
        found.append(Recurrent(layer, gate, radius, sigma, holds, part))
    return found
