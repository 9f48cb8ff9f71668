"""Open the compiled core that suits this processor.

The source is compiled for several kinds of processors (see
:mod:`charrnn.backend.native.build`); the best library that the processor can run is opened.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from ctypes import CDLL, c_char_p
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from charrnn.backend.native.build import (
    BF16_FEATURES,
    COMMAND,
    FEATURES,
    FOLDER,
    digest,
    file_name,
    machine,
)
from charrnn.backend.native.core import Core
from charrnn.errors import BackendError, setting


def open_core(threads: int, folder: Path = FOLDER, matmul: str = "fp32") -> Core:
    """Open the best compiled core.

    Parameters
    ----------
    threads
        Threads to divide its work among.
    folder
        Where the libraries are.
    matmul
        How it multiplies matrices, ``fp32`` or ``bf16``.

    Raises
    ------
    BackendError
        If this processor can run none of them, or the best is not of this source; the message says
        why.
    """
    kind = BF16_FEATURES if matmul == "bf16" else FEATURES
    usable = runnable(kind.get(machine(), {}), features())
    if not usable and matmul != "bf16":
        unsupported = f"this processor ({platform.machine()})" if machine() else platform.system()
        raise BackendError(
            f"the compiled core does not support {unsupported}", f"leave out {setting('core')}"
        )
    built = [target for target in usable if (folder / file_name(target)).is_file()]
    for target in built:
        core = open_library(folder / file_name(target), target, threads)
        if core.usable:
            return core
    if matmul == "bf16" and (built or not usable):
        raise BackendError(
            f"this processor has no products in bfloat16 ({platform.machine()})",
            f"leave out {setting('matmul')}",
        )
    raise BackendError(
        "the compiled core was not built when charrnn was installed",
        f"install a C compiler, then run: {COMMAND}",
    )


def runnable(targets: Mapping[str, tuple[str, ...]], available: Mapping[str, bool]) -> list[str]:
    """Return the targets whose features are all available, best first."""
    return [target for target, needed in targets.items() if all(available.get(f) for f in needed)]


def features() -> Mapping[str, bool]:
    """Return the features of this processor, by their names in NumPy, as true or false."""
    name = "numpy._core" if find_spec("numpy._core") else "numpy.core"  # NumPy 2, or 1
    known: Mapping[str, bool] = import_module(f"{name}._multiarray_umath").__cpu_features__
    return known


def open_library(path: Path, target: str, threads: int) -> Core:
    """Open a library, compiled for ``target``.

    Raises
    ------
    BackendError
        If it cannot be opened, or was not compiled from the source that is installed with it: its
        functions may take other structures.
    """
    try:
        library = CDLL(str(path))
    except OSError as problem:
        raise BackendError(
            f"cannot open the compiled core: {problem}", f"compile it here: {COMMAND}"
        ) from None
    source = getattr(library, "charrnn_source", None)  # the first libraries had none
    if source is not None:
        source.argtypes, source.restype = [], c_char_p
    if source is None or source().decode() != digest():
        raise BackendError(
            "the compiled core was built from another version of its source",
            f"compile it again: {COMMAND}",
        )
    return Core(library, target, threads)
