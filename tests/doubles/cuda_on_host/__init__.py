"""CUDA text on a host: compiled by the system's C++ compiler, run on NumPy arrays.

The text is the one that a GPU gets, unchanged; ``shim.h`` stands for what CUDA provides.
"""

import ctypes
import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np

from charrnn.backend.gpu.kernels import functions

SHIM = Path(__file__).parent / "shim.h"
FLAGS = ("-std=c++17", "-O1", "-shared", "-fPIC", "-w", "-ffp-contract=fast", "-fno-gnu-unique")
BUILDS = "CHARRNN_TEST_BUILDS"
"""The environment variable that names the folder in which test processes share what they build."""


def compiler():
    """Return the path of a usable C++ compiler, or None."""
    return next((path for name in ("g++", "c++") if (path := shutil.which(name))), None)


@cache
def library(code):
    """Compile a CUDA text and load it."""
    calls = "".join(
        f'extern "C" void run_{name}(const unsigned* shape, void** given) '
        f"{{ host::launch<{name}>(shape, given); }}\n"
        for name in functions(code)
    )
    stem = Path(os.environ[BUILDS]) / hashlib.sha256(code.encode()).hexdigest()[:16]
    source, made = stem.with_suffix(f".{os.getpid()}.cpp"), stem.with_suffix(".so")
    if made.exists():
        return ctypes.CDLL(str(made))
    source.write_text(f'#include "{SHIM}"\n{code}\n{calls}', encoding="utf-8")
    part = source.with_suffix(".part")
    command = [compiler(), *FLAGS, str(source), "-o", str(part)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    part.replace(made)
    return ctypes.CDLL(str(made))


@cache
def never_waits(code, name):
    """Return whether no thread of a function can wait for another: it shares nothing with any."""
    body = code[code.index(f" {name}(") :].partition("__global__")[0]
    return not any(word in body for word in ("__shared__", "__sync", "__shfl"))


@cache
def reads(code, name, parameter):
    """Return whether a function declares that it only reads what a parameter points to."""
    head = code[code.index(f" {name}(") :].partition(")")[0]
    declared = next(
        part for part in head.split(",") if part.split()[-1].lstrip("*") == parameter.name
    )
    return "const " in declared


def launch(code, name, grid, block, arguments, *, backwards=False):
    """Run one function on contiguous NumPy arrays, NumPy scalars, and 0 for a null pointer."""
    held = []
    for parameter, value in zip(functions(code)[name], arguments, strict=True):
        if not isinstance(value, np.generic | np.ndarray):
            raise TypeError(f"{parameter.name} is of type {type(value).__name__}")
        if isinstance(value, np.ndarray):
            held.append(ctypes.c_void_p(value.ctypes.data))
        elif parameter.pointer and value != 0:
            raise TypeError(f"{parameter.name} is no pointer")
        else:
            held.append(ctypes.create_string_buffer(value.tobytes()))
    given = (ctypes.c_void_p * len(held))(*(ctypes.addressof(value) for value in held))
    sizes = (*(*grid, 1, 1)[:3], *(*block, 1, 1)[:3])
    shape = (ctypes.c_uint * 8)(*sizes, backwards, never_waits(code, name))
    getattr(library(code), f"run_{name}")(shape, given)
