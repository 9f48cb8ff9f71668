"""The statements of the README, of the documentation and of the guide for contributors hold."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from helpers.architecture import RANK

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
DOCUMENTS = sorted((ROOT / "docs").glob("*/*.md"))
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for path in [
        *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")),
        *DOCUMENTS,
    ]
}
FOLDERS = ("charrnn", "tests", "benchmarks", "corpora", "docs", ".ci", ".github")


def test_the_tree_is_the_tree():
    tree = re.search(r"```\ncharrnn/\n(.*?)```", CONTRIBUTING, re.S)
    assert tree
    named = {line.split()[0].rstrip("/") for line in tree[1].splitlines() if line.startswith("  ")}
    package = ROOT / "charrnn"
    there = {
        p.name
        for p in package.iterdir()
        if not p.name.startswith(("__", ".")) and p.name != "py.typed"
    }
    assert named == there
    for line in tree[1].splitlines():
        if not line.startswith("  "):
            assert (ROOT / line.split()[0]).is_dir()


def test_every_command_and_corpus_is_named():
    from charrnn.cli.app import app
    from charrnn.text.builtin import NAMES

    corpora = PAGES["docs/howto/corpora.md"]
    for name in typer.main.get_command(app).list_commands(None):
        assert f"`charrnn {name}" in README
    for name in NAMES:
        assert f"| `{name}` |" in corpora


@pytest.mark.parametrize(
    "block",
    [
        block
        for page in ("README.md", "docs/howto/python.md")
        for block in re.findall(r"```python\n(.*?)```", PAGES[page], re.S)
    ],
)
def test_the_examples_run(block, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_is_named_exists(page):
    quoted = re.findall(r"`([^`\n]+)`", PAGES[page])
    named = {word.rstrip("/:") for text in quoted for word in text.split()}
    paths = {word for word in named if word.startswith(tuple(f"{name}/" for name in FOLDERS))}
    paths = {path for path in paths if not re.search(r"NAME|[*<]", path)}
    assert not {path for path in paths if not (ROOT / path).exists()}
    links = re.findall(r"\]\(([^)#:]+)\)", PAGES[page])
    assert not {link for link in links if not (ROOT / page).parent.joinpath(link).exists()}


def test_every_name_that_is_given_with_its_file_is_defined_there():
    pairs = re.findall(r"`(charrnn/[\w/]+\.py)`: *\n?`(\w+)`", CONTRIBUTING)
    assert len(pairs) > 10
    for path, name in pairs:
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        assert name in {node.name for node in tree.body if hasattr(node, "name")}, path


def test_every_room_is_on_the_map():
    table = CONTRIBUTING.partition("## Where things are")[2].partition("###")[0]
    shown = set(re.findall(r"`(charrnn/[\w/.]+)`", table))
    there = {
        f"charrnn/{path.name}"
        for path in (ROOT / "charrnn").iterdir()
        if (path / "__init__.py").exists() or path.suffix == ".py"
    }
    assert {name for name in there if not name.endswith(("__init__.py", "__main__.py"))} <= shown


def test_the_map_begins_at_the_ground():
    table = CONTRIBUTING.partition("## Where things are")[2].partition("###")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    parts = [name for row in rows for name in re.findall(r"`charrnn/(\w+)", row)]
    ranks = [RANK[part] for part in parts]
    assert ranks == sorted(ranks)


def test_every_recipe_is_described():
    recipes = set(re.findall(r"^([a-z]\w*).*:$", (ROOT / "justfile").read_text("utf-8"), re.M))
    assert set(re.findall(r"`just (\w+)`", CONTRIBUTING)) == recipes >= {"setup", "test", "gate"}


def test_the_gate_finds_one_test_command():
    assert len(re.findall(r"(?m)^pip install .*&& pytest$", README)) == 1


def test_letters_and_words_are_in_order():
    words = re.findall(r"^\| \*\*(.+?)\*\* \|", CONTRIBUTING, re.M)
    assert words == sorted(words)
    letters = re.findall(r"^\| ([A-Z]) \|", CONTRIBUTING, re.M)
    assert letters == list("TNDHGVL")


def test_what_a_source_distribution_holds_exists():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert not [name for name in included if not (ROOT / name).exists()]


def test_the_version_is_the_same_everywhere():
    import charrnn

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    cited = re.findall(r"(?m)^version: (.+)$", (ROOT / "CITATION.cff").read_text("utf-8"))
    assert cited == [project["version"]] == [charrnn.__version__]
