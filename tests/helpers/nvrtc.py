"""NVIDIA's run-time compiler, which needs no GPU: the wheel ``nvidia-cuda-nvrtc``, by ctypes."""

import ctypes
import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

ARCHITECTURES = ("sm_75", "sm_80", "sm_90", "sm_100")
REQUIRED = "CHARRNN_REQUIRE_COMPILERS"
"""Names the compilers (``nvrtc``, ``c``, ``c++``) and the emulator (``qemu``) without which tests
fail rather than being skipped."""


class CompileError(Exception):
    """The compiler rejected a text."""


class Compiler:
    def __init__(self, path):
        self._library = ctypes.CDLL(str(path))

    def _call(self, name, *arguments):
        return getattr(self._library, f"nvrtc{name}")(*arguments)

    def _text(self, program, what):
        size = ctypes.c_size_t()
        assert self._call(f"Get{what}Size", program, ctypes.byref(size)) == 0
        text = ctypes.create_string_buffer(size.value)
        assert self._call(f"Get{what}", program, text) == 0
        return text.raw

    def compile(self, code, arch):
        """Return the machine code for an architecture.

        Raises
        ------
        CompileError
            With the compiler's log.
        """
        program = ctypes.c_void_p()
        made = self._call(
            "CreateProgram", ctypes.byref(program), code.encode(), b"kernel.cu", 0, None, None
        )
        assert made == 0
        options = (f"--gpu-architecture={arch}", "--std=c++17", "-Werror=all-warnings")
        given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        try:
            if self._call("CompileProgram", program, len(options), given):
                raise CompileError(self._text(program, "ProgramLog").decode("utf-8", "replace"))
            return self._text(program, "CUBIN")
        finally:
            self._call("DestroyProgram", ctypes.byref(program))


@cache
def _find():
    for package in ("nvidia.cu13", "nvidia.cuda_nvrtc"):
        try:
            spec = find_spec(package)
        except ModuleNotFoundError:
            continue
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            for path in sorted(Path(folder).rglob("*nvrtc.so.1*")):
                return Compiler(path)
    return None


def load():
    """Return the compiler; if it is missing, skip the running test, or fail it if required."""
    found = _find()
    if found is None:
        missing("nvrtc", "NVRTC is not installed (pip install nvidia-cuda-nvrtc)")
    return found


def missing(compiler, reason):
    """Skip the running test for lack of a compiler, or fail it if the compiler is required."""
    required = os.environ.get(REQUIRED, "").split()
    (pytest.fail if compiler in required else pytest.skip)(reason)
