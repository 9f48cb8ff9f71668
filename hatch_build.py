"""Compile the core when charrnn is installed or a wheel is built.

Without a C compiler the wheel is pure Python, and charrnn computes with NumPy.
"""

from __future__ import annotations

import runpy
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILD = Path("charrnn", "backend", "native", "build.py")


class CompileCore(BuildHookInterface[Any]):
    """Adds the compiled libraries to a wheel, or puts them in place for an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, before the wheel is put together."""
        if self.target_name != "wheel":
            return
        libraries = runpy.run_path(str(Path(self.root) / BUILD))["build"]()
        if not libraries:
            return
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"
        build_data["artifacts"].append("/charrnn/backend/native/lib/*.so")
