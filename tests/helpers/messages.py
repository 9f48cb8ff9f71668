"""The messages of the package that name an option or a command, found in its source."""

import ast
import re
from typing import NamedTuple

MARKERS = ("setting", "option", "flag")
NAMED = re.compile(r"--[a-z][a-z-]*[a-z]|charrnn [a-z]+(?: [a-z]+)?")
_MAY_NAME = re.compile(r"--|charrnn [a-z]|\b(setting|option|flag)\(")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
_COMMAND = re.compile(r"charrnn ((?:corpus )?[a-z]+)(?= |$)")


class Message(NamedTuple):
    """A string of the source.

    Attributes
    ----------
    line
        Where it stands.
    text
        Itself: the mark of a setting as its option; what else is filled in as ``{}``.
    is_open
        Whether the name of an option is among what is filled in.
    """

    line: int
    text: str
    is_open: bool

    def is_in(self, told):
        """Return whether a text has this message, whatever is filled in."""
        parts = map(re.escape, self.text.split("{}"))
        return re.search("(?s:.*)".join(parts), told) is not None


def messages(path):
    """Return the strings of a file, docstrings aside, that name an option or a command."""
    source = path.read_text(encoding="utf-8")
    if not _MAY_NAME.search(source):
        return []
    nodes = list(ast.walk(ast.parse(source)))
    names = dict(_assigned(nodes))
    passed = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    found = []
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            passed |= {id(part) for each in node.values for part in ast.walk(each)}
            found.append(_joined(node, names))
    for node in nodes:
        if id(node) in passed:
            continue
        if isinstance(node, ast.Constant):
            found.append(Message(node.lineno, str(node.value), False))
        elif isinstance(node, ast.Call) and (name := _marked(node)):
            found.append(Message(node.lineno, name, False))
    kept = [one for one in found if one.is_open or NAMED.search(one.text)]
    return sorted(kept)


def foreign(command, told, known):
    """Return the options in a text that are not those of the command that printed it.

    After ``charrnn COMMAND`` they are those of that command; where it speaks of training, they may
    be those of ``train``. ``known`` are the options of each command.
    """
    wrong = []
    for line in told.splitlines():
        owners = {command, "train"} if re.search(r"\btrain(ed|ing)?\b", line) else {command}
        at = 0
        for found in _COMMAND.finditer(line):
            wrong += _foreign(line[at : found.start()], owners, known)
            owners, at = ({found[1]} & known.keys() or owners), found.end()
        wrong += _foreign(line[at:], owners, known)
    return wrong


def _foreign(text, owners, known):
    there = {"--help", "--plugin", *(name for owner in owners for name in known[owner])}
    return [name for name in _OPTION.findall(text) if name not in there]


def _assigned(nodes):
    """Yield the variables that stand for the mark of one setting."""
    for node in nodes:
        if not isinstance(node, ast.Assign):
            continue
        target, value = node.targets[0], node.value
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            pairs = zip(target.elts, value.elts, strict=True)
        else:
            pairs = [(target, value)]
        for name, one in pairs:
            if isinstance(name, ast.Name) and (mark := _marked(one)):
                yield name.id, mark


def _joined(node, names):
    text, is_open = "", False
    for part in node.values:
        if isinstance(part, ast.Constant):
            text += part.value
            continue
        calls = ast.walk(part.value) if isinstance(part.value, ast.Call) else ()
        marker = any(isinstance(n, ast.Name) and n.id in MARKERS for n in calls)
        name = _marked(part.value) or names.get(getattr(part.value, "id", ""))
        is_option = text.endswith("--") and not text.endswith("var(--")  # which is CSS
        is_open |= not name and (marker or is_option)
        text += name or "{}"
    return Message(node.lineno, text, is_open)


def _marked(call):
    """Return the option that a call marks, None if it is another one or has a variable name."""
    if isinstance(call, ast.Call) and getattr(call.func, "id", "") in MARKERS and call.args:
        name = call.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            return "--" + name.value.replace("_", "-")
    return None
