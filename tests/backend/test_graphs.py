"""Training passes recorded as CUDA graphs: the same numbers, and every input is seen.

On the double, which runs nothing while it records, runs it when a graph is launched, and knows
which memory is there and which stream waits for which (see :mod:`fake_streams`).
"""

import gc
import re

import numpy as np
import pytest
from helpers import reference

from charrnn.backend import numpy_backend, select
from charrnn.backend.gpu import wavefront
from charrnn.backend.gpu.graphs import Graphs
from charrnn.backend.gpu.wavefront import Lanes
from charrnn.config import ModelConfig, TrainConfig
from charrnn.evaluate import Validation
from charrnn.model import language
from charrnn.model.language import LanguageModel
from charrnn.model.resets import Resets
from charrnn.tasks.language import LanguageTask
from charrnn.text import corpus_from_text
from charrnn.train.loop import Loop
from charrnn.train.records import Step

CORPUS = corpus_from_text("the quick brown fox jumps over the lazy dog; " * 5)
V = len(CORPUS.vocabulary)
forms = pytest.mark.parametrize("form", reference.FORMS)


@pytest.fixture
def double(compiling):
    return compiling


def engine(recording=True):
    backend = select("cupy")
    assert backend.graphs.note == ""
    if not recording:
        backend.graphs.note = "for comparison"
    return backend


def loop_on(backend, form="lstm", embed=0, dropout=0.25, layers=2, **options):
    shape = {"hidden": 4, "layers": layers, "embed": embed, "dropout": dropout}
    shape["recurrent_dropout"] = 0.2 if dropout else 0.0
    config = ModelConfig(**shape | reference.FORMS[form])
    model = LanguageModel.fresh(config, V, seed=3, backend=backend)
    plan = {"steps": 20, "batch": 3, "seq_len": 4, "log_every": 1, "eval_every": 0}
    plan |= {"save_every": 0, "restart": 0.2, "lr": 1e-2}
    return Loop(
        LanguageTask(model, CORPUS.train, CORPUS.val, TrainConfig(**plan | options)),
        TrainConfig(**plan | options),
    )


def losses(loop):
    return [record.loss for record in loop.records() if isinstance(record, Step)]


@pytest.mark.slow
@forms
def test_losses_are_those_without_graphs_bit_for_bit(form, double):
    """With states that are carried, restarted and, at an epoch's end, reset."""
    embed, dropout = (3, 0.25) if form in ("lstm", "gru-before", "rnn-relu") else (0, 0.0)
    plain = losses(loop_on(engine(False), form, embed, dropout))
    assert double.replays == 0
    backend = engine()
    loop = loop_on(backend, form, embed, dropout)
    assert losses(loop) == plain
    assert plain == pytest.approx(losses(loop_on(numpy_backend(), form, embed, dropout)), rel=1e-4)
    assert len(plain) == 20 and len(set(plain)) == 20
    assert loop.progress.epoch > 0  # the states were reset in between
    assert backend.graphs.note == ""
    assert double.replays == 19


@pytest.mark.parametrize(
    ("form", "chunk"),
    [
        ("lstm", 1),
        *(
            pytest.param(form, 2, marks=() if form == "gru-before" else pytest.mark.slow)
            for form in reference.FORMS
        ),
    ],
)
def test_layers_at_work_beside_each_other_give_the_same_bits(form, chunk, double, monkeypatch):
    """And the double finds no access that is not in order."""
    monkeypatch.setattr(wavefront, "CHUNK", chunk)
    embed, dropout = (3, 0.0) if chunk == 1 else (0, 0.25)
    found = []
    for recording in (False, True):
        backend = engine(recording)
        loop = loop_on(backend, form, embed, dropout, layers=3, steps=3)
        found.append((losses(loop), backend.get(loop.task.model.weights.flat).tolist()))
    assert backend.graphs.note == ""
    assert found[0] == found[1]
    assert double.replays == 2
    assert len(backend.order.streams) == 3


@pytest.mark.parametrize("skipped", ["up", "down", "fork", "join"])
def test_an_order_that_is_not_kept_is_found(skipped, double, monkeypatch):
    monkeypatch.setattr(wavefront, "CHUNK", 2)
    enter = Lanes.enter

    def without(self, lane, part, after):
        up = after < lane
        enter(self, lane, part, -1 if up == (skipped == "up") else after)

    if skipped in ("up", "down"):
        monkeypatch.setattr(Lanes, "enter", without)
    else:
        monkeypatch.setattr(Lanes, skipped, lambda self, origin: None)
    backend = engine()
    losses(loop_on(backend, dropout=0.0, steps=2))
    expected = {"fork": "does not take part", "join": "Unjoined|does not wait for"}
    assert re.search(expected.get(skipped, "does not wait for"), backend.graphs.note)


def test_streams_are_for_several_layers_and_recordings_alone(double):
    backend = engine()
    order, recorder = backend.order, backend.graphs
    order.prepare(1)
    assert order.streams == []
    order.prepare(3)
    for recording, layers, own in ((True, 3, True), (False, 3, False), (True, 1, False)):
        recorder.recording = recording
        with recorder.stream:
            used = [
                double.current is not recorder.stream
                for _ in order.forward(layers, 2 * wavefront.CHUNK + 1)
            ]
            assert used == [own] * (3 * 3 if layers == 3 else 1)
            assert double.current is recorder.stream


def test_a_layer_that_fails_leaves_no_stream_behind(double, monkeypatch):
    """Whenever the loop over the layer order ends: its generator may live longer."""
    monkeypatch.setattr(wavefront, "CHUNK", 2)
    backend, kept = engine(), []
    order, before = backend.order, double.current
    order.prepare(2)

    def compute(x):
        items = order.forward(2, 6)
        kept.append(items)
        for number, _ in enumerate(items):
            if number == 3 and backend.graphs.recording:
                raise ArithmeticError("it fails")
        return x + 1

    recorded = backend.graphs.record(compute, lambda: None)
    for _ in range(3):
        assert recorded(double.ones(2)).get().tolist() == [2, 2]
        assert double.current is before
    assert backend.graphs.note == "it fails"
    kept.clear()
    gc.collect()
    assert double.current is before


def test_a_step_with_a_graph_moves_ids_and_targets_alone(double):
    loop = loop_on(engine(), restart=0.0)
    for _ in range(4):
        double.clear()
        loop.step()
        assert double.uploads == [((4, 3), "uint8")] * 2
        assert double.downloads == []


@pytest.mark.slow
def test_losses_that_were_returned_stay_what_they_are(double, rng):
    backend = engine()
    model = LanguageModel.fresh(ModelConfig(hidden=5), V, seed=1, backend=backend)
    window, grads = (
        model.window(4, 3),
        model.weights.like(backend.xp.zeros_like(model.weights.flat)),
    )
    ids = [backend.put(rng.integers(0, V, (4, 3), dtype=np.uint8)) for _ in range(5)]
    found = [model.loss_and_gradient(window, some, some, grads) for some in ids]
    assert double.replays == 4
    window.reset()
    numbers = [float(backend.get(loss)) for loss in found]
    assert len(set(numbers)) == 5


@pytest.mark.slow
def test_weights_that_go_back_are_seen(double):
    """As a rollback writes them, in place."""
    found = []
    for recording in (False, True):
        loop = loop_on(engine(recording), restart=0.0)
        weights = loop.task.model.weights.flat.copy()
        for _ in range(4):
            loop.step()
        loop.task.model.weights.flat[...] = weights
        loop.step()
        found.append(loop.backend.get(loop._loss))
    np.testing.assert_array_equal(*found)


@pytest.mark.slow
def test_masks_change_from_step_to_step(double):
    loop = loop_on(engine(), restart=0.0)
    window, seen = loop.task.window._windows[0], []
    for _ in range(5):
        loop.step()
        seen.append([double.asnumpy(mask) for mask in window.masks])
    for i, masks in enumerate(seen):
        assert not np.array_equal(*masks)
        assert not any(np.array_equal(masks[0], other[0]) for other in seen[:i])


@pytest.mark.slow
def test_a_shorter_window_has_a_graph_of_its_own(double, rng):
    """Its results in the arrays that both use do not disturb the other."""
    found = []
    for recording in (False, True):
        backend = engine(recording)
        config = ModelConfig(hidden=5, layers=2, dropout=0.3)
        model = LanguageModel.fresh(config, V, seed=1, backend=backend)
        grads = model.weights.like(backend.xp.zeros_like(model.weights.flat))
        window, masks = model.window(6, 3), model.stack.masks(6, 3)
        text = np.random.default_rng(4)
        results = []
        for step, T in enumerate((2, 2, 6, 2, 6, 6, 4, 2, 6)):
            ids, targets = (backend.put(text.integers(0, V, (T, 3))) for _ in range(2))
            loss = model.loss_and_gradient(window, ids, targets, grads, masks.draw(1, step, T))
            window.carry()
            results += [backend.get(loss), backend.get(grads.flat)]
        found.append(results)
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert double.replays == 3 + 3


def test_there_are_not_more_graphs_than_allowed(double, monkeypatch, rng):
    monkeypatch.setattr(language, "RECORDED", 2)
    backend = engine()
    model = LanguageModel.fresh(ModelConfig(hidden=5), V, seed=1, backend=backend)
    window = model.window(6, 2, backward=False)
    for T in (1, 2, 3, 1, 2, 3, 3, 3):
        ids = backend.put(rng.integers(0, V, (T, 2)))
        model.surprisal(window, ids, ids)
    assert double.replays == 2


@pytest.mark.slow
def test_an_evaluation_is_recorded_too(double):
    found = []
    for recording in (False, True):
        backend = engine(recording)
        model = LanguageModel.fresh(ModelConfig(hidden=5, layers=2), V, seed=1, backend=backend)
        validation = Validation(model, CORPUS.train, seq_len=7)
        found.append([validation.loss(), validation.loss()])
        model.weights.flat[...] *= 1.5
        found[-1].append(validation.loss())
    assert found[0] == found[1]
    assert found[0][0] == found[0][1] != found[0][2]
    assert double.replays > 3


def fails_when_recorded(xp):
    def compute(x):
        return x + xp.asarray(np.ones(3))

    return compute


def test_resets_inside_a_window_are_not_recorded(double, rng):
    """They are others in every window."""
    found = []
    ids = rng.integers(0, V, (4, 6, 3)).astype(np.uint8)
    starts = rng.random((4, 6, 3)) < 0.4
    for backend in (engine(), numpy_backend()):
        model = LanguageModel.fresh(ModelConfig(layers=2, hidden=4), V, 3, backend)
        window = model.window(6, 3, backward=False)
        nats = []
        for part, begins in zip(ids, starts, strict=True):
            window.resets = Resets.of(begins, backend, np.float32)
            put = backend.put
            nats.append(backend.get(model.surprisal(window, put(part), put(part[::-1].copy()))))
            window.carry()
        found.append(np.array(nats))
    np.testing.assert_allclose(*found, rtol=1e-5)
    assert double.replays == 0


def test_what_cannot_be_recorded_is_computed_as_usual(double):
    graphs = engine().graphs
    xp = graphs.xp
    recorded = graphs.record(fails_when_recorded(xp), lambda: None)
    for n in range(4):
        assert recorded(xp.full(3, float(n))).get().tolist() == [n + 1.0] * 3
    assert "host array goes to the device" in graphs.note
    assert double.replays == 0
    assert double.capture is None
    again = graphs.record(lambda x: 2 * x, lambda: None)
    for _ in range(3):
        assert again(xp.ones(2)).get().tolist() == [2.0, 2.0]
    assert double.replays == 0


def test_without_own_products_nothing_is_recorded(double, monkeypatch):
    monkeypatch.setattr("charrnn.backend.gpu.cublas._NAMES", {})
    monkeypatch.setattr("charrnn.backend.gpu.cublas.load", lambda cupy: 1 / 0)
    backend = select("cupy")
    assert backend.xp is double
    assert "division" in backend.graphs.note
    assert len(losses(loop_on(backend, steps=3))) == 3
    assert double.replays == 0


def test_an_interrupt_ends_the_recording(double):
    graphs = engine().graphs
    calls = []

    def compute(x):
        calls.append(x)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return x * 3

    recorded = graphs.record(compute, lambda: None)
    recorded(graphs.xp.ones(2))
    with pytest.raises(KeyboardInterrupt):
        recorded(graphs.xp.ones(2))
    assert double.capture is None
    assert recorded(graphs.xp.ones(2)).get().tolist() == [3.0, 3.0]


@pytest.mark.slow
def test_graphs_keep_what_they_use(double, rng):
    """Rooms that grow later are not taken away from a graph."""
    backend = engine()
    model = LanguageModel.fresh(ModelConfig(hidden=5, layers=2), V, seed=1, backend=backend)
    grads = model.weights.like(backend.xp.zeros_like(model.weights.flat))
    window = model.window(6, 3)
    for T in (2, 2, 6, 2):
        ids = backend.put(rng.integers(0, V, (T, 3)))
        model.loss_and_gradient(window, ids, ids, grads)
        gc.collect()
    assert backend.graphs.note == ""
    assert isinstance(backend.graphs, Graphs)
    assert double.replays == 2
