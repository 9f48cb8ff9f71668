"""The package keeps its structure, and what is promised to be light to import is light."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from helpers import architecture
from helpers.architecture import CHECKS, RANK, ROWS, imports, read


@pytest.fixture(scope="module")
def modules(package):
    return read(package)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_package_has_none_of(check, modules):
    assert check(modules) == []


CELLS = 'class Cell:\n    name = "lstm"\n    aliases = ("classic",)\n'
OPTIONS = "def f(\n" + "".join(f" x{i}=1,\n" for i in range(100)) + "):\n"

PLANTED = [
    ("unplaced_parts", {"attic.py": ""}, "charrnn/attic: in no row"),
    ("upward_imports", {"text/a.py": "from charrnn.train import loop"}, "charrnn/text/a.py: im"),
    ("upward_imports", {"text/a.py": "from ..train.loop import x"}, "charrnn/text/a.py: imports"),
    ("upward_imports", {"text/a.py": "def f():\n import charrnn.model"}, "charrnn/text/a.py: imp"),
    ("upward_imports", {"text/a.py": "import charrnn.backend"}, "charrnn/text/a.py: imports"),
    (
        "circles",
        {"a.py": "import charrnn.b", "b.py": "from . import c", "c.py": "from .a import x"},
        "charrnn.a <-> charrnn.b <-> charrnn.c",
    ),
    (
        "circles",
        {"a.py": "from charrnn import b", "b.py": "if TYPE_CHECKING:\n from charrnn.a import A"},
        "charrnn.a <-> charrnn.b",
    ),
    ("printing", {"train/a.py": "\nprint(1)"}, "charrnn/train/a.py:2: prints"),
    ("printing", {"train/a.py": "sys.stderr.write('x')"}, "charrnn/train/a.py:1: prints"),
    ("cupy_outside_the_backend", {"cells/a.py": "import cupy"}, "charrnn/cells/a.py: imports cupy"),
    ("cupy_outside_the_backend", {"cells/a.py": "cupy.add(1, 2)"}, "charrnn/cells/a.py:1: names"),
    ("unpickling_or_executing", {"a.py": "from pickle import load"}, "charrnn/a.py: uses pickle"),
    ("unpickling_or_executing", {"a.py": "eval(text)"}, "charrnn/a.py: uses eval"),
    ("cuda_in_cells", {"cells/a.py": '"""\n__global__"""'}, "charrnn/cells/a.py:2: __global__"),
    ("cuda_in_cells", {"cells/a.py": "from charrnn.backend import gpu"}, "charrnn/cells/a.py: imp"),
    ("named_cells", {"model/a.py": "x == 'lstm'"}, "charrnn/model/a.py:1: names lstm"),
    ("named_cells", {"model/a.py": "x in ('b', 'classic')"}, "charrnn/model/a.py:1: names classic"),
    (
        "named_cells",
        {"architecture.py": "cell: str = f('lstm')\nx = 'lstm'"},
        "charrnn/architecture.py:2: na",
    ),
    ("crowded_packages", {f"text/m{i}.py": "" for i in range(17)}, "charrnn/text: 17 files"),
    ("long_files", {"a.py": "x = 1\n" * 351}, "charrnn/a.py: 351 lines"),
    ("long_functions", {"a.py": "def f():\n" + " x = 1\n" * 60}, "charrnn/a.py:1: f has 61 lines"),
    ("long_functions", {"a.py": OPTIONS + " x = 1\n"}, "charrnn/a.py:1: f has 103 lines"),
    ("long_functions", {"cli/a.py": OPTIONS + " x = 1\n" * 61}, "charrnn/cli/a.py:1: f has 61 l"),
]


@pytest.mark.parametrize(("check", "files", "expected"), PLANTED)
def test_a_planted_violation_is_found(check, files, expected, tmp_path):
    violations = getattr(architecture, check)(plant(tmp_path, {"cells/base.py": CELLS, **files}))
    planted = [found for found in violations if not found.endswith("does not exist")]
    assert planted
    assert all(found.startswith(expected) for found in planted)


def test_every_check_has_a_planted_violation():
    assert {name for name, _, _ in PLANTED} == {check.__name__ for check in CHECKS}


def test_what_is_allowed_is_not_reported(tmp_path):
    long = 'def f():\n """' + "doc\n" * 80 + '"""\n' + " x = 1\n" * 59
    files = {
        "architecture.py": "cell: str = f('lstm', 'The cell.')",
        "cells/base.py": CELLS,
        "cells/other.py": "from charrnn.cells.base import Cell\nassert Cell.name == 'lstm'",
        "cli/__init__.py": "from charrnn.cli.app import app",
        "cli/app.py": "import charrnn\nfrom charrnn.cli import app\nprint(1)",
        "cli/options.py": OPTIONS + " x = 1\n" * 60,
        "backend/a.py": "import cupy",
        "train/a.py": long,
        **{f"cli/m{i}.py": "" for i in range(20)},
    }
    modules = plant(tmp_path, files)
    for check in CHECKS:
        found = check(modules)
        assert [what for what in found if not what.endswith("does not exist")] == []


def plant(folder, files):
    """Write a package of the same name and return its modules."""
    for name, text in files.items():
        path = folder / "charrnn" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return read(folder / "charrnn")


def test_imports_of_every_shape_are_seen(tmp_path):
    source = (
        "import a.b\nfrom . import c\nfrom .d import e\nfrom ..f import g\ndef h():\n import i\n"
        "if TYPE_CHECKING:\n from j import k\n"
    )
    (module,) = plant(tmp_path, {"x/y.py": source})
    assert set(imports(module)) >= {
        "a.b", "charrnn.x.c", "charrnn.x.d.e", "charrnn.f.g", "i", "j.k",
    }  # fmt: skip
    assert all(RANK[a[0]] < RANK[b[0]] for a, b in pairwise(ROWS))


HEAVY = ("numpy", "cupy", "rich", "safetensors", "tqdm", "torch")


@pytest.mark.parametrize("module", ["charrnn", "charrnn.cells"])
def test_importing_is_light(module):
    assert loaded_by(module) == []


def test_every_command_is_light(package):
    files = [path.relative_to(package) for path in sorted((package / "cli").rglob("*.py"))]
    names = [".".join(("charrnn", *path.with_suffix("").parts)) for path in files]
    assert len(names) >= 5
    assert loaded_by(*(name.removesuffix(".__init__") for name in names)) == []


def test_what_is_heavy_is_seen():
    assert loaded_by("charrnn.model.stack") == ["numpy"]


def loaded_by(*modules):
    """Return which of the heavy packages are loaded by importing ``modules``."""
    code = f"import sys, {', '.join(modules)}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def importing_tests(modules):
    return [
        f"{module.path}: imports {target}"
        for module in modules
        for target in imports(module)
        if any(word.startswith("test_") for word in target.split("."))
    ]


@pytest.mark.slow
def test_no_test_imports_another(tmp_path):
    assert importing_tests(read(Path(__file__).parent)) == []
    files = {"a.py": "from charrnn.model.test_stack import FORMS", "b.py": "import helpers.running"}
    (found,) = {name.partition(" ")[0] for name in importing_tests(plant(tmp_path, files))}
    assert found == "charrnn/a.py:"
