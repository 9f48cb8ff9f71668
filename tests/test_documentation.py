"""What the pages of the documentation say can be typed, and prints what they say."""

import re
import shutil
import sys
from pathlib import Path

import pytest
from helpers.documented import Reader, blocks, commands, differs, sessions

DOCS = Path(__file__).parent.parent / "docs"
PAGES = {
    path.relative_to(DOCS.parent).as_posix().removeprefix("docs/"): path.read_text("utf-8")
    for path in [DOCS.parent / "README.md", *sorted(DOCS.glob("*/*.md"))]
}
TEXT = "Dear reader, Once upon a time: The river sings of stone.\nNobody knows its name!\n"
FILES = {
    "corpus.txt": TEXT * 30, "my-text.txt": TEXT * 30, "other.txt": TEXT * 20,
    "novels.txt": TEXT * 40, "letters.txt": TEXT * 20, "more-letters.txt": TEXT * 9,
    "a.csv": "The river,1\nThe stone,2\n",
    "articles.csv": "title,n\n" + "The river sings\nThe stone listens\n".replace("\n", ",1\n") * 60,
}  # fmt: skip
LABELLED = "Greek\tPapadopoulos\nGreek\tNikolaidis\nCzech\tNovak\nCzech\tDvorak\n"
TAGGED = "The\tDET\nriver\tNOUN\nsings\tVERB\n\nA\tDET\nstone\tNOUN\nlistens\tVERB\n\n"
DATES = "4 July 1976\t1976-07-04\n5 May 1999\t1999-05-05\n1 June 2001\t2001-06-01\n"
OF_PAGES = {
    "howto/classify.md": {"names.tsv": LABELLED * 20, "new.tsv": LABELLED, "test.tsv": LABELLED},
    "howto/generate.md": {"names.tsv": LABELLED * 20, "test.tsv": LABELLED},
    "howto/tag.md": {"words.tsv": TAGGED * 20, "test.tsv": TAGGED, "new.txt": "The river sings"},
    "howto/transduce.md": {"test.tsv": DATES},
    "howto/texts.md": {"notes.jsonl": '{"text": "The river sings of stone."}\n' * 60},
    "howto/exchange.md": {"symbols.json": '["a", "b", "c"]'},
}
for page, file, kind in (("plugins", "lion.py", "py"), ("shell", "charrnn.toml", "toml")):
    shown = [block.text for block in blocks(PAGES[f"howto/{page}.md"]) if block.kind == kind]
    OF_PAGES[f"howto/{page}.md"] = {file: shown[0]}
RUN = "charrnn train corpus.txt --steps 4 --name "
FIRST = {
    "howto/checkpoints.md": [RUN + "corpus"],
    "howto/exchange.md": ["printf abcacb > abc.txt",
                          "charrnn train abc.txt --steps 4",
                          "charrnn export abc --to torch --out theirs.safetensors"],
    "howto/plot.md": [RUN + "small", RUN + "large",
                      "charrnn sweep corpus.txt --try hidden=4,8 --steps 2 --name corpus-sweep"],
    "howto/sample.md": [RUN + "names"],
}  # fmt: skip
"""What a page takes for granted: runs that its reader has made before, but for one named RUN."""
ELSEWHERE = ("pip ", "man ", "mpirun ", 'eval "$(charrnn completion zsh', "charrnn completion fish")
"""Commands that install, need MPI, or are for another shell; ranks and shells have own tests."""
NEEDS = {
    "sweep": "optuna",
    "--plot": "matplotlib",
    "--out curves": "matplotlib",
    "onnx": "onnx",
    "import torch": "torch",
}


def is_run(kind):
    return [name for name, page in PAGES.items() if any(b.kind in kind for b in blocks(page))]


def prepare(name, reader):
    """Make the files and the runs that a page takes for granted."""
    for file, text in OF_PAGES.get(name, {}).items():
        (reader.folder / file).write_text(text, "utf-8")
    named = any(re.search(r"\bRUN\b", b.text) for b in blocks(PAGES[name]) if b.kind == "sh")
    for command in [*([RUN + "RUN"] if named else []), *FIRST.get(name, [])]:
        skip_without(command)
        code, said = reader.shell(command, small=True)
        assert code == 0, said


def skip_without(text):
    for word, package in NEEDS.items():
        if word in text:
            pytest.importorskip(package)


@pytest.fixture
def reader(tmp_path):
    folder = tmp_path / "reader"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text, "utf-8")
    return Reader(folder)


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("loss 1.25", "loss 1.26", True),
        ("loss 1.25", "loss 1.35", False),
        ("step 10", "step 11", False),
        ("after …; best 2.00", "after 3 s; best 2.01", True),
        ("…\nthe end\n", "a line\nanother\nthe end\n", True),
        ("…\nthe end\n", "a line\nthe end\nanother\n", False),
        ("[ 0.5  -0.25]", "[ 0.5 -0.25]", True),
        ("5.0e-19", "7.0e-19", False),
        ("a", "", False),
    ],
)
def test_what_counts_as_the_same(expected, printed, same):
    assert (differs(expected, printed) is None) is same


def test_what_python_computes_is_compared_to_the_last_digit():
    assert differs("[1.4213]", "[1.4215]") is None
    assert differs("[1.4213]", "[1.4215]", exact=True) is not None
    assert differs("[1.4213]", "[1.4214]", exact=True) is None


def test_python_is_typed_line_by_line(reader):
    assert reader.python("for n in range(2):\n    print(n)\n\n3\n") == "0\n1\n3\n"
    with pytest.raises(SyntaxError):  # what a prompt says if no empty line ends the loop
        reader.python("for n in range(2):\n    print(n)\nprint(3)\n")
    with pytest.raises(NameError):
        reader.python("unknown\n")


@pytest.mark.slow
@pytest.mark.parametrize("name", is_run(("python", "console")))
def test_what_a_page_shows_is_what_is_printed(name, reader):
    page = blocks(PAGES[name])
    prepare(name, reader)
    for block, following in zip(page, [*page[1:], None], strict=True):
        if block.kind == "python":
            skip_without(block.text)
            printed = reader.python(block.text)
            if following and following.kind == "text":
                found = differs(following.text, printed, exact=True)
                assert found is None, f"line {block.line}\n{printed}"
        for command, expected in sessions(block.text) if block.kind == "console" else ():
            _, printed = reader.shell(command)
            assert differs(expected, printed) is None, f"{command}\n{printed}"


@pytest.mark.slow
@pytest.mark.parametrize("name", is_run(("sh",)))
def test_the_commands_of_a_page_run(name, reader):
    prepare(name, reader)
    typed = [c for block in blocks(PAGES[name]) if block.kind == "sh" for c in commands(block.text)]
    for command in typed:
        if command.startswith(ELSEWHERE):
            continue
        skip_without(command)
        code, printed = reader.shell(command, small=True)
        assert code == 0 or (code == 3 and "--fail-on" in command), f"{command}\n{printed}"


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path):
    pytest.importorskip("myst_parser")
    pytest.importorskip("furo")
    folder = tmp_path / "project"
    folder.mkdir()
    root = DOCS.parent
    shutil.copytree(DOCS, folder / "docs", ignore=shutil.ignore_patterns("commands", "site"))
    for name in ("SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "pyproject.toml"):
        shutil.copy(root / name, folder / name)
    reader = Reader(folder)
    code, said = reader.shell(f"{sys.executable} -m sphinx -q -W --keep-going docs site")
    assert (code, said) == (0, "")
    index = (folder / "site/index.html").read_text("utf-8")
    assert "From Python" in index
