"""Numbers that are not finite, planted into a training run before an update."""

import itertools

from helpers.running import SMALL

DEEP = SMALL | {"layers": 2, "save_every": 5, "eval_every": 0}


def weight(loop, bad):
    loop.task.model.weights["rnn.weight_hh_l1"][3, 2] = bad


def unused_weight(loop, bad):
    """A column that no symbol of the next window chooses: the loss does not notice."""
    ids = loop.task.streams.batch_at(loop.progress.step).inputs
    absent = sorted(set(range(loop.task.model.V)) - set(ids.ravel().tolist()))
    loop.task.model.weights["rnn.weight_ih_l0"][1, absent[0]] = bad


def gradient(loop, bad):
    inner = loop.task.model.loss_and_gradient

    def spoilt(window, ids, targets, grads, *rest, **more):
        loss = inner(window, ids, targets, grads, *rest, **more)
        grads["decoder.weight"][0, 1] = bad
        loop.task.model.loss_and_gradient = inner
        return loss

    loop.task.model.loss_and_gradient = spoilt


def moment(name):
    def plant(loop, bad):
        loop.task.model.weights.like(loop.update.optimizer.moments[name])["rnn.bias_ih_l0"][2] = bad

    return plant


def state(loop, bad):
    dict(loop.task.window.states())["h_l1"][0][1, 2] = bad


def planted(loop, plant, at, bad, times=1):
    """Plant ``bad`` before the update after step ``at``, the first ``times`` that it is made."""
    inner, made = loop.step, itertools.count()

    def step():
        if loop.progress.step == at and next(made) < times:
            plant(loop, bad)
        inner()

    loop.step = step
    return loop


PLANTS = {
    "rnn.weight_hh_l1": weight,
    "rnn.weight_ih_l0": unused_weight,
    "gradient.decoder.weight": gradient,
    "optimizer.m.rnn.bias_ih_l0": moment("m"),
    "optimizer.v.rnn.bias_ih_l0": moment("v"),
    "state.h_l1": state,
}
