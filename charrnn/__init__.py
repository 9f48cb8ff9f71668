"""charrnn: train, sample and examine character-level recurrent language models.

The names below are the Python interface. They are loaded when first used, so that importing the
package costs nothing: NumPy, Typer, rich and CuPy are imported only when needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from charrnn.errors import CharRNNError

if TYPE_CHECKING:
    from charrnn.api import Model as Model
    from charrnn.api import diagnose as diagnose
    from charrnn.api import fit as fit
    from charrnn.api import load as load
    from charrnn.model.stack import Stack as Stack
    from charrnn.plugins import plugin as plugin

__version__ = "0.1.0"

_LAZY = {
    "Model": "charrnn.api",
    "diagnose": "charrnn.api",
    "fit": "charrnn.api",
    "load": "charrnn.api",
    "Stack": "charrnn.model.stack",
    "plugin": "charrnn.plugins",
}

__all__ = ["CharRNNError", "Model", "Stack", "__version__", "diagnose", "fit", "load", "plugin"]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
