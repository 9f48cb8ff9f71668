"""Checkpoints and their files, put together by hand."""

import hashlib

import numpy as np
from helpers import reference

from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.model.language import LanguageModel
from charrnn.storage import container
from charrnn.storage.checkpoint import Checkpoint
from charrnn.storage.progress import Progress
from charrnn.text import Vocabulary

START = b'{"__metadata__":{"charrnn":"'
AT = 8 + len(START) + len('{\\"digest\\":\\"')
DIGEST = slice(AT, AT + 64)
CHARS = Vocabulary("char", ("\n", "a", "é", "\U0001f600"))


def checkpoint_of(form="lstm", vocabulary=CHARS, **options):
    options = {"hidden": 3, "layers": 2} | options | reference.FORMS[form]
    config = ModelConfig(**options)
    model = LanguageModel.fresh(config, len(vocabulary), seed=4)
    flat, rng = model.weights.flat, np.random.default_rng(7)
    drawn = rng.standard_normal((2, flat.size)).astype(config.dtype)
    states = {
        name: rng.random((3, 5)).astype(config.dtype) for name, _ in model.window(1, 5).states()
    }
    return Checkpoint(
        config=config,
        vocabulary=vocabulary,
        weights=flat,
        data=DataConfig(
            level=vocabulary.level,
            sources=("one.txt", "two.txt"),
            val=("v",),
            test_frac=0.25,
            min_count=2,
        ),
        train=TrainConfig(steps=70, minutes=1.5, optimizer="sgd", horizon=9, lr=0.1, seed=-5),
        corpus_sha256="ab" * 32,
        heldout_sha256="cd" * 32,
        progress=Progress(step=12, epoch=3, smoothed=1.25, val_loss=2.5, stale=1, metrics_bytes=99),
        moments={"m": drawn[0], "v": drawn[1] ** 2},
        states=states,
    )


def parts(path):
    tensors, facts = container.read(path)
    facts.pop("digest")
    return dict(tensors), facts


def seal(header, body=b""):
    """Return a file with the given header text, in which the digest alone is still to be set."""
    data = bytearray(len(header).to_bytes(8, "little") + header + body)
    data[DIGEST] = b"0" * 64
    data[DIGEST] = hashlib.sha256(data).hexdigest().encode()
    return bytes(data)


def header_of(entries, facts='{\\"digest\\":\\"' + "0" * 64 + '\\"}'):
    """Return a header with the given JSON text after the metadata."""
    return START + facts.encode() + b'"}' + entries.encode() + b"}"
