"""Compile the core, and make what is made of the commands, when charrnn is installed or built.

Without a C compiler the wheel is pure Python, and charrnn computes with NumPy. The environment
variable ``CHARRNN_WHEEL`` names the platform that a release's wheel is for, or ``any`` for a pure
one; ``just wheels`` makes them all.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NATIVE = Path("charrnn", "backend", "native")
DESCRIBED = Path("charrnn", "cli", "parsing", "described.json")
WHEEL = "CHARRNN_WHEEL"


class CompileCore(BuildHookInterface[Any]):
    """Adds the compiled libraries to a wheel, or puts them in place for an editable install.

    The same with what shell completion and help know of the commands, if Typer is installed (a
    build in isolation installs it). A wheel also gets the manual pages.
    """

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, before the wheel is put together."""
        if self.target_name != "wheel":
            return
        builder = runpy.run_path(str(Path(self.root) / NATIVE / "build.py"))
        if version == "editable":
            builder["build"]()
            self._describe(Path(self.root) / DESCRIBED, "--state")
            return
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        for page in self._pages(folder / "man1"):
            build_data["shared_data"][str(page)] = f"share/man/man1/{page.name}"
        described = folder / DESCRIBED.name
        if self._describe(described):
            build_data["force_include"][str(described)] = str(DESCRIBED)
        tag = os.environ.get(WHEEL) or ""
        if tag == "any":
            return
        libraries = builder["cross_build"](tag, folder) if tag else builder["build"](folder)
        if libraries:
            platform = tag or sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{platform}"
        for library in libraries:
            build_data["force_include"][str(library)] = str(NATIVE / "lib" / library.name)

    def _pages(self, folder: Path) -> list[Path]:
        """Make the manual pages."""
        made = self._makes("manual pages", "charrnn", "man", "--out", str(folder))
        return sorted(folder.iterdir()) if made else []

    def _describe(self, file: Path, *state: str) -> bool:
        """Store what completion and help know of the commands; return whether that was made."""
        return self._makes("stored help", "charrnn.cli.parsing.described", str(file), *state)

    def _makes(self, what: str, *module: str) -> bool:
        """Run a module of charrnn that makes something for a wheel; return whether it has."""
        words = [sys.executable, "-m", *module]
        done = subprocess.run(words, cwd=self.root, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [""])[-1]
            self.app.display_warning(f"no {what}: {reason}")
        return not done.returncode

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the libraries, which are in the wheel."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()
