"""The reference of JSON keys lists exactly what the commands print with ``--json``."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
from helpers.commands import charrnn

from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.diagnosis.history import History, Jump
from charrnn.options import declared
from charrnn.report.view.meanings import meaning_records
from charrnn.view.meanings import Meaning, Meanings
from charrnn.view.values import Unit

DOCS = Path(__file__).parent.parent / "docs"
TEXT = 'Dear reader, "Once upon a time": The river sings.\nNobody (but me) knows its name!\n'
FILES = {
    "t.txt": TEXT * 30,
    "o.txt": TEXT * 3,
    "classify.tsv": "Greek\tNikolaidis\nGreek\tPapas\nCzech\tNovak\nCzech\tDvorak\n" * 20,
    "tag.tsv": "The\tO\nred\tB-X\nriver\tI-X\n\nA\tO\nstone\tB-Y\nfell\tO\n\n" * 20,
    "transduce.tsv": "4 July 1976\t1976-07-04\n5 May 1999\t1999-05-05\n" * 20,
    "names.txt": "Novak\nPapas\n",
    "sentences.txt": "The red river\nA stone fell\n",
    "dates.txt": "4 July 1976\n",
    "lines.txt": "Dear\nNobody\n",
    "folder/a.txt": TEXT,
    "folder/b.bin": "\0",
    "broken/last.safetensors": "",
}
SMALL = "--hidden 6 --batch 2 --steps 6 --log-every 2 --eval-every 3"
OF_TASKS = {"task": "", "classify": "", "tag": "", "transduce": "--attention dot", "generate": ""}
MEASURED = "--windows 2 --max-lag 8 --anchors 4 --targets 4 --lyapunov-steps 20 --exponents 2"
EVENTS = f"train t.txt --name lm --seq-len 8 --watch 2 --sample-every 3 --val-frac 0.2 {SMALL}"
SWEEP = "sweep t.txt --try hidden=4,6 --name s --seq-len 8 --batch 2 --steps 4"

PRINTED = {
    "charrnn train --dry-run": ["train t.txt --dry-run --hidden 6"],
    "charrnn sample": [
        "sample lm --length 5 --count 2",
        "sample lm --length 5 --prime Z --unknown skip",
        "sample lm --each-line < lines.txt",
        "sample generate --label Greek",
    ],
    "charrnn sample --next": ["sample lm --prime T --next 3"],
    "charrnn predict Of a classifier": ["predict classify names.txt -k 2"],
    "charrnn predict Of a tagger": ["predict tag sentences.txt --format lines"],
    "charrnn predict Of a transducer": ["predict transduce dates.txt -k 2 --attention"],
    "charrnn eval Of a language model": [
        "eval o.txt --run lm --reset-every 5",
        "eval --split val --run lm --dynamic",
    ],
    "charrnn eval --per-line": ["eval o.txt --run lm --per-line"],
    "charrnn eval --per-char": ["eval o.txt --run lm --per-char"],
    "charrnn eval Of a generator": ["eval classify.tsv --run generate"],
    "charrnn eval Of a classifier or tagger": [
        "eval classify.tsv --run classify",
        "eval tag.tsv --run tag",
    ],
    "charrnn eval Of a transducer": ["eval transduce.tsv --run transduce"],
    "charrnn info": ["info lm", "info tag", "info transduce"],
    "charrnn info --devices": ["info --devices"],
    "charrnn runs": ["runs"],
    "charrnn runs Of a sweep": ["runs s"],
    "charrnn plot": ["plot lm diverged"],
    "charrnn view": ["view lm --length 10"],
    "charrnn view --unit": ["view lm --length 10 --unit 0:1"],
    "charrnn view --units": [],  # a model of this size has found nothing: see below
    "charrnn diagnose": [
        f"diagnose lm --gradcheck --lr 9 {MEASURED}",
        "diagnose transduce --lr 9 --windows 2 --max-lag 8 --anchors 4",
    ],
    "charrnn diagnose --compare": [
        f"diagnose --compare rnn,lstm --steps 3 --corpus t.txt --hidden 6 {MEASURED}"
    ],
    "charrnn diagnose --history": ["diagnose lm --history"],
    "charrnn export": ["export lm --to torch --out f.safetensors", "export lm --to html --out p"],
    "charrnn import": ["import taken.safetensors --name imported"],
    "charrnn bench": ["bench --hidden 6 --seconds 0.1"],
    "charrnn corpus list": ["corpus list"],
    "charrnn corpus info": ["corpus info folder", "corpus info brackets"],
    "charrnn corpus cache": ["corpus cache"],
}
"""Commands whose objects together have every key of a section, and no other."""


def generated():
    """Return the module that makes parts of the reference from the code."""
    spec = importlib.util.spec_from_file_location("generated", DOCS / "generated.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sections(page):
    """Return the keys that each section of the page documents, by its headings."""
    found, of_command = {}, ""
    for part in re.split(r"(?m)^(?=##+ )", page):
        title, _, body = part.partition("\n")
        name = title.lstrip("# ")
        of_command = name if title.startswith("## ") else of_command
        name = name if name == of_command else f"{of_command} {name}"
        keys = []
        for cell in re.findall(r"(?m)^\| (`[^|]*`) \|", body):
            for key in re.findall(r"`([^`]+)`", cell):
                above = keys[-1].rpartition(".")[0] if keys else ""
                keys.append(f"{above}{key}" if key.startswith(".") else key)
        if keys:
            found[name] = keys
    return found


def keys_of(value, above=""):
    """Yield every key of a JSON value, with those above it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f"{above}{key}"
            yield from keys_of(inner, f"{above}{key}.")
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner, f"{above.removesuffix('.')}[].")


def compared(documented, printed):
    """Return the keys that were printed but are not documented, and the other way round.

    An object whose inner keys are documented needs no row of its own. A word in capitals stands for
    any name.
    """
    patterns = {key: _pattern(key) for key in documented}
    known = {key for key in printed if any(p.fullmatch(key) for p in patterns.values())}
    extra = [
        key
        for key in printed - known
        if not any(inner.startswith((f"{key}.", f"{key}[].")) for inner in known)
    ]
    missing = [key for key, p in patterns.items() if not any(map(p.fullmatch, known))]
    return sorted(extra), sorted(missing)


def _pattern(key):
    words = re.split(r"(?<![A-Za-z])[A-Z]{4,}(?![A-Za-z])", key)
    return re.compile(".+".join(map(re.escape, words)))


PAGE = (DOCS / "reference/json.md").read_text("utf-8")


def test_shorthand_and_placeholders_are_read():
    page = "## c\n| `a.b`, `.c` | x |\n### --d\n| `e[].NAME.f` | y |\n"
    assert sections(page) == {"c": ["a.b", "a.c"], "c --d": ["e[].NAME.f"]}
    printed = set(keys_of({"a": {"b": 1, "c": [1]}, "e": [{"x.y": {"f": 2}}, {"z": {"g": 3}}]}))
    extra, missing = compared(["a.b", "a.c", "a.d", "e[].NAME.f"], printed)
    assert (extra, missing) == (["e[].z", "e[].z.g"], ["a.d"])


def test_every_section_is_compared():
    assert sections(PAGE).keys() == PRINTED.keys()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("json")
    for name, text in FILES.items():
        path = folder / ("checkpoints" if name.startswith("broken") else "") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


@pytest.fixture(scope="module")
def printed(folder):
    """A function that runs a command in a folder with runs, and returns its objects."""

    def run(words):
        words, _, source = words.partition(" < ")
        given = (folder / source).read_text("utf-8") if source else ""
        done = charrnn(*words.split(), "--json", cwd=folder, input=given)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    run.events = run(EVENTS)
    for task, more in OF_TASKS.items():
        if task != "task":
            table = "classify" if task == "generate" else task
            run(f"train {table}.tsv --task {task} --name {task} {more} {SMALL}")
    return run


@pytest.fixture(scope="module")
def more(folder, printed):
    """What some sections need beside their commands."""
    diverging = f"{SMALL} --seq-len 8 --lr 1e3 --clip-norm 0 --optimizer sgd --save-every 2"
    done = charrnn("train", "t.txt", "--name", "diverged", *diverging.split(), cwd=folder)
    assert "rollback" in done.stderr
    printed("export lm --to torch --out taken.safetensors")
    one = Meaning("inside quotes", False, Unit(0, 1, "h"), 1, 0.9, 0.9, 0.6, 0.5, 0.01)
    units = list(meaning_records(Meanings([one], [], [], 1, 100)))
    history = History("r", jumps=[Jump(9, "global", 6.0, 5.5)]).to_json()
    return {"charrnn view --units": units, "charrnn diagnose --history": [history]}


@pytest.mark.slow
@pytest.mark.parametrize("section", PRINTED)
def test_the_keys_are_those_that_are_printed(section, printed, more):
    if section == "charrnn runs Of a sweep":
        pytest.importorskip("optuna")
        printed(SWEEP)
    documented = sections(PAGE)[section]
    rows = [row for words in PRINTED[section] for row in printed(words)] + more.get(section, [])
    found = {key for row in rows for key in keys_of(row)}
    if section == "charrnn info":
        found -= set(generated().settings_by_name()) - set(documented)
    if section == "charrnn eval Of a generator":
        found -= set(sections(PAGE)["charrnn eval Of a language model"])
    extra, missing = compared(documented, found)
    assert extra == []
    assert [key for key in missing if not key.startswith(("cupy.devices[]", "span"))] == []


@pytest.mark.slow
def test_the_events_are_those_that_are_printed(printed):
    pages = sections(re.sub("(?m)^### ", "## ", generated().events()))
    named = set(generated().settings_by_name())
    seen = set()
    for row in printed.events:
        event, found = row.pop("event"), {*row}
        seen.add(event)
        documented = set(pages[event])
        if event == "start":
            found -= named | {f"{name}_count" for name in named}
            documented -= named
        if event == "eval":
            documented.discard("measures")
        assert found == documented, event
    assert seen == {"start", "step", "watch", "eval", "sample", "save", "end"}


@pytest.mark.slow
def test_the_settings_are_those_that_are_printed(printed):
    (row,) = printed("info lm")
    named = set(generated().settings_by_name())
    assert named >= {"lr", "seq_len", "val_frac", "forget_bias", "gru_reset"}
    for config in (ModelConfig, DataConfig, TrainConfig):
        kept = {"sources", "gru_reset"} & set(declared(config))
        assert set(declared(config)) - kept <= named & set(row)
