"""Every operation of the package, found by importing all of it."""

import importlib
import pkgutil

import charrnn
from charrnn.backend.operations import operations

for _module in pkgutil.walk_packages(charrnn.__path__, "charrnn."):
    if not _module.name.endswith("__main__"):
        importlib.import_module(_module.name)

OPERATIONS = {
    name: operation
    for name, operation in operations().items()
    if operation.plain.__module__.startswith("charrnn.")
}
