"""The messages of the package that name an option or a command, found in its source."""

import ast
import re

MARKERS = ("setting", "option", "flag")
NAMED = re.compile(r"--[a-z][a-z-]*[a-z]|charrnn [a-z]+(?: [a-z]+)?")


def messages(path):
    """Return the strings of a file, docstrings aside, that name an option or a command.

    Each with its line. What is filled in stands as ``{}``, the mark of a setting as its option.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    passed = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            passed |= {id(part) for part in node.values}
            found.append((node.lineno, "".join(map(_shown, node.values))))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in passed:
            found.append((node.lineno, str(node.value)))
    return [(line, text) for line, text in sorted(found) if " " in text and NAMED.search(text)]


def _shown(part):
    if isinstance(part, ast.Constant):
        return part.value
    call = part.value
    if isinstance(call, ast.Call) and getattr(call.func, "id", "") in MARKERS:
        name = call.args[0]
        if isinstance(name, ast.Constant):
            return "--" + name.value.replace("_", "-")
    return "{}"
