"""Imports run one way, and what is promised to be light is light."""

import ast
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

LAYERS = (
    ("errors",),
    ("files", "display", "options"),
    ("registry",),
    ("config", "randomness"),
    ("backend", "text"),
    ("cells",),
    ("model",),
    ("storage",),
    ("evaluate", "sampling"),
    ("train",),
    ("diagnosis",),
    ("api",),
    ("report",),
    ("cli",),
    ("__main__",),
)
"""From the ground up; a part imports only from parts in rows below its own."""

RANK = {name: rank for rank, row in enumerate(LAYERS) for name in row}


def modules(package):
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield name, path, ast.parse(path.read_text(encoding="utf-8"))


def imported(name, path, tree):
    """Yield every module that an import anywhere in the file names, in full."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*package.split(".")[: 1 - node.level or None], base]).strip(".")
            yield base
            for alias in node.names:
                yield f"{base}.{alias.name}"


def part_of(name):
    """Return the part of the package that a module belongs to, None for all else."""
    words = name.split(".")
    return words[1] if words[0] == "charrnn" and len(words) > 1 and words[1] in RANK else None


def test_every_part_has_its_place(package):
    found = {path.stem for path in package.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert found - {"__pycache__", "__init__", "py"} == set(RANK) & found
    missing = {name for name, _, _ in modules(package)} - {"charrnn"}
    assert not {name for name in missing if part_of(name) is None}


def test_imports_run_one_way(package):
    wrong = []
    for name, path, tree in modules(package):
        mine = part_of(name)
        for target in imported(name, path, tree):
            theirs = part_of(target)
            if mine is None or theirs is None or theirs == mine:
                continue
            if RANK[theirs] >= RANK[mine]:
                wrong.append(f"{name} imports {target}")
    assert not wrong


def test_there_are_no_circles(package):
    """Within the parts too, not counting what is imported only for type checking."""
    known = {name: (path, tree) for name, path, tree in modules(package)}
    graph = {}
    for name, (path, tree) in known.items():
        hidden = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for inner in ast.walk(node)
        }
        visible = ast.Module([], [])
        visible.body = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in hidden
        ]
        targets = set(imported(name, path, visible)) & set(known)
        # A package that a module of its own is in counts as loaded.
        graph[name] = {t for t in targets if not name.startswith(t + ".") and t != name}
    done = set()

    def visit(name, trail):
        assert name not in trail, " → ".join([*trail[trail.index(name) :], name])
        if name in done:
            return
        for target in sorted(graph[name]):
            visit(target, [*trail, name])
        done.add(name)

    for name in graph:
        visit(name, [])
    assert done == set(known)


def test_only_report_and_cli_print(package):
    wrong = []
    for name, path, tree in modules(package):
        if part_of(name) in ("report", "cli"):
            continue
        for node in ast.walk(tree):
            call = isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
            used = isinstance(node, ast.Attribute) and ast.unparse(node) in (
                "sys.stdout",
                "sys.stderr",
            )
            if call or used:
                wrong.append(f"{path.name}:{node.lineno}")
    assert not wrong


def test_only_the_backend_names_cupy(package):
    wrong = []
    for name, path, tree in modules(package):
        if part_of(name) == "backend":
            continue
        wrong += [f"{path}: {target}" for target in imported(name, path, tree) if "cupy" in target]
        for node in ast.walk(tree):
            if isinstance(node, ast.Name | ast.Attribute) and "cupy" in ast.unparse(node):
                wrong.append(f"{path}:{node.lineno}")
    assert not wrong


def test_nothing_in_the_package_unpickles_or_executes(package):
    for name, path, tree in modules(package):
        names = set(imported(name, path, tree))
        assert not names & {"pickle", "marshal", "shelve", "dill"}, path
        calls = {ast.unparse(n.func) for n in ast.walk(tree) if isinstance(n, ast.Call)}
        assert not calls & {"eval", "exec"}, path


HEAVY = ("numpy", "cupy", "rich", "safetensors", "tqdm", "torch")


@pytest.mark.parametrize("module", ["charrnn", "charrnn.cli", "charrnn.cli.app", "charrnn.cells"])
def test_importing_is_light(module):
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_command_module_is_light(package):
    names = sorted(f"charrnn.cli.{path.stem}" for path in (package / "cli").glob("[a-z_]*.py"))
    names = [name for name in names if not name.endswith("__init__")]
    assert len(names) >= 5
    code = f"import sys, {', '.join(names)}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_walk_sees_imports_of_every_shape():
    source = (
        "import a.b\nfrom . import c\nfrom .d import e\nfrom ..f import g\ndef h():\n import i\n"
    )

    found = set(imported("charrnn.x.y", Path("y.py"), ast.parse(source)))
    assert {"a.b", "charrnn.x.c", "charrnn.x.d.e", "charrnn.f.g", "i"} <= found
    assert all(RANK[a[0]] < RANK[b[0]] for a, b in pairwise(LAYERS))
