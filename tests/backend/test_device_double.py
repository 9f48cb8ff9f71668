"""The whole of training and sampling on a double of CuPy that refuses to mix with the host.

A forgotten transfer is a ``TypeError``; results equal NumPy's bit for bit; and what crosses between
host and device is what was declared, no more.
"""

import sys
import types
from collections import Counter

import numpy as np
import pytest
from helpers import reference

from charrnn.backend import numpy_backend, select
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import CharRNNError
from charrnn.evaluate import Validation, score, score_lines, surprisals
from charrnn.model.language import LanguageModel
from charrnn.registry import OPTIMIZERS
from charrnn.sampling import SampleOptions, next_symbols, samples, stream
from charrnn.tasks.language import LanguageTask
from charrnn.text import corpus_from_text
from charrnn.train.loop import Loop
from charrnn.train.records import Eval, Step

TEXT = "the quick brown fox jumps over the lazy dog; " * 12
CORPUS = corpus_from_text(TEXT)
V = len(CORPUS.vocabulary)
forms = pytest.mark.parametrize("form", reference.FORMS)
USUAL = (("lstm", 0), ("lstm", 3), ("gru-before", 0))
EMBEDDED = [
    pytest.param(form, embed, marks=() if (form, embed) in USUAL else pytest.mark.slow)
    for form in reference.FORMS
    for embed in (0, 3)
]
embedded = pytest.mark.parametrize(("form", "embed"), EMBEDDED)


def loop_on(backend, form="lstm", embed=0, progress=None, moments=None, states=None, **options):
    shape = {"hidden": 6, "layers": 2, "embed": embed, "dropout": 0.25} | reference.FORMS[form]
    shape["recurrent_dropout"] = 0.2
    shape["dtype"] = options.pop("dtype", "float32")
    model = LanguageModel.fresh(ModelConfig(**shape), V, seed=3, backend=backend)
    train = {
        "steps": 12,
        "batch": 4,
        "seq_len": 5,
        "log_every": 4,
        "eval_every": 6,
        "save_every": 0,
    }
    config = TrainConfig(**train | options)
    return Loop(
        LanguageTask(model, CORPUS.train, CORPUS.val, config),
        config,
        progress=progress,
        moments=moments,
        states=states,
    )


def lines(records):
    timed = ("seconds", "chars_per_second")
    kept = [record.to_json() for record in records if isinstance(record, Step | Eval)]
    return [{key: value for key, value in line.items() if key not in timed} for line in kept]


def assert_same(mine, theirs):
    """Two loops' states, bit for bit."""
    for one, other in zip(mine.state()[1:], theirs.state()[1:], strict=True):
        if isinstance(one, np.ndarray):
            one, other = {"weights": one}, {"weights": other}
        assert one.keys() == other.keys()
        for name, array in one.items():
            np.testing.assert_array_equal(array, other[name], err_msg=name)


@embedded
def test_training_gives_the_same_bits(form, embed, device):
    plain = loop_on(numpy_backend(), form, embed)
    there = loop_on(select("cupy"), form, embed)
    assert lines(there.records()) == lines(plain.records())
    assert_same(there, plain)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS.builtin())
def test_every_way_to_update_gives_the_same_bits(optimizer, device):
    options = {
        "optimizer": optimizer,
        "weight_decay": 0.01,
        "clip_value": 0.02,
        "schedule": "plateau",
        "warmup": 3,
        "state": "reset",
        "patience": 5,
    }
    plain, there = (loop_on(b, **options) for b in (numpy_backend(), select("cupy")))
    assert lines(there.records()) == lines(plain.records())
    assert_same(there, plain)


@pytest.mark.parametrize("form", ["lstm", "gru-before"])
def test_a_run_goes_on_on_another_device(form, device):
    """From host to device and back: a checkpoint does not depend on the device."""
    whole = loop_on(numpy_backend(), form)
    expected = lines(whole.records())
    first = loop_on(numpy_backend(), form)
    for _ in range(5):
        first.step()
    weights, moments, states = (copied(part) for part in first.state()[1:])
    second = loop_on(select("cupy"), form, progress=first.progress, moments=moments, states=states)
    second.task.weights.flat[...] = device.asarray(weights)
    assert lines(second.records()) == [line for line in expected if line["step"] > 5]
    assert_same(second, whole)


def copied(part):
    return part.copy() if isinstance(part, np.ndarray) else {n: a.copy() for n, a in part.items()}


@pytest.mark.parametrize("dropout", [0.0, 0.25])
@pytest.mark.parametrize("form", ["lstm", "gru-after", "rnn-relu"])
def test_a_step_moves_ids_and_targets_and_nothing_back(form, dropout, device):
    """Dropout's masks are drawn on the device."""
    shape = {"hidden": 6, "layers": 2, "dropout": dropout} | reference.FORMS[form]
    model = LanguageModel.fresh(ModelConfig(**shape), V, seed=0, backend=select("cupy"))
    config = TrainConfig(steps=9, batch=4, seq_len=5, restart=0.0)
    loop = Loop(LanguageTask(model, CORPUS.train, CORPUS.val, config), config)
    for _ in range(3):
        device.clear()
        loop.step()
        assert device.uploads == [((5, 4), "uint8")] * 2
        assert device.downloads == []


def test_streams_that_restart_cost_a_vector(device):
    loop = loop_on(select("cupy"), restart=0.9)
    device.clear()
    loop.step()
    assert device.uploads == [((5, 4), "uint8")] * 2
    loop.step()
    assert device.uploads[2:] == [((4,), "float32"), *[((5, 4), "uint8")] * 2]
    assert device.downloads == []


def test_a_record_costs_four_numbers_at_once_and_an_evaluation_one(device):
    loop = loop_on(select("cupy"), steps=9, log_every=4, eval_every=4)
    records = loop.records()
    for expected in ("step", "eval"):
        device.clear()
        record = next(records)
        assert record.event == expected
        sizes = [shape for shape, _ in device.downloads]
        assert sizes == [(4,) if expected == "step" else ()]


def test_a_checkpoint_brings_all_back_once(device):
    loop = loop_on(select("cupy"))
    loop.step()
    device.clear()
    weights, moments, states = loop.state()[1:]
    assert device.uploads == []
    P = loop.task.model.weights.flat.size
    assert sorted(shape for shape, _ in device.downloads) == sorted(
        [(P,), (), *[(P,)] * len(moments), *[(6, 4)] * len(states)]
    )
    assert weights.any()
    assert set(states) == {"h_l0", "c_l0", "h_l1", "c_l1"}
    assert all(array.any() for array in (*moments.values(), *states.values()))


@pytest.mark.slow
@embedded
def test_evaluation_gives_the_same_numbers(form, embed, device):
    config = ModelConfig(hidden=6, layers=2, embed=embed, **reference.FORMS[form])
    text = [CORPUS.train[:40], CORPUS.train[40:133]]
    some = [
        (str(i), CORPUS.train[start : start + 9 * i]) for i, start in enumerate((4, 50, 70, 90))
    ]
    found = []
    for backend in (numpy_backend(), select("cupy")):
        model = LanguageModel.fresh(config, V, seed=5, backend=backend)
        nats = np.concatenate([nats for _, nats in surprisals(model, text, steps=32)])
        found.append(
            (
                Validation(model, CORPUS.train[:120], seq_len=7).loss(),
                score(model, text, steps=50),
                [line.score for line in score_lines(model, some, batch=3, steps=8)],
                nats[1:].tolist(),
            )
        )
    assert found[0] == found[1]
    assert len(found[0][3]) == 132


@forms
@pytest.mark.parametrize("filters", [{"top_k": 12, "top_p": 0.95}, {}])
@pytest.mark.parametrize("embed", [0, 3])
def test_sampling_gives_the_same_text(form, embed, filters, device):
    config = ModelConfig(hidden=6, layers=2, embed=embed, **reference.FORMS[form])
    options = SampleOptions(temperature=0.9, min_p=0.01, **filters)
    found = []
    for backend in (numpy_backend(), select("cupy")):
        model = LanguageModel.fresh(config, V, seed=5, backend=backend)
        asked = (model, CORPUS.vocabulary, options)
        text = "".join(stream(*asked, length=30, prime="the quick", seed=2))
        batch = samples(*asked, count=3, length=10, seed=2, log_probs=True)
        texts, nats = zip(*((each.text, each.log_probs) for each in batch), strict=True)
        batch = texts, np.round(nats, 12).tolist()
        found.append((text, batch, next_symbols(*asked, count=4, prime="the")))
    assert found[0] == found[1]
    assert len(found[0][0]) == 30


def test_a_filtered_symbol_costs_one_transfer_each_way(device):
    model = LanguageModel.fresh(ModelConfig(hidden=6, layers=2), V, seed=5, backend=select("cupy"))
    symbols = stream(model, CORPUS.vocabulary, SampleOptions(top_k=3), length=9, seed=2)
    next(symbols)
    device.clear()
    for _ in range(5):
        next(symbols)
    assert len(device.uploads) == 5
    assert [shape[0] * shape[-1] for shape, _ in device.downloads] == [V] * 5


def test_symbols_come_from_the_device_in_growing_numbers(device):
    model = LanguageModel.fresh(ModelConfig(hidden=6, layers=2), V, seed=5, backend=select("cupy"))
    symbols = stream(model, CORPUS.vocabulary, length=200, seed=2)
    next(symbols)
    device.clear()
    for _ in range(2 + 4 + 8 + 16 + 32 + 32):
        next(symbols)
    assert [shape[0] for shape, _ in device.uploads] == [2, 4, 8, 16, 32, 32]
    assert [shape[0] for shape, _ in device.downloads] == [2, 4, 8, 16, 32, 32]


def test_an_output_that_is_no_number_ends_sampling(device):
    model = LanguageModel.fresh(ModelConfig(hidden=6), V, seed=5, backend=select("cupy"))
    model.weights["decoder.bias"][2] = float("nan")
    with pytest.raises(CharRNNError, match="not a finite number"):
        next(stream(model, CORPUS.vocabulary, length=9))


@pytest.mark.slow
def test_large_alphabets_and_pieces_of_logits_work_there_too(device, monkeypatch):
    from charrnn.model import head
    from charrnn.sampling.steps import plain

    monkeypatch.setattr(head, "SLAB_ELEMENTS", 2 * V * 4)
    monkeypatch.setattr(plain, "TABLE_ELEMENTS", 1)
    for embed in (0, 3):
        plain, there = (
            loop_on(b, embed=embed, batch=2, seq_len=3) for b in (numpy_backend(), select("cupy"))
        )
        assert V > 6  # more symbols than the window has places
        assert lines(there.records()) == lines(plain.records())
        texts = ["".join(stream(l.task.model, CORPUS.vocabulary, length=9)) for l in (plain, there)]
        assert texts[0] == texts[1]


HOST = np.ones((2, 2), np.float32)
MIXTURES = {
    "device + host": lambda d: d + HOST,
    "host + device": lambda d: HOST + d,
    "host @ device": lambda d: HOST @ d,
    "device += host": lambda d: d.__iadd__(HOST),
    "host += device": lambda d: HOST.copy().__iadd__(d),
    "device < host": lambda d: d < HOST,
    "host == device": lambda d: d == HOST,
    "numpy.add": lambda d: np.add(d, d),
    "numpy.sum": lambda d: np.sum(d),
    "numpy.asarray": lambda d: np.asarray(d),
    "numpy.array of a list": lambda d: np.array([d, d]),
    "numpy.concatenate": lambda d: np.concatenate((d, d)),
    "assignment into the host": lambda d: HOST.copy().__setitem__(0, d[0]),
    "assignment from the host": lambda d: d.__setitem__(0, HOST[0]),
    "an index of the host": lambda d: d[np.array([0, 1])],
    "iteration": lambda d: list(d),
    "unpacking": lambda d: (lambda a, b: a)(*d),
    "float": lambda d: float(d.sum()),
    "int": lambda d: int(d.sum()),
    "bool": lambda d: bool(d.sum()),
    "if": lambda d: 1 if d.sum() > 0 else 0,
    "range": lambda d: range(d.sum()),
    "a host argument": lambda d: d._owner.matmul(d, HOST),
    "a host argument in a tuple": lambda d: d._owner.concatenate((d, HOST)),
    "a host output": lambda d: d._owner.add(d, d, out=HOST.copy()),
    "a keyword that CuPy lacks": lambda d: d._owner.take(d, d, axis=0, mode="clip"),
}


@pytest.mark.parametrize("mix", MIXTURES.values(), ids=MIXTURES.keys())
def test_the_double_refuses_to_mix(mix, device):
    on_device = device.asarray(HOST)
    with pytest.raises(TypeError):
        mix(on_device)


def test_the_double_computes_and_counts(device):
    a = device.asarray(HOST)
    b = device.arange(4, dtype=device.float32).reshape(2, 2)
    total = (a @ b + 2 * a - np.float32(1)).sum(axis=0)
    assert device.uploads == [((2, 2), "float32")]
    assert device.downloads == []
    assert total.get().tolist() == [6.0, 10.0]
    assert device.asnumpy(b[:, 1]).tolist() == [1.0, 3.0]
    assert device.downloads == [((2,), "float32")] * 2
    HOST_copy = HOST.copy()
    c = device.asarray(HOST_copy)
    HOST_copy[...] = 9
    assert c.get().tolist() == [[1, 1], [1, 1]]
    with pytest.raises(AttributeError, match=r"no cupy\.einsum_path"):
        device.einsum_path(a)


def test_the_double_is_a_module_of_its_own(device):
    assert isinstance(device, types.ModuleType)
    assert sys.modules["cupy"] is device


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "apart"),
    [pytest.param("float32", 1e-4, marks=pytest.mark.slow), ("float64", 1e-10)],
)
@pytest.mark.parametrize(
    "optimizer",
    [n if n == "adam" else pytest.param(n, marks=pytest.mark.slow) for n in OPTIMIZERS.builtin()],
)
@pytest.mark.parametrize("form", ["lstm", pytest.param("gru-before", marks=pytest.mark.slow)])
def test_training_by_kernels_agrees_with_numpy(form, optimizer, dtype, apart, compiling):
    """Losses and weights of a training, with every fused operation launched."""
    options = {"dtype": dtype, "optimizer": optimizer, "weight_decay": 0.01, "clip_norm": 0.3}
    plain, there = (loop_on(b, form, **options) for b in (numpy_backend(), select("cupy")))
    for mine, theirs in zip(lines(there.records()), lines(plain.records()), strict=True):
        numbers = {key: value for key, value in theirs.items() if isinstance(value, float)}
        assert {key: mine[key] for key in numbers} == pytest.approx(numbers, rel=apart)
    mine, theirs = (loop.state().weights for loop in (there, plain))
    assert np.linalg.norm(mine - theirs) <= apart * np.linalg.norm(theirs)
    rule = {"adamw": "adam", "cautious": "move"}.get(optimizer, optimizer)
    assert {"cross_entropy", "total", "squares", "root", "clip", "dropout", rule} <= set(
        compiling.launches
    )


def test_a_step_launches_each_kernel_as_often_as_needed(compiling):
    loop = loop_on(select("cupy"), restart=0.0)
    loop.step()
    compiling.clear()
    loop.step()
    once = ["adam", "bounds", "clip", "column_sums", "columns", "cross_entropy", "ordered", "root"]
    expected = dict.fromkeys((*once, "squares", "total"), 1) | {"dropout": 4}
    expected |= {"lstm_forward": 10, "lstm_backward": 10}  # of 5 steps in 2 layers
    assert Counter(compiling.launches) == expected
    assert compiling.uploads == [((5, 4), "uint8")] * 2
    assert compiling.downloads == []


def test_an_evaluation_moves_each_window_there_and_one_number_back(device):
    model = LanguageModel.fresh(ModelConfig(hidden=6), V, seed=0, backend=select("cupy"))
    validation = Validation(model, CORPUS.train, streams=3, seq_len=7)
    device.clear()
    validation.loss()
    expected = []
    for batch in validation._streams:
        expected += [(part.shape, "uint8") for part in (batch.inputs, batch.targets)]
        expected += [] if batch.mask is None else [(batch.mask.shape, "bool")]
    assert len(expected) > 4
    assert device.uploads == expected
    assert device.downloads == [((), "float64")]


def test_a_score_moves_two_vectors_there_and_one_number_back_a_window(device):
    model = LanguageModel.fresh(ModelConfig(hidden=6), V, seed=0, backend=select("cupy"))
    device.clear()
    score(model, [CORPUS.train[:101]], steps=25)
    ids = [upload for upload in device.uploads if upload[0]]  # and constants, once
    assert ids == [((25, 1), "uint8")] * 8
    assert device.downloads == [((), "float64")] * 4
