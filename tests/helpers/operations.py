"""Every fused operation of the package, found by importing all of it."""

import importlib
import pkgutil

import charrnn
from charrnn.backend.gpu import kernels

for _module in pkgutil.walk_packages(charrnn.__path__, "charrnn."):
    if not _module.name.endswith("__main__"):
        importlib.import_module(_module.name)

REGISTRY = {
    name: kernel
    for name, kernel in kernels.registry().items()
    if kernel.plain.__module__.startswith("charrnn.")
}
