"""The network of each task."""

from __future__ import annotations

from charrnn.model.language import LanguageModel
from charrnn.model.network import Network
from charrnn.model.sequences.classifier import Classifier
from charrnn.model.sequences.generator import Generator
from charrnn.model.sequences.tagger import Tagger
from charrnn.model.transducer.model import Transducer

NETWORKS: dict[str, type[Network]] = {
    "lm": LanguageModel,
    "classify": Classifier,
    "tag": Tagger,
    "transduce": Transducer,
    "generate": Generator,
}
