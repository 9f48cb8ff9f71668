"""``--watch``: what is recorded, that it changes nothing, and what is made of it."""

import numpy as np
import pytest

from charrnn.backend import numpy_backend, select
from charrnn.config import ModelConfig, TrainConfig
from charrnn.diagnosis import history
from charrnn.errors import CharRNNError
from charrnn.model.language import LanguageModel
from charrnn.model.transducer.model import Transducer
from charrnn.tasks.language import LanguageTask
from charrnn.train.loop import Loop
from charrnn.train.records import Step, Watch
from charrnn.train.watch import Watcher, layer_of

IDS = np.random.default_rng(6).integers(0, 5, 400).astype(np.uint8)


def loop_on(backend=None, **options):
    config = ModelConfig(hidden=6, layers=2, embed=3, dtype="float64", dropout=0.2)
    model = LanguageModel.fresh(config, 5, 2, backend)
    plan = {"steps": 12, "batch": 4, "seq_len": 7, "log_every": 1, "save_every": 0, "eval_every": 0}
    return Loop(
        LanguageTask(model, IDS, IDS[:0], TrainConfig(**plan | options)),
        TrainConfig(**plan | options),
    )


def split(records):
    records = list(records)
    return ([r for r in records if isinstance(r, kind)] for kind in (Step, Watch))


def test_norms_by_layer_add_up_to_the_recorded_norm():
    steps, watched = split(loop_on(watch=3).records())
    assert [each.step for each in watched] == [3, 6, 9, 12]
    by_step = {each.step: each.grad_norm for each in steps}
    for each in watched:
        assert list(each.grad_norms) == ["embedding", "l0", "l1", "decoder"]
        total = np.sqrt(sum(norm**2 for norm in each.grad_norms.values()))
        assert total == pytest.approx(by_step[each.step], rel=1e-12)


def test_watching_changes_nothing_in_the_training():
    plain, watched = loop_on(), loop_on(watch=1)
    for loop in (plain, watched):
        list(loop.records())
    np.testing.assert_array_equal(plain.task.model.weights.flat, watched.task.model.weights.flat)
    assert not [r for r in loop_on().records() if isinstance(r, Watch)]


@pytest.mark.parametrize("clip", [0.0, 0.3, 1e-6])
def test_update_ratios_of_plain_descent_and_the_clip_rate(clip):
    loop = loop_on(
        watch=4, optimizer="sgd", momentum=0.0, clip_norm=clip, schedule="constant", lr=0.5
    )
    weights, seen = loop.task.model.weights, []
    steps = []
    for record in loop.records():
        if isinstance(record, Step):
            steps.append(record)
        if isinstance(record, Watch):
            seen.append((record, {n: np.array(a) for n, a in weights.items()}))
    for record, after in seen:
        norm = steps[record.step - 1].grad_norm
        scale = min(1.0, clip / norm) if clip else 1.0
        # ‖Δw‖ = lr · scale · ‖g‖; the weights before are within one update of those after.
        moved = 0.5 * scale * record.grad_norms["l1"]
        size = np.sqrt(sum((a**2).sum() for n, a in after.items() if layer_of(n) == "l1"))
        assert record.update_ratios["l1"] == pytest.approx(moved / size, rel=0.02)
        norms = [s.grad_norm for s in steps if record.step - 4 < s.step <= record.step]
        assert record.clip_rate == pytest.approx(
            np.mean([n > clip for n in norms]) if clip else 0.0
        )
    assert {record.clip_rate for record, _ in seen} <= {0.0, 0.25, 0.5, 0.75, 1.0}


def test_the_layers_of_all_parameters():
    names = list(loop_on().task.model.weights)
    assert {layer_of(name) for name in names} == {"embedding", "l0", "l1", "decoder"}
    assert layer_of("rnn.weight_ih_before_l3") == "l3"


def test_every_layer_of_a_transducer_is_by_itself():
    config = ModelConfig(task="transduce", hidden=4, layers=2, embed=3, bidirectional=True)
    names = list(Transducer.describe(config, 5, 6))
    found = [layer_of(name) for name in names]
    expected = ["embedding", "l0", "l1", "bridge", "target_embedding", "target_l0", "target_l1"]
    assert list(dict.fromkeys(found)) == [*expected, "attention", "decoder"]
    for layer in set(found):  # contiguous
        places = [place for place, each in enumerate(found) if each == layer]
        assert places == list(range(places[0], places[-1] + 1))


def test_what_is_not_finite_is_recorded_as_nothing():
    weights = loop_on().task.model.weights
    watcher = Watcher(numpy_backend(), weights, 1)
    grads = np.zeros_like(weights.flat)
    grads[-1] = np.nan
    watcher.begin(1, weights.flat, grads)
    watcher.end(weights.flat, 1.0)
    record = watcher.record(1).to_json()
    assert record["grad_norms"]["decoder"] is None
    assert record["grad_norms"]["l0"] == 0.0


def test_on_another_device_it_costs_one_transfer_a_record(device):
    there = loop_on(select("cupy"), watch=2)
    _, watched = split(there.records())
    _, expected = split(loop_on(watch=2).records())
    assert watched == expected
    for steps, transfers in ((1, 0), (2, 2)):
        watcher = Watcher(there.backend, there.task.model.weights, 2)
        device.clear()
        flat = there.task.model.weights.flat
        for step in range(1, steps + 1):
            watcher.begin(step, flat, flat)
            watcher.end(flat, device.asarray(0.5))
        device.clear()
        if transfers:
            assert watcher.record(2).clip_rate == 1.0
        assert len(device.downloads) == transfers


def line(step, norm, **layers):
    return [
        {"event": "step", "step": step, "grad_norm": norm, "loss": 1.0},
        {"event": "watch", "step": step, "grad_norms": layers, "update_ratios": {"global": 1e-3},
         "clip_rate": 0.5},
    ]  # fmt: skip


def test_jumps_name_step_and_layer():
    lines = [{"event": "start"}]
    for step in range(10, 310, 10):
        jump = step == 200
        lines += line(step, 4.4 if jump else 0.4, l0=9.0 if jump else 0.1, l1=0.3)
    found = history.read("somewhere", lines)
    assert [(each.step, each.layer) for each in found.jumps] == [(200, "global"), (200, "l0")]
    assert found.jumps[0].times == pytest.approx(11.0)
    assert found.jumps[1].times == pytest.approx(90.0)
    told = found.to_json()
    assert told["layers"]["l1"]["values"] == [0.3] * 30
    assert told["grad_norm"]["steps"] == list(range(10, 310, 10))
    assert told["clip_rate"]["values"][0] == 0.5


def test_slow_growth_is_no_jump_and_a_lost_number_is():
    growing = history.Series(list(range(60)), [1.1**i for i in range(60)])
    assert history.jumps("l0", growing) == []
    lost = history.Series([1, 2, 3, 4, 5], [1.0, 1.0, 1.0, None, 1.0])
    assert [each.step for each in history.jumps("l0", lost)] == [4]


def test_a_run_without_steps_says_so():
    with pytest.raises(CharRNNError, match="smaller log_every, or watch"):
        history.read("bare", [{"event": "start"}])


@pytest.mark.slow
def test_watching_every_tenth_step_costs_less_than_five_percent():
    """The added work alone, measured against a step of the same model."""
    from time import perf_counter

    config = ModelConfig(hidden=256, layers=2)
    model = LanguageModel.fresh(config, 65, 0)
    ids = np.random.default_rng(0).integers(0, 65, 50_000).astype(np.uint8)
    loop = Loop(
        LanguageTask(model, ids, ids[:0], TrainConfig(steps=40, eval_every=0, save_every=0)),
        TrainConfig(steps=40, eval_every=0, save_every=0),
    )
    times = []
    for _ in range(8):
        begun = perf_counter()
        loop.step()
        times.append(perf_counter() - begun)
    watcher = Watcher(model.backend, model.weights, 10)
    flat, grads, added = model.weights.flat, loop.update.grads.flat, []
    for _ in range(5):
        begun = perf_counter()
        for step in range(1, 11):
            watcher.begin(step, flat, grads)
            watcher.end(flat, np.float32(0.5))
        watcher.record(10)
        added.append(perf_counter() - begun)
    assert min(added) < 0.05 * 10 * min(times)
