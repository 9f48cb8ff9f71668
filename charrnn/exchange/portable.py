"""A language model on its way to another library: its weights on the host, by layer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from charrnn.cells.base import Cell
from charrnn.cells.layouts import Layouts
from charrnn.config import DataConfig, ModelConfig
from charrnn.errors import CharRNNError, setting
from charrnn.model.language import LanguageModel
from charrnn.model.network import DECODER, EMBEDDING, RNN
from charrnn.text.vocabulary import Vocabulary

MODEL, VOCABULARY, DATA = "charrnn.model", "charrnn.vocabulary", "charrnn.data"
"""The names under which a file keeps what its weights do not say, as JSON."""
_READ_AS = ("level", "column", "field", "join", "examples")


class Layer(NamedTuple):
    """The weights of a layer: ``ih`` (G·H, D), ``hh`` (G·H, H), and the two biases (G·H,).

    The gates are in the order of the cell. ``bias_hh`` is zero for a cell with a single bias.
    """

    ih: np.ndarray
    hh: np.ndarray
    bias_ih: np.ndarray
    bias_hh: np.ndarray


@dataclass(frozen=True)
class Portable:
    """A language model whose cell has layouts in other libraries.

    Attributes
    ----------
    model, vocabulary
        The network and its symbols.
    layouts
        Its cell in other libraries.
    data
        How its text was read; None if not known.
    weights
        Its parameters by name, on the host.
    """

    model: LanguageModel
    vocabulary: Vocabulary
    layouts: Layouts
    data: DataConfig | None
    weights: dict[str, np.ndarray]

    @classmethod
    def of(
        cls, model: LanguageModel, vocabulary: Vocabulary, data: DataConfig | None = None
    ) -> Portable:
        """Return a model with its layouts; counted n-grams are left out.

        Raises
        ------
        CharRNNError
            If its cell declares none.
        """
        model = model.alone()
        layouts = model.stack.cell.layouts
        if layouts is None:
            raise CharRNNError(
                f"{setting('cell')} {model.config.cell} does not say how other libraries lay it "
                "out",
                "give its class the attribute layouts: see charrnn.cells.layouts",
            )
        host = model.weights.like(model.backend.get(model.weights.flat))
        return cls(model, vocabulary, layouts, data, dict(host))

    @property
    def config(self) -> ModelConfig:
        """The architecture."""
        return self.model.config

    @property
    def cell(self) -> Cell:
        """The cell of all layers."""
        return self.model.stack.cell

    @property
    def embedding(self) -> np.ndarray | None:
        """The embedding (V, D); None if the first layer reads one-hot vectors."""
        return self.weights.get(EMBEDDING)

    @property
    def decoder(self) -> tuple[np.ndarray, np.ndarray]:
        """The weight (V, H) and the bias (V,) of the output."""
        return self.weights[f"{DECODER}weight"], self.weights[f"{DECODER}bias"]

    def layers(self) -> list[Layer]:
        """Return the weights of all layers, bottom first."""
        found = []
        for index in range(self.config.layers):
            own = self.model.stack.of_layer(self.weights, index, RNN)
            bias = own["bias_ih"]
            second = own.get("bias_hh", np.zeros_like(bias))
            found.append(Layer(own["weight_ih"], own["weight_hh"], bias, second))
        return found

    def facts(self) -> dict[str, str]:
        """Return what the weights do not say, as strings by name."""
        facts = {MODEL: self.config.to_json(), VOCABULARY: self.vocabulary.to_json()}
        if self.data is not None:
            read_as = {name: self.data.get(name) for name in _READ_AS}
            facts[DATA] = DataConfig(**read_as).to_json()
        return {name: json.dumps(fact) for name, fact in facts.items()}
