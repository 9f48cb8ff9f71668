"""Training on examples: each as if it were alone, whatever else is in its stream."""

import numpy as np
import pytest
from helpers import reference, teams
from helpers.examples import units_of, words

from charrnn.backend import numpy_backend, select
from charrnn.backend.threads import Threads
from charrnn.config import ModelConfig, TrainConfig
from charrnn.evaluate import ExampleValidation, example_surprisals, score_lines
from charrnn.model.language import LanguageModel
from charrnn.model.resets import Resets
from charrnn.model.shards import Shards
from charrnn.tasks.language import LanguageTask
from charrnn.text.units.examples import ExampleStreams
from charrnn.text.vocabulary import Vocabulary
from charrnn.text.windows import Batch
from charrnn.train.loop import Loop
from charrnn.train.records import Eval, Step

VOCABULARY = Vocabulary("char", ("\n", "a", "b", "c", "d", "e"))


def model_of(form="lstm", **more):
    shape = {"hidden": 5, "layers": 2, "dtype": "float64"} | reference.FORMS[form] | more
    return LanguageModel.fresh(ModelConfig(**shape), len(VOCABULARY), 3, numpy_backend())


def gradients(model):
    return model.weights.like(np.full_like(model.weights.flat, np.nan))


def alone(model, ids, start):
    """Return the summed loss of one example, and its gradient, from a zero state."""
    grads = gradients(model)
    inputs = np.concatenate(([start], ids[:-1])).astype(ids.dtype)
    window = model.window(len(ids), 1)
    loss = model.loss_and_gradient(window, inputs[:, None], ids[:, None], grads)
    return float(loss) * len(ids), grads.flat * len(ids)


def epoch_of(streams, epoch=0):
    """Return the windows of an epoch as one."""
    per_epoch = streams.windows_per_epoch
    parts = [streams.batch_at(k) for k in range(epoch * per_epoch, (epoch + 1) * per_epoch)]
    steps, shape = streams.seq_len, (streams.seq_len, streams.batch)
    starts = [np.zeros(shape, bool) if p.starts is None else p.starts.copy() for p in parts]
    for part, inside in zip(parts, starts, strict=True):
        inside[0] = False if part.reset is None else part.reset
    inputs, targets, mask = (
        np.concatenate(each) for each in zip(*(p[:2] + p[4:5] for p in parts), strict=True)
    )
    assert len(inputs) == per_epoch * steps
    return Batch(inputs, targets, epoch, None, mask, np.concatenate(starts), int(mask.sum()))


class Divided(Threads):
    """Divides any number of streams among so many threads."""

    def __init__(self, count):
        super().__init__(numpy_backend())
        self.wanted = count

    def shares(self, streams, matrix):
        return self.wanted


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("embed", [0, 3])
@pytest.mark.parametrize("form", reference.FORMS)
def test_loss_and_gradient_are_those_of_each_example_alone(form, embed, threads, rng):
    """No state and no gradient crosses the start of an example, in float64."""
    model = model_of(form, embed=embed)
    units = units_of(words(rng, 14, 7), VOCABULARY)
    batch = epoch_of(ExampleStreams(units, 4, 8, seed=2))
    assert batch.symbols == len(units)
    window = Shards(model, len(batch.inputs), 4, Divided(threads))
    for _, states in window.states():
        states[0] = 7.0  # must not matter
    window.start(batch.starts[0], model.backend)
    resets = Resets.of(batch.starts, model.backend, np.float64)
    assert len(resets.steps) > 5
    found = gradients(model)
    loss = window.loss_and_gradient(
        batch.inputs, batch.targets, found, mask=batch.mask, symbols=batch.symbols, resets=resets
    )
    parts = [alone(model, ids, units.start) for ids in units]
    assert loss == pytest.approx(sum(part[0] for part in parts) / len(units), rel=1e-12)
    expected = sum(part[1] for part in parts) / len(units)
    np.testing.assert_allclose(found.flat, expected, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("form", ["lstm", "gru-after", "rnn-tanh"])
def test_the_states_of_an_example_are_carried_from_window_to_window(form, rng):
    model = model_of(form)
    units = units_of(words(rng, 9, 40), VOCABULARY)
    task = LanguageTask(model, units, units, TrainConfig(batch=1, seq_len=6))
    total = symbols = 0
    for step in range(task.windows_per_epoch):
        batch = task.batch(step)
        task.window.start(batch.reset, task.backend)
        total += task.loss_and_gradient(batch, step, gradients(model)) * batch.symbols
        symbols += batch.symbols
        task.window.carry()
    assert symbols == len(units)
    expected = [alone(model, ids, units.start)[0] for ids in units]
    assert total == pytest.approx(sum(expected), rel=1e-12)
    lines = [(VOCABULARY.decode(ids), ids) for ids in units]
    scores = [line.score.nats for line in score_lines(model, lines, start=units.start)]
    np.testing.assert_allclose(scores, expected, rtol=1e-12)
    each = list(example_surprisals(model, units, units.start))
    assert sum(len(ids) for ids, _ in each) == len(units)
    assert sum(nats.sum() for _, nats in each) == pytest.approx(sum(expected), rel=1e-12)
    loss = ExampleValidation(model, units, 10**6, steps=7).loss()
    assert loss == pytest.approx(sum(expected) / len(units), rel=1e-12)
    first = ExampleValidation(model, units, len(lines[0][0]))
    assert first.chars == len(lines[0][0])
    assert first.loss() == pytest.approx(expected[0] / first.chars, rel=1e-12)
    assert first.loss(lambda: True) is None


def loop_of(backend=None, team=None, progress=None, moments=None, states=None, seed=1, **options):
    rng = np.random.default_rng(5)
    train, val = (units_of(words(rng, n, 12), VOCABULARY) for n in (40, 10))
    plan = {"batch": 6, "seq_len": 7, "steps": 24, "log_every": 4, "eval_every": 8, "lr": 0.02}
    config = TrainConfig(**plan | {"seed": seed} | options)
    shape = {"hidden": 6, "layers": 2, "dropout": 0.25}
    shape |= {"dtype": "float32" if team is None else "float64"}
    network = LanguageModel.fresh(
        ModelConfig(**shape), len(VOCABULARY), 3, backend or numpy_backend()
    )
    task = LanguageTask(network, train, val, config, team)
    how = {"progress": progress, "moments": moments, "states": states, "team": team}
    return Loop(task, config, **how)


def numbers(records):
    return [
        (r.step, r.loss, r.grad_norm) if isinstance(r, Step) else (r.step, r.val_loss)
        for r in records
        if isinstance(r, Step | Eval)
    ]


@pytest.mark.parametrize("stop", [1, 5, 11, 23])
def test_a_run_goes_on_bit_for_bit_from_any_step(stop):
    whole = loop_of()
    expected = numbers(whole.records())
    first = loop_of()
    for _ in range(stop):
        first.step()
    _, weights, moments, states = first.state()
    moments, states = ({k: a.copy() for k, a in part.items()} for part in (moments, states))
    second = loop_of(progress=first.progress, moments=moments, states=states)
    second.task.weights.flat[...] = weights
    assert numbers(second.records()) == [line for line in expected if line[0] > stop]
    np.testing.assert_array_equal(second.task.weights.flat, whole.task.weights.flat)


def test_a_double_of_the_gpu_gives_the_same_bits(device):
    plain, there = loop_of(), loop_of(select("cupy"))
    assert numbers(there.records()) == numbers(plain.records())
    for one, other in zip(there.state()[1:], plain.state()[1:], strict=True):
        one, other = (x if isinstance(x, dict) else {"": x} for x in (one, other))
        for name, array in one.items():
            np.testing.assert_array_equal(array, other[name], err_msg=name)


def test_a_team_trains_like_one_loop():
    def member(team):
        loop = loop_of(team=team)
        return numbers(loop.records()), loop.task.weights.flat

    alone = teams.run(1, member)[0]
    found = teams.run(2, member)
    for lines, weights in found:
        np.testing.assert_allclose(weights, alone[1], rtol=1e-8, atol=1e-10)
        np.testing.assert_array_equal(weights, found[0][1])
        for mine, theirs in zip(lines, alone[0], strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-8)


def test_examples_are_learned():
    losses = [line[1] for line in numbers(loop_of(steps=150, lr=0.01).records()) if len(line) == 2]
    assert losses[-1] < losses[0] - 0.03
