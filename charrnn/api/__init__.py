"""The Python interface: a model with its vocabulary, loaded, trained, sampled, scored and saved.

::

    import charrnn

    model = charrnn.fit("hello" * 200, hidden=32, steps=200, lr=0.01)
    print(model.sample(length=20, prime="he", temperature=0))
    print(model.evaluate("hellohello").bits_per_char)
    model.save("hello.safetensors")
    model = charrnn.load("hello.safetensors")
    print(charrnn.diagnose(model, "hello" * 100).verdicts)
"""

from charrnn.api.classifier import Classifier
from charrnn.api.diagnosis import diagnose
from charrnn.api.generator import Generator
from charrnn.api.importing import import_model
from charrnn.api.loading import load
from charrnn.api.model import Model
from charrnn.api.tagger import Tagger
from charrnn.api.training import fit
from charrnn.api.transducer import Transducer

__all__ = [
    "Classifier",
    "Generator",
    "Model",
    "Tagger",
    "Transducer",
    "diagnose",
    "fit",
    "import_model",
    "load",
]
