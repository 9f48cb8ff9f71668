"""The Python interface refuses every wrong argument in one line of Python's words."""

import math
from dataclasses import fields
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import charrnn
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.diagnosis.settings import Settings
from charrnn.sampling import SampleOptions

VALUES = (
    *(None, True, 5, -1, 0, 2.5, math.nan, math.inf, 10**30, "", "x", "\0", "\ud800", "\n"),
    *(b"", b"\xff", bytearray(b"ab"), [], [1], ["a", 2], [b"a", "b"], {}, {"a": 1}, {3, "x"}),
    *(object(), Path("nowhere"), np.array([1, 2]), np.array(3), np.zeros((2, 2)), 1j, range(3)),
    *(int, np.float32(3), np.int8(3)),
)
TEXT = "hello you\n" * 20
TINY = {"hidden": 4, "steps": 1}
QUICK = {"anchors": 16, "targets": 16, "lyapunov_steps": 10, "windows": 2, "max_lag": 6}
CONFIG = ModelConfig(hidden=4, cell="gru")
SAMPLING = (
    *("length", "prime", "temperature", "top_k", "top_p", "min_p", "until", "until_join", "seed"),
    *("unknown", "temperature_end", "repetition_penalty", "repetition_window", "no_repeat"),
    *("novel", "novel_span", "novel_text"),
)
SEARCHING = ("length", "beam", "count", "prime", "until", "until_join", "no_repeat", "unknown")
DIAGNOSIS = (
    *("level", "unknown", "backend", "lr", "seq_len", "batch", "state", "optimizer", "nothing"),
    *(f.name for f in fields(Settings)),
)
MODELS = {level: charrnn.fit(TEXT, **TINY, level=level) for level in ("char", "byte", "word")}
STACK = charrnn.Stack(CONFIG, 3)
WEIGHTS, WINDOW = STACK.initialise(0), STACK.workspace(5, 2)
TOP = STACK.forward(WEIGHTS, WINDOW, np.zeros((5, 3, 2), np.float32)).copy()


def of_model(level):
    """Return a call for each argument of a model's methods."""
    model = MODELS[level]
    calls = {"evaluate": model.evaluate, "save": model.save}
    calls["diagnose"] = lambda v: charrnn.diagnose(model, v, **QUICK)
    calls["evaluate unknown"] = lambda v: model.evaluate("you", unknown=v)
    for name in SAMPLING:
        calls[f"stream {name}"] = lambda v, name=name: list(
            islice(model.stream(**({"length": 3} | {name: v})), 3)
        )
        calls[f"sample {name}"] = lambda v, name=name: model.sample(**({"length": 3} | {name: v}))
        if name != "prime":
            calls[f"continuations {name}"] = lambda v, name=name: list(
                model.continuations(["you"], **({"length": 3} | {name: v}))
            )
    for name in SEARCHING:
        calls[f"most_likely {name}"] = lambda v, name=name: model.most_likely(
            **({"length": 3, "beam": 2} | {name: v})
        )
    calls["samples count"] = lambda v: list(islice(model.samples(v, 3), 3))
    calls["continuations lines"] = lambda v: list(model.continuations(v, 3))
    calls["novel_text"] = lambda v: model.sample(3, novel=True, novel_text=v)
    calls["novel_span"] = lambda v: model.sample(3, novel_span=v, novel_text=TEXT)
    return calls


def of_training():
    """Return a call for each argument of fit, and for each field of a configuration."""
    calls = {"text": lambda v: charrnn.fit(v, **TINY)}
    calls["bytes"] = lambda v: charrnn.fit(v, **TINY, level="byte")
    names = {"backend", "best", "forget_bias", "beta1", "nothing"}
    for config in (ModelConfig, TrainConfig, DataConfig):
        for field in fields(config):
            names.add(field.name)
            calls[f"{config.__name__} {field.name}"] = lambda v, config=config, name=field.name: (
                config(**{name: v})
            )
    for name in sorted(names - {"steps", "report"}):
        calls[name] = lambda v, name=name: charrnn.fit(TEXT, **(TINY | {name: v}))
    return calls


def of_the_rest():
    """Return a call for each other argument."""
    calls = {"load": charrnn.load, "plugin": charrnn.plugin, "initialise": STACK.initialise}
    calls["load backend"] = lambda v: charrnn.load("nowhere", backend=v)
    calls["diagnose model"] = lambda v: charrnn.diagnose(v, TEXT, **QUICK)
    for name in DIAGNOSIS:
        model = CONFIG if name == "level" else MODELS["char"]
        calls[f"diagnose {name}"] = lambda v, name=name, model=model: charrnn.diagnose(
            model, TEXT, **(QUICK | {name: v})
        )
    for field in fields(SampleOptions):
        calls[f"options {field.name}"] = lambda v, name=field.name: SampleOptions(**{name: v})
    good = MODELS["char"]
    calls["network"] = lambda v: charrnn.Model(v, good.vocabulary)
    calls["vocabulary"] = lambda v: charrnn.Model(good.network, v)
    calls["data"] = lambda v: charrnn.Model(good.network, good.vocabulary, None, v)
    calls["training"] = lambda v: charrnn.Model(good.network, good.vocabulary, v)
    for at in range(4):
        arguments = [CONFIG, 3, None, None]
        calls[f"Stack {at}"] = lambda v, at=at, arguments=arguments: charrnn.Stack(
            *arguments[:at], v, *arguments[at + 1 :]
        )
    calls["steps"] = lambda v: STACK.workspace(v, 2)
    calls["streams"] = lambda v: STACK.workspace(2, v)
    grads = WEIGHTS.like(np.zeros_like(WEIGHTS.flat))
    x = np.zeros((5, 3, 2), np.float32)
    calls["forward 0"] = lambda v: STACK.forward(v, WINDOW, x)
    calls["forward 1"] = lambda v: STACK.forward(WEIGHTS, v, x)
    calls["forward 2"] = lambda v: STACK.forward(WEIGHTS, WINDOW, v)
    calls["backward 0"] = lambda v: STACK.backward(v, TOP, grads)
    calls["backward 1"] = lambda v: STACK.backward(WINDOW, v, grads)
    calls["backward 2"] = lambda v: STACK.backward(WINDOW, TOP, v)
    return calls


CALLS = {f"{level} {name}": c for level in MODELS for name, c in of_model(level).items()}
CALLS |= {f"fit {name}": call for name, call in of_training().items()} | of_the_rest()


def refused(call, values):
    """Return how many of the values a call refuses, each in one line of Python's words."""
    count = 0
    for value in values:
        try:
            call(value)
        except charrnn.CharRNNError as problem:
            told, count = str(problem), count + 1
            assert "\n" not in told
            assert "--" not in told
            assert "\x02" not in told
    return count


def test_some_wrong_arguments_are_refused(home):
    """Two values for each argument; the slow test tries them all."""
    for index, call in enumerate(CALLS.values()):
        refused(call, [VALUES[(5 * index + k) % len(VALUES)] for k in (0, 16)])


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_every_wrong_argument_is_refused(home, name):
    assert refused(CALLS[name], VALUES) >= (0 if name.endswith("training") else 3)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda m: m.sample(3, temprature=1),
            "unknown option 'temprature'; did you mean temperature?",
        ),
        (lambda m: m.stream(-2), "length must be at least 0, not -2; 0 means endless"),
        (lambda m: m.sample(0), "a sample of length 0 never ends; give a length or until"),
        (lambda m: m.sample(3, prime=b"x"), "prime must be a string, not bytes: the model reads "),
        (lambda m: m.evaluate(Path("a.txt")), "text must be the text itself, not its path 'a.txt'"),
        (lambda m: m.evaluate(["you", 5]), "text 1 of the list must be a string, not 5"),
        (lambda m: m.save(""), "path '' cannot be a path; name a file"),
        (lambda m: charrnn.load(5), "run must be a path, not 5"),
        (
            lambda m: charrnn.fit("a"),
            "the text has 1 symbol, but at least 2 are needed; use a long",
        ),
        (lambda m: charrnn.load("x", backend=5), "backend must be auto, numpy or cupy, not 5"),
        (lambda m: charrnn.fit(None), "text must be a string, bytes, or a list of them, not None"),
        (lambda m: charrnn.fit({"a", "b"}), "text must be a string, bytes, or a list of them, not"),
        (lambda m: charrnn.fit(["a", 5]), "text 1 of the list must be a string, not 5"),
        (lambda m: charrnn.fit(["a", b"b"]), "the texts of the list are strings and bytes"),
        (
            lambda m: charrnn.fit(Path("a.txt")),
            "text must be the text itself, not its path 'a.txt'",
        ),
        (lambda m: charrnn.fit([]), "the text is empty; give at least two symbols"),
        (lambda m: charrnn.fit(TEXT, report=3), "report must be a function, not 3"),
        (lambda m: charrnn.fit(TEXT, cell=[1]), "cell must be a string, not [1]"),
        (
            lambda m: charrnn.Model(m, m.vocabulary),
            "a Model consists of a LanguageModel and its Vo",
        ),
        (
            lambda m: charrnn.Model(m.network, MODELS["word"].vocabulary),
            "the network has 8 symbols and the vocabulary 4; give the vocabulary that it was made ",
        ),
        (
            lambda m: STACK.forward(WEIGHTS, WINDOW, np.zeros((5, 4, 2))),
            "x must be numbers (5, 3, 2) or symbols (5, 2), or fewer steps, not float64 (5, 4, 2)",
        ),
    ],
)
def test_the_line_names_the_argument(call, says):
    with pytest.raises(charrnn.CharRNNError) as told:
        call(MODELS["char"])
    assert str(told.value).startswith(says)
