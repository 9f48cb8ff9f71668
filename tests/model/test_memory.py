"""The estimate of the memory of a training run, made before it is allocated, is right."""

import tracemalloc

import numpy as np
import pytest
from helpers import reference
from helpers.running import SMALL, begin

from charrnn.backend import memory, numpy_backend, select
from charrnn.cells import lstm
from charrnn.config import ModelConfig, TrainConfig
from charrnn.errors import CharRNNError, UsageError
from charrnn.model.language import LanguageModel
from charrnn.model.memory import BASE, Sizes, estimate, parameters, require
from charrnn.storage import runs
from charrnn.tasks.language import LanguageTask
from charrnn.text import corpus_from_text
from charrnn.train import optimizers, recipes
from charrnn.train.loop import Loop

CASES = {
    "lstm": ({"hidden": 96, "layers": 2}, {}, 40),
    "gru": ({"cell": "gru", "hidden": 64, "layers": 3, "dropout": 0.2}, {"batch": 64}, 65),
    "dropped": ({"hidden": 256, "recurrent_dropout": 0.2}, {"batch": 4, "seq_len": 8}, 65),
    "before": ({"cell": "gru", "gru_reset": "before", "hidden": 80}, {"optimizer": "sgd"}, 30),
    "rnn": ({"cell": "rnn", "hidden": 128, "embed": 64}, {"batch": 96, "seq_len": 48}, 65),
    "double": ({"hidden": 64, "dtype": "float64"}, {"optimizer": "rmsprop"}, 50),
    "long": ({"hidden": 16}, {"batch": 2, "seq_len": 3000}, 20),
    "alphabet": ({"hidden": 64}, {"batch": 16, "seq_len": 24}, 4000),
    "embedded": ({"hidden": 48, "embed": 24}, {}, 4000),
    "counted": ({"hidden": 64, "grams": 200_000}, {}, 90),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_memory_is_what_is_then_taken(case):
    shape, plan, V = CASES[case]
    ids = np.concatenate([np.arange(V), np.random.default_rng(3).integers(0, V, 30_000)])
    corpus = corpus_from_text("".join(chr(0x4E00 + i) for i in ids), val_frac=0.1)
    config, plan = ModelConfig(**shape), TrainConfig(**plan, eval_chars=2000)
    tracemalloc.start()
    try:
        model = LanguageModel.fresh(config, V, 0)
        recipes.of("lm").counted(model, corpus)
        tracemalloc.reset_peak()
        loop = Loop(LanguageTask(model, corpus.train, corpus.val, plan), plan)
        loop.step()
        loop.step()
        loop.task.validation.loss()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    needed = estimate(
        config,
        V,
        plan.batch,
        plan.seq_len,
        moments=optimizers.moments(plan),
        shards=loop.task.window.count,
        scored=loop.task.validation.chars,
    )
    assert needed.parameters == parameters(config, V) == model.weights.trained.flat.size
    assert 0.85 < (needed.total - BASE) / peak < 1.2


@pytest.mark.slow
@pytest.mark.parametrize("symbols", [100_000, 400_000])
def test_counting_ngrams_before_training_is_part_of_it(symbols):
    rng, config = np.random.default_rng(3), ModelConfig(hidden=8, grams=400_000)
    words = ["".join(chr(97 + i) for i in rng.integers(0, 20, size)) for size in [3, 5, 7] * 300]
    text = " ".join(words[i] for i in (900 * rng.random(symbols // 5) ** 2).astype(int))
    corpus, plan = corpus_from_text(text, val_frac=0.1), TrainConfig(eval_chars=2000)
    V = len(corpus.vocabulary)
    tracemalloc.start()
    try:
        recipes.of("lm").counted(LanguageModel.fresh(config, V, 0), corpus)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    needed = recipes.of("lm").estimate(config, corpus, plan, select("numpy"))
    assert 0.8 < (needed.total - BASE) / peak < 1.5


def test_a_large_alphabet_needs_no_room_for_all_logits_of_a_window_at_once():
    """As without n-grams, those of a part of the steps exist at once."""
    options = {"hidden": 64, "embed": 64}
    plain, beside = (
        estimate(ModelConfig(**options, grams=grams), 250_000, 32, 32) for grams in (0, 1000)
    )
    assert beside.total < 1.25 * plain.total


def owners(value):
    """Yield the arrays that own memory among those that an object holds."""
    if isinstance(value, np.ndarray):
        while value.base is not None:
            value = value.base
        yield value
    elif isinstance(value, dict):
        yield from (array for item in value.values() for array in owners(item))
    elif isinstance(value, list | tuple):
        yield from (array for item in value for array in owners(item))
    elif type(value).__module__.startswith("charrnn."):
        yield from owners(vars(value))


def held(*values):
    """Return the bytes of all arrays that objects hold."""
    return sum({id(array): array.nbytes for array in owners(values)}.values())


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("form", reference.FORMS)
@pytest.mark.parametrize(
    "options", [{}, {"embed": 5, "dtype": "float64", "dropout": 0.5}, {"grams": 9}]
)
def test_sizes_are_those_of_the_arrays(options, form, layers):
    V, T, N = 11, 7, 4
    config = ModelConfig(hidden=6, layers=layers, **reference.FORMS[form] | options)
    model, sizes = LanguageModel.fresh(config, V, 0), Sizes(config, V)
    assert sizes.parameters() == model.weights.flat.size
    for backward in (True, False):
        window = model.window(T, N, backward)
        assert sizes.window(T, N, backward=backward) == held(window)
    assert sizes.masks(T, N) == held(model.stack.masks(T, N))
    for backward in (True, False):
        window = model.window(T, N)
        model.forward(window, np.zeros((T, N), np.int64), backward=backward)
        copies = [window.staged, *(ws.staging for ws in window.layers)]
        own = held(copies, model.weights.flat) - model.weights.flat.nbytes
        assert Sizes(config, V).staged(backward=backward) == own


class Strange(lstm.LSTM):
    """A cell that allocates with functions that the meter lacks."""

    saved = ("tanh_c", "more")

    def make_scratch(self, xp, dtype, N, H):
        xp.random.default_rng(0)
        return super().make_scratch(xp, dtype, N, H)


@pytest.mark.parametrize("known", [True, False])
def test_the_arrays_of_any_cell_are_counted(known, monkeypatch):
    config, V, T, N = ModelConfig(hidden=6, layers=2), 11, 7, 4
    before = Sizes(config, V).window(T, N, backward=True)
    if known:
        monkeypatch.setattr(Strange, "make_scratch", lstm.LSTM.make_scratch)
    monkeypatch.setattr("charrnn.cells.create", lambda config: Strange())
    sizes = Sizes(config, V)
    model = LanguageModel.fresh(config, V, 0)
    assert sizes.window(T, N, backward=True) == (held(model.window(T, N)) if known else 0)
    assert (sizes.window(T, N, backward=True) > before) == known
    assert estimate(config, V, N, T).total > BASE


def test_an_estimate_is_quick_however_absurd_the_sizes():
    huge = 10**12
    config = ModelConfig(hidden=huge, layers=huge, embed=huge)
    needed = estimate(config, 10**6, huge, huge, shards=64)
    assert needed.total > 10**45
    with pytest.raises(CharRNNError, match=r"this machine has [\d.]+ [MGT]B; lower batch"):
        require(needed, numpy_backend())


def test_what_is_lowered_is_named(monkeypatch):
    monkeypatch.setattr(memory, "limit", lambda backend: 10**8)
    config = ModelConfig(hidden=64)
    require(estimate(config, 60, 32, 32), numpy_backend())
    with pytest.raises(CharRNNError) as caught:
        require(estimate(config, 60, 4000, 4000), numpy_backend())
    assert "most of it for windows; this machine has 100 MB; lower batch" in str(caught.value)
    monkeypatch.setattr(memory, "limit", lambda backend: None)
    require(estimate(config, 60, 4000, 4000), numpy_backend())


@pytest.mark.parametrize(
    "option", ["hidden", "layers", "embed", pytest.param("batch", marks=pytest.mark.slow)]
)
def test_absurd_sizes_are_refused_before_a_folder_is_made(option, text, monkeypatch):
    monkeypatch.setattr(memory, "limit", lambda backend: 16 * 10**9)
    monkeypatch.setattr(
        LanguageModel, "fresh", lambda *a: pytest.fail("something was allocated already")
    )
    if option == "batch":  # lowered to what the text can fill, which is harmless
        monkeypatch.undo()
        session = begin(text, **SMALL | {"batch": 10**9, "seq_len": 10**9})
        assert session.loop.config.batch == 1
        return
    with pytest.raises(CharRNNError, match="this needs about") as caught:
        begin(text, name="run", **SMALL | {option: 10**9})
    assert "\n" not in str(caught.value)
    assert not runs.HOME.exists()


@pytest.mark.parametrize("option", ["steps", "seed", "hidden", "min_count", "warmup"])
def test_a_number_that_no_checkpoint_could_hold_is_refused(option, text):
    with pytest.raises(UsageError, match=f"{option} must be below 2"):
        begin(text, **SMALL | {option: 1 << 63})


def test_options_beyond_all_counting_are_no_traceback_and_spoil_no_checkpoint(text):
    session = begin(text, name="run", **SMALL | {"steps": None}, epochs=1e308, stop=3)
    assert session.loop.total_steps == 1 << 62
    list(session.records())
    assert begin(resume="run").loop.progress.step == 3
