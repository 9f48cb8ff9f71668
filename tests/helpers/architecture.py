"""Checks of the package's structure: each takes its modules and returns the violations found.

Nothing is imported: the source files are parsed, so that imports for type checking count too.
"""

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

ROWS = (
    ("display", "installed", "lazy"),
    ("errors",),
    ("files", "options"),
    ("own", "registry"),
    ("settings",),
    ("architecture", "randomness", "reading"),
    ("config",),
    ("plugins",),
    ("backend", "text"),
    ("cells",),
    ("model",),
    ("storage",),
    ("evaluate", "exchange", "sampling"),
    ("tasks",),
    ("train",),
    ("diagnosis", "sweep"),
    ("view",),
    ("api",),
    ("report",),
    ("cli",),
    ("__main__",),
)
"""The parts of the package from the ground up: each imports only from rows below its own."""

RANK = {part: rank for rank, row in enumerate(ROWS) for part in row}

PRINTING = ("report", "cli")
MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 60
MAX_FILES = 16
COMMANDS = PurePosixPath("charrnn/cli")
CUDA = re.compile(r"cuda|nvrtc|\b__(global|device|shared)__|\b(thread|block)(Idx|Dim)\b", re.I)


@dataclass(frozen=True)
class Module:
    """A parsed source file; ``path`` begins at the package's folder."""

    name: str
    path: PurePosixPath
    text: str
    tree: ast.Module

    @cached_property
    def nodes(self):
        """Every node of the tree; to walk it took most of the time of these checks."""
        return list(ast.walk(self.tree))

    @property
    def package(self):
        """The name of the package that relative imports begin at."""
        return self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]

    @property
    def part(self):
        """The row's entry that the module belongs to; empty for the package's own __init__."""
        return self.name.split(".")[1] if "." in self.name else ""


def read(package):
    """Return every module below the folder ``package``."""
    found = []
    for path in sorted(package.rglob("*.py")):
        relative = PurePosixPath(*path.relative_to(package.parent).parts)
        parts = relative.with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text(encoding="utf-8")
        found.append(Module(name, relative, text, ast.parse(text)))
    return found


def imports(module):
    """Yield the full name of everything that an import anywhere in the file names."""
    for node in module.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.package.split(".")[: 1 - node.level or None]
                base = ".".join([*parts, base]).strip(".")
            yield base
            for alias in node.names:
                yield f"{base}.{alias.name}"


def _dotted(node):
    """Return a name with its attributes, ``a.b.c``, or ``?.c`` for the attribute of another thing.

    Unlike ``ast.unparse``, which took most of the time of these checks.
    """
    words = []
    while isinstance(node, ast.Attribute):
        words.append(node.attr)
        node = node.value
    words.append(node.id if isinstance(node, ast.Name) else "?")
    return ".".join(reversed(words))


def _part(target):
    words = target.split(".")
    return words[1] if words[0] == "charrnn" and len(words) > 1 and words[1] in RANK else ""


def unplaced_parts(modules):
    """A part that is in no row, or a row's entry that does not exist."""
    there = {module.part for module in modules} - {""}
    return [f"charrnn/{part}: in no row" for part in sorted(there - set(RANK))] + [
        f"charrnn/{part}: does not exist" for part in sorted(set(RANK) - there)
    ]


def upward_imports(modules):
    """An import from a part in the same row or above."""
    return [
        f"{module.path}: imports {target}"
        for module in modules
        for target in imports(module)
        if module.part in RANK and _part(target) not in ("", module.part)
        if RANK[_part(target)] >= RANK[module.part]
    ]


def circles(modules):
    """Modules that import each other, directly or through others."""
    known = {module.name for module in modules}
    # A package is loaded before its own modules are, so that importing it closes no circle.
    graph = {
        module.name: {
            target
            for target in imports(module)
            if target in known and not f"{module.name}.".startswith(f"{target}.")
        }
        for module in modules
    }
    reached = {name: _reachable(graph, name) for name in graph}
    groups = {
        tuple(sorted({name} | {other for other in reached[name] if name in reached[other]}))
        for name in graph
        if name in reached[name]
    }
    return [" <-> ".join(group) for group in sorted(groups)]


def _reachable(graph, start):
    found, queue = set(), [start]
    while queue:
        new = graph[queue.pop()] - found
        found |= new
        queue += new
    return found


def printing(modules):
    """Output by a part that is not there for it."""
    wrong = []
    for module in modules:
        if module.part in PRINTING:
            continue
        for node in module.nodes:
            call = isinstance(node, ast.Call) and _dotted(node.func) == "print"
            streams = ("sys.stdout", "sys.stderr")
            used = isinstance(node, ast.Attribute) and _dotted(node) in streams
            if call or used:
                wrong.append(f"{module.path}:{node.lineno}: prints")
    return wrong


def cupy_outside_the_backend(modules):
    """CuPy named by anything but the backend."""
    wrong = []
    for module in modules:
        if module.part == "backend":
            continue
        wrong += [f"{module.path}: imports {name}" for name in imports(module) if "cupy" in name]
        for node in module.nodes:
            if isinstance(node, ast.Name | ast.Attribute) and "cupy" in _dotted(node):
                wrong.append(f"{module.path}:{node.lineno}: names cupy")
    return wrong


def unpickling_or_executing(modules):
    """A module or a function that would run what it reads."""
    wrong = []
    for module in modules:
        names = set(imports(module)) & {"pickle", "marshal", "shelve", "dill"}
        calls = {_dotted(n.func) for n in module.nodes if isinstance(n, ast.Call)}
        found = sorted(names | calls & {"eval", "exec"})
        wrong += [f"{module.path}: uses {name}" for name in found]
    return wrong


def cuda_in_cells(modules):
    """CUDA text, or an import of the GPU's part of the backend, in a file of ``cells``."""
    wrong = []
    for module in modules:
        if module.part != "cells":
            continue
        for number, line in enumerate(module.text.splitlines(), 1):
            if match := CUDA.search(line):
                wrong.append(f"{module.path}:{number}: {match[0]}")
        gpu = [name for name in imports(module) if name.startswith("charrnn.backend.gpu")]
        wrong += [f"{module.path}: imports {name}" for name in sorted(gpu)]
    return wrong


def named_cells(modules):
    """A cell's name as a string outside ``cells``, but for the default in the configuration."""
    names = set()
    for module in modules:
        if module.part == "cells":
            names |= _class_strings(module.tree, ("name", "aliases"))
    wrong = []
    for module in modules:
        if module.part == "cells":
            continue
        default = _default_cell(module.tree) if module.part == "architecture" else None
        for node in module.nodes:
            if isinstance(node, ast.Constant) and node.value in names and node is not default:
                wrong.append(f"{module.path}:{node.lineno}: names {node.value}")
    return wrong


def _class_strings(tree, attributes):
    """Return the strings that classes assign to one of ``attributes``."""
    return {
        constant.value
        for cls in ast.walk(tree)
        if isinstance(cls, ast.ClassDef)
        for node in cls.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
        if {ast.unparse(t) for t in getattr(node, "targets", None) or [node.target]}
        & set(attributes)
        for constant in ast.walk(node.value)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    }


def _default_cell(tree):
    """Return the first string in the value of the field ``cell``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "cell" and node.value:
            strings = [n for n in ast.walk(node.value) if isinstance(n, ast.Constant)]
            return min(strings, key=lambda n: (n.lineno, n.col_offset), default=None)
    return None


def crowded_packages(modules):
    """A folder with too many files; that of the commands may have more."""
    counts = {}
    for module in modules:
        if module.path.parent != COMMANDS:
            counts[module.path.parent] = counts.get(module.path.parent, 0) + 1
    return [f"{folder}: {n} files" for folder, n in counts.items() if n > MAX_FILES]


def long_files(modules):
    """A file that is too long to find one's way in."""
    lengths = ((module.path, module.text.count("\n")) for module in modules)
    return [f"{path}: {length} lines" for path, length in lengths if length > MAX_FILE_LINES]


def long_functions(modules):
    """A function that does not fit on a screen, not counting its docstring.

    Of a command only the body counts: its parameters are a list of options with their help.
    """
    wrong = []
    for module in modules:
        for node in module.nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = list(node.body)
                length = node.end_lineno - node.lineno + 1
                if ast.get_docstring(node, clean=False) is not None:
                    doc = body.pop(0)
                    length -= doc.end_lineno - doc.lineno + 1
                if module.part == "cli":
                    length = node.end_lineno - body[0].lineno + 1 if body else 0
                if length > MAX_FUNCTION_LINES:
                    wrong.append(f"{module.path}:{node.lineno}: {node.name} has {length} lines")
    return wrong


CHECKS = (
    unplaced_parts,
    upward_imports,
    circles,
    printing,
    cupy_outside_the_backend,
    unpickling_or_executing,
    cuda_in_cells,
    named_cells,
    crowded_packages,
    long_files,
    long_functions,
)
