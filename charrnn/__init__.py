"""charrnn: train, sample and examine character-level recurrent language models.

The names below are the Python interface. They are loaded when first used, so that importing the
package costs nothing: NumPy, Typer, rich and CuPy are imported only when needed.
"""

from typing import TYPE_CHECKING

from charrnn.errors import CharRNNError
from charrnn.lazy import exports

if TYPE_CHECKING:
    from charrnn.api import Classifier as Classifier
    from charrnn.api import Generator as Generator
    from charrnn.api import Model as Model
    from charrnn.api import Tagger as Tagger
    from charrnn.api import Transducer as Transducer
    from charrnn.api import diagnose as diagnose
    from charrnn.api import fit as fit
    from charrnn.api import import_model as import_model
    from charrnn.api import load as load
    from charrnn.model.stack import Stack as Stack
    from charrnn.plugins import plugin as plugin

__version__ = "0.1.0"

_HOME = {
    "Classifier": "api",
    "Generator": "api",
    "Model": "api",
    "Tagger": "api",
    "Transducer": "api",
    "diagnose": "api",
    "fit": "api",
    "import_model": "api",
    "load": "api",
    "Stack": "model.stack",
    "plugin": "plugins",
}

__all__ = [
    "CharRNNError",
    "Classifier",
    "Generator",
    "Model",
    "Stack",
    "Tagger",
    "Transducer",
    "__version__",
    "diagnose",
    "fit",
    "import_model",
    "load",
    "plugin",
]

__getattr__, __dir__ = exports(__name__, _HOME)
