"""The targets of fuzzing: the readers of untrusted files. Only CharRNNError may leave them.

Each target takes bytes and needs nothing but them, so that a finding can be run again without the
fuzzer (``python tests/fuzz/run.py TARGET --input FILE``).
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import tempfile
from itertools import islice
from pathlib import Path

import numpy as np

from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.errors import CharRNNError
from charrnn.evaluate.labels import Labeller
from charrnn.evaluate.tags import TagScorer
from charrnn.model.language import LanguageModel
from charrnn.model.networks import NETWORKS
from charrnn.sampling import stream
from charrnn.sampling.targets import written
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage.checkpoint import Checkpoint
from charrnn.storage.progress import Progress
from charrnn.text import Vocabulary, corpus_from_text, iter_lines, open_corpus
from charrnn.text.cache import store
from charrnn.text.labelled.dataset import read_table
from charrnn.text.pairs.dataset import Pairs, read_pairs

LEVELS = ("char", "byte", "word")
CODECS = (
    *("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "utf-7", "latin-1", "cp1252"),
    *("ascii", "shift_jis", "gb18030", "big5", "iso2022_jp", "euc_kr", "hz", "idna"),
    *("punycode", "unicode_escape", "raw_unicode_escape", "cp037", "utf-32-be"),
)


class Bytes:
    """Small choices taken from the front of the data; what is left is text."""

    def __init__(self, data):
        self.rest = data

    def byte(self):
        first, self.rest = (self.rest[0], self.rest[1:]) if self.rest else (0, b"")
        return first

    def one_of(self, choices):
        return choices[self.byte() % len(choices)]

    def part(self):
        """Take off a part, a byte's share of what is left."""
        size = len(self.rest) * self.byte() // 256
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken


class Room:
    """A new folder with a cache, removed when the process ends."""

    def __init__(self):
        memory = Path("/dev/shm")
        parent = memory if os.access(memory, os.W_OK) else None
        self._held = tempfile.TemporaryDirectory(prefix="charrnn-fuzz-", dir=parent)
        self.path = Path(self._held.name)
        os.environ["CHARRNN_CACHE"] = str(self.path / "cache")
        os.fsync = lambda handle: None  # nothing here needs to outlive the machine


_room = None


def room():
    global _room
    _room = _room or Room()
    return _room.path


# Checkpoints


def checkpoint(data):
    """Load, and use what was loaded: write it again, compute with it, draw from it."""
    path = room() / "file.safetensors"
    path.write_bytes(data)
    loaded = checkpoints.load(path)
    with np.errstate(all="ignore"):
        use(loaded)
    checkpoints.save(path, loaded)
    again = checkpoints.load(path)
    assert again.config == loaded.config
    assert again.vocabulary == loaded.vocabulary
    assert again.weights.tobytes() == loaded.weights.tobytes()


def use(loaded):
    """Compute with a model of any task."""
    model, ids = loaded.model(), [np.zeros(2, loaded.vocabulary.dtype)]
    if loaded.config.task == "classify":
        assert Labeller(model).of_texts(ids).shape == (len(loaded.labels), 1)
        return
    if loaded.config.task == "tag":
        (tags,) = TagScorer(model).best([(ids[0], np.arange(2))], 4)
        assert all(0 <= tag < len(loaded.labels) for tag in tags.best)
        return
    if loaded.config.task == "transduce":
        ((_, (best,)),) = islice(written(model, Pairs.untranslated(ids)), 1)
        assert all(0 <= symbol < len(loaded.labels) for symbol in best.ids)
        return
    if loaded.config.task == "generate":
        model = model.given(len(loaded.labels) - 1)
    for symbol in islice(stream(model, loaded.vocabulary, length=3), 3):
        assert isinstance(symbol, bytes if loaded.vocabulary.level == "byte" else str)


OTHERS = (
    {"task": "lm", "grams": 5},
    {"task": "classify"},
    {"task": "classify", "ngrams": 2, "bidirectional": True},
    {"task": "classify", "counts": 0.3, "writer": 2},
    {"task": "tag", "bidirectional": True},
    {"task": "transduce"},
    {"task": "transduce", "attention": "none"},
    {"task": "generate"},
)


def checkpoint_seeds():
    """Yield real checkpoints: every cell, level and task, with and without training state."""
    path = room() / "seed.safetensors"
    vocabularies = (
        Vocabulary("char", ("\n", "a", "é", "\U0001f600")),
        Vocabulary("byte", (10, 97, 256), 2),
        Vocabulary("word", (" ", "a", "word"), None),
    )
    forms = ({"cell": "lstm"}, {"cell": "gru"}, {"cell": "gru", "gru_reset": "before"})
    for vocabulary, form in zip(vocabularies, forms, strict=True):
        config = ModelConfig(hidden=2, embed=1, dtype="float64", **form)
        model = LanguageModel.fresh(config, len(vocabulary), seed=1)
        flat = model.weights.flat
        states = {name: np.ones((2, 3)) for name, _ in model.window(1, 3).states()}
        full = Checkpoint(
            config,
            vocabulary,
            flat,
            DataConfig(level=vocabulary.level, sources=("one.txt",)),
            TrainConfig(steps=5),
            "ab" * 32,
            "",
            Progress(step=2, smoothed=1.0),
            {"m": flat * 0, "v": flat * 0},
            states,
        )
        checkpoints.save(path, full)
        yield path.read_bytes()
    bare = ModelConfig(cell="rnn", hidden=1, layers=2, activation="relu")
    weights = LanguageModel.fresh(bare, 4, seed=1).weights.flat
    checkpoints.save(path, Checkpoint(bare, vocabularies[0], weights))
    yield path.read_bytes()
    for form in OTHERS:
        config = ModelConfig(hidden=2, **form)
        labels = () if config.task == "lm" else ("a", "b")
        flat = NETWORKS[config.task].fresh(config, 4, 1, outputs=len(labels) or 4).weights.flat
        checkpoints.save(path, Checkpoint(config, vocabularies[0], flat, labels=labels))
        yield path.read_bytes()


# Tables of labelled texts, and of pairs


def table(data):
    """Read labelled texts or pairs as training does."""
    choices = Bytes(data)
    how = {"level": choices.one_of(LEVELS), "errors": choices.one_of(("strict", "skip"))}
    kind, codec = choices.byte() % 5, choices.one_of(CODECS)
    text = choices.rest
    names = {1: ("column", "label_column"), 2: ("field", "label_field")}.get(kind, ())
    how |= dict(zip(names, ("t", "l"), strict=False))
    room()
    if kind < 3:
        config = DataConfig(sources=("-",), encoding=codec, **how)
        found = read_table(config, 1, stdin=io.BytesIO(text))
        assert int(found.train.labels.max()) < len(found.labels)
        for part in (found.train, found.val):
            assert all(int(ids.max(initial=0)) < len(found.vocabulary) for ids in part.each())
        return
    target_level = ("char", "word")[kind - 3]
    config = DataConfig(sources=("-",), encoding=codec, target_level=target_level, **how)
    found = read_pairs(config, 1, stdin=io.BytesIO(text))
    assert len(found.train)
    assert found.targets == tuple(sorted(set(found.targets)))


def table_seeds():
    rows = (
        b"a\tone\nb\ttwo\n" * 3,
        b'l,t\na,one\nb,"tw\no"\n',
        b'{"l": "a", "t": "one"}\n{"l": "b", "t": "two"}\n',
        "\u00e9n\tein s\nd\tzwei\n".encode() * 2,
        "__label__x a\r\n__label__y \U0001f600\r\n".encode(),
    )
    for level in range(2):
        for skip in range(2):
            for kind in range(5):
                yield bytes([2 * level, skip, kind, 0]) + rows[kind]
    for codec in range(len(CODECS)):
        yield bytes([0, 1, codec % 5, codec]) + rows[4]


# Vocabularies


def vocabulary(data):
    """Either a vocabulary from JSON, or one counted from text; both must encode and decode."""
    take = Bytes(data)
    kind = take.byte()
    if kind % 2:
        try:
            tree = json.loads(take.rest.decode("utf-8", "surrogatepass"))
        except (ValueError, RecursionError):
            return  # no JSON: never reaches a vocabulary
        built = Vocabulary.from_json(tree)
        text = sample_of(built)
    else:
        level = LEVELS[kind // 2 % 3]
        least = take.byte() % 4 + 1
        text = take.rest if level == "byte" else take.rest.decode("utf-8", "replace")
        built = corpus_from_text(text, level=level, min_count=least).vocabulary
    assert Vocabulary.from_json(json.loads(json.dumps(built.to_json()))) == built
    ids = built.encode(text)
    assert ids.dtype == built.dtype
    assert not len(ids) or int(ids.max()) < len(built)
    back = built.decode(ids)
    if built.unknown is None:
        assert back == text
    elif built.level != "word":
        assert len(back) == len(text)
    for other in (b"\x00\xff{ok}", "\x00\ud800{ok} \U0010ffff"):
        if isinstance(other, bytes) == (built.level == "byte"):
            built.encode(other, "skip")
            with contextlib.suppress(CharRNNError):
                built.encode(other)


def sample_of(built):
    """Return a text of the vocabulary's own symbols, neighbours that cannot be told apart left."""
    if built.level == "byte":
        return bytes(s for s in built.symbols if s < 256)
    if built.level == "char":
        return "".join(built.symbols)
    return "".join(s for s in built.symbols if not (s[0].isalnum() or s[0] == "_"))


def vocabulary_seeds():
    yield b"\x01" + json.dumps({"level": "char", "symbols": ["\n", "a", "é"]}).encode()
    yield b"\x01" + json.dumps({"level": "byte", "symbols": [0, 9, 256], "unknown": 2}).encode()
    yield b"\x01" + json.dumps({"level": "word", "symbols": [" ", "one", "two"]}).encode()
    for kind in (0, 2, 4):
        yield bytes([kind, 0]) + "one two, één \U0001f600\r\n\0".encode()
        yield bytes([kind, 1]) + b"aab bcc\xff\xc3"


# Corpora


def corpus(data):
    """Write files, open them as a corpus; damage the cache; open again; read as a stream."""
    take = Bytes(data)
    level, codec = take.one_of(LEVELS), take.one_of(CODECS)
    errors, least = take.one_of(("strict", "replace")), take.byte() % 3 + 1
    fractions = take.byte() / 256, take.byte() / 256
    damage, place, chunk = take.byte(), take.byte(), take.byte() + 1
    folder = room() / "texts"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    names = []
    for name in ("b", "a", "held"):
        content = take.part() if name != "a" else take.rest
        (folder / name).write_bytes(content)
        os.utime(folder / name, (1e9, 1e9))  # a file that is new is waited for
        names.append(str(folder / name))
    options = {"level": level, "encoding": codec, "errors": errors, "min_count": least}
    options |= {"val_frac": fractions[0], "test_frac": fractions[1]}
    if take.byte() % 2:
        options |= {"val": [names.pop()]}
    specs = names if damage % 2 else str(folder)
    try:
        first = open_corpus(specs, **options)
        check_corpus(first)
        if damage > 64:
            harm(damage, place, take.rest)
            second = open_corpus(specs, **options)
            check_corpus(second)
            for part in ("train", "val", "test"):
                same = np.array_equal(getattr(first, part), getattr(second, part))
                assert same or damage > 128, part
            assert first.vocabulary == second.vocabulary or damage > 128
        for line, ids in iter_lines(
            names[0], first.vocabulary, encoding=codec, errors=errors, unknown="skip", chunk=chunk
        ):
            assert len(ids) <= len(line)
    finally:
        store.clear_cache()


def check_corpus(found):
    """The assumptions of training: ids inside the vocabulary, in the stated number."""
    assert len(found.train) + len(found.val) + len(found.test) == found.chars
    for part in (found.train, found.val, found.test):
        assert not len(part) or int(part.max()) < len(found.vocabulary)
    found.vocabulary.decode(found.train)


def harm(kind, place, content):
    """Damage the cache's entry: by chance, or on purpose with a digest that fits."""
    entry = store.cache_entries()[0].path
    meta, ids = entry / "meta.json", entry / "ids.bin"
    if 96 < kind <= 112 or 128 < kind <= 192:
        ids.unlink()  # not written in place: it is mapped
    if kind <= 96:
        meta.write_bytes(content)
    elif kind <= 112:
        ids.write_bytes(content)
    elif kind <= 128:
        whole = meta.read_bytes()
        at = len(whole) * place // 256
        meta.write_bytes(whole[:at] + content[:3] + whole[at + 3 :])
    elif kind <= 192:
        ids.write_bytes(content)
        facts = json.loads(meta.read_bytes())["meta"]
        width = Vocabulary.from_json(facts["vocabulary"]).dtype.itemsize
        facts |= {"ids_sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        seal(meta, {**facts, "parts": [len(content) // width, 0, 0]})
    else:
        facts = json.loads(meta.read_bytes())["meta"]
        name = sorted(facts)[place % len(facts)]
        with contextlib.suppress(ValueError):
            seal(meta, {**facts, name: json.loads(content)})


def seal(path, meta):
    with contextlib.suppress(UnicodeEncodeError):
        digest = hashlib.sha256(json.dumps(meta, sort_keys=True).encode("ascii")).hexdigest()
        path.write_bytes(json.dumps({"meta": meta, "digest": digest}).encode("ascii"))


def corpus_seeds():
    texts = (
        b"hello hello\r\n",
        "één \U0001f600 twee\0".encode(),
        b"\xff\xfeh\0i\0",
        b"\xef\xbb\xbfa",
    )
    for level in range(3):
        for damage in (0, 1, 80, 100, 120, 150, 250):
            head = bytes([level, 0, 0, 0, 30, 20, damage, 90, 5, 100, 100, level])
            yield head + texts[(level + damage) % len(texts)] * 2
    for codec in range(len(CODECS)):
        yield bytes([0, codec, codec & 1, 0, 30, 20, 0, 90, 2, 0, 0, 0]) + texts[codec % 4] * 2
    for value in (b"null", b"[1, -1]", b"[1e99]", b"9223372036854775808", b'"x"', b'{"level":0}'):
        yield bytes([0, 0, 0, 0, 30, 20, 250, value[0], 9, 0, 0, 0]) + value


TARGETS = {
    "table": (table, table_seeds),
    "checkpoint": (checkpoint, checkpoint_seeds),
    "vocabulary": (vocabulary, vocabulary_seeds),
    "corpus": (corpus, corpus_seeds),
}

EXPECTED = (CharRNNError,)
