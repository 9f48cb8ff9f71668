"""Optimizers and clipping follow their papers, and PyTorch's trajectories."""

import numpy as np
import pytest

from charrnn.backend import Backend, numpy_backend, select
from charrnn.config import TrainConfig
from charrnn.errors import UsageError
from charrnn.model.parameters import Parameters, norm
from charrnn.registry import OPTIMIZERS
from charrnn.train import clipping, optimizers
from charrnn.train.optimizers.base import Optimizer

SHAPES = {"weight": (5, 6), "bias": (7,)}
P = 37
NAMES = OPTIMIZERS.builtin()
TORCH = {
    "adam": ("Adam", {}),
    "adamw": ("AdamW", {}),
    "rmsprop": ("RMSprop", {"alpha": 0.99}),
    "sgd": ("SGD", {"momentum": 0.8}),
}


def plan(name, decay=0.0):
    options = {"momentum": 0.8} if name == "sgd" else {}
    return TrainConfig(optimizer=name, weight_decay=decay, **options)


def trajectory(name, gradients, start, *, lr=0.03, decay=0.0, block=1 << 15, scale=1.0):
    """Return weights (P,) and optimizer after applying the gradients (count, P) in order."""
    weights = Parameters(SHAPES, start.copy())
    backend = Backend("numpy", np, block=block)
    optimizer = optimizers.create(plan(name, decay), backend, weights)
    for count, gradient in enumerate(gradients, 1):
        optimizer.apply(weights, weights.like(gradient.copy()), lr, scale, count)
    return weights.flat, optimizer


@pytest.mark.slow
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", TORCH)
def test_a_trajectory_equals_that_of_torch(name, decay, rng):
    torch = pytest.importorskip("torch")
    start, gradients = rng.standard_normal(P), rng.standard_normal((20, P))
    gradients *= 10.0 ** rng.integers(-6, 2, P)  # also where ε matters
    kind, options = TORCH[name]
    parameter = torch.nn.Parameter(torch.tensor(start))
    peer = getattr(torch.optim, kind)([parameter], lr=0.03, weight_decay=decay, **options)
    for gradient in gradients:
        parameter.grad = torch.tensor(gradient)
        peer.step()
    mine, _ = trajectory(name, gradients, start, decay=decay)
    np.testing.assert_allclose(mine, parameter.detach().numpy(), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_blocks_and_scale_change_nothing_else(name, rng):
    start, gradients = rng.standard_normal(P), rng.standard_normal((5, P))
    whole, _ = trajectory(name, gradients, start, decay=0.05)
    pieces, _ = trajectory(name, gradients, start, decay=0.05, block=10)
    np.testing.assert_array_equal(pieces, whole)
    halved, _ = trajectory(name, 2 * gradients, start, decay=0.05, scale=0.5)
    np.testing.assert_array_equal(halved, whole)
    array, _ = trajectory(name, 2 * gradients, start, decay=0.05, scale=np.array(0.5))
    np.testing.assert_array_equal(array, whole)


@pytest.mark.parametrize("name", NAMES)
def test_moments_and_count_are_all_there_is_to_keep(name, rng):
    start, gradients = rng.standard_normal(P), rng.standard_normal((8, P))
    whole, _ = trajectory(name, gradients, start)
    weights, first = trajectory(name, gradients[:3], start)
    parameters = Parameters(SHAPES, weights)
    second = optimizers.create(plan(name), numpy_backend(), parameters)
    for slot, moment in first.moments.items():
        second.moments[slot][...] = moment
    for count in range(3, 8):
        second.apply(parameters, parameters.like(gradients[count].copy()), 0.03, 1.0, count + 1)
    np.testing.assert_array_equal(weights, whole)


def test_a_cautious_update_is_the_equations(rng):
    """Each parameter by itself, whatever blocks it is computed in."""
    start, gradients = rng.standard_normal(P), rng.standard_normal((9, P))
    mine, _ = trajectory("cautious", gradients, start, lr=0.02, decay=0.1, block=4)
    w, m, v = start.copy(), np.zeros(P), np.zeros(P)
    for t, g in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        u = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.99**t)) + 1e-8) * (m * g > 0)
        w *= 1 - 0.02 * 0.1
        for part in (slice(0, 30), slice(30, P)):
            w[part] -= 0.02 * u[part].size / (np.count_nonzero(u[part]) + 1) * u[part]
    np.testing.assert_allclose(mine, w, rtol=1e-12)


def test_no_weight_moves_against_its_gradient(rng):
    start, gradients = rng.standard_normal(P), rng.standard_normal((9, P))
    weights = start
    for count in range(2, 10):
        before, (weights, _) = weights, trajectory("cautious", gradients[:count], start)
    step = weights - before
    assert (step * gradients[-1] <= 0).all()
    assert 0 < np.count_nonzero(step) < P


def test_a_weight_without_a_gradient_stays_and_counts_as_one_that_does_not_move(rng):
    start, gradients = rng.standard_normal(P), rng.standard_normal((3, P))
    gradients[2, :5] = 0.0
    before, _ = trajectory("cautious", gradients[:2], start)
    after, _ = trajectory("cautious", gradients, start)
    np.testing.assert_array_equal(after[:5], before[:5])
    gradients[2, :5] = -gradients[1, :5] * 1e-9  # hardly a gradient, but one that disagrees
    gradients[2, :5] -= 1e-9 * gradients[0, :5]
    opposed, _ = trajectory("cautious", gradients, start)
    np.testing.assert_allclose(opposed, after, rtol=1e-9)


def test_momentum_is_used_by_sgd(rng):
    start, gradients = rng.standard_normal(P), rng.standard_normal((2, P))
    weights, optimizer = trajectory("sgd", gradients, start, lr=0.5)
    momentum = 0.8 * gradients[0] + gradients[1]
    np.testing.assert_allclose(optimizer.moments["u"], momentum)
    np.testing.assert_allclose(weights, start - 0.5 * (gradients[0] + momentum))


def test_weight_decay_of_adamw_stands_apart_from_the_gradient(rng):
    start, nothing = rng.standard_normal(P), np.zeros((4, P))
    weights, _ = trajectory("adamw", nothing, start, lr=0.1, decay=0.2)
    np.testing.assert_allclose(weights, start * (1 - 0.1 * 0.2) ** 4)
    coupled, _ = trajectory("adam", nothing, start, lr=0.1, decay=0.2)
    assert np.abs(coupled - weights).max() > 0.01


def test_single_precision_moments_stay_single():
    weights = np.zeros(P, np.float32)
    parameters = Parameters(SHAPES, weights)
    for name in NAMES:
        optimizer = optimizers.create(plan(name, 0.01), numpy_backend(), parameters)
        gradients = parameters.like(np.ones(P, np.float32))
        optimizer.apply(parameters, gradients, 0.1, np.float32(0.5), 1)
        assert {moment.dtype for moment in optimizer.moments.values()} == {np.dtype("float32")}
    assert weights.dtype == np.float32
    assert (weights < 0).all()


def test_an_unknown_optimizer_is_an_error():
    with pytest.raises(UsageError, match="adam, adamw, cautious, rmsprop, sgd"):
        TrainConfig(optimizer="lion")


def test_a_rule_may_treat_each_parameter_by_its_name_and_shape(rng):
    """Weight decay of matrices alone: what rules over flat blocks cannot tell apart."""

    class MatrixDecay(Optimizer):
        name = "matrix-decay"

        def apply(self, weights, grads, lr, scale, count):
            for name, w in weights.items():
                decay = self.weight_decay if w.ndim == 2 else 0.0
                w -= lr * (scale * grads[name] + decay * w)

        def update(self, *args):
            raise AssertionError("apply is overridden")

    start, gradient = rng.standard_normal(P), rng.standard_normal(P)
    weights = Parameters(SHAPES, start.copy())
    optimizer = MatrixDecay(numpy_backend(), weights, 0.5)
    optimizer.apply(weights, weights.like(gradient.copy()), 0.1, 2.0, 1)
    plain = start - 0.1 * 2.0 * gradient
    np.testing.assert_allclose(weights["bias"], plain[30:])
    np.testing.assert_allclose(weights["weight"].ravel(), plain[:30] - 0.1 * 0.5 * start[:30])


def test_a_rule_derived_from_a_compiled_one_gets_scratch_space_of_its_length(rng):
    """A plug-in may change Adam's update; the compiled core has no such rule."""

    class Halved(OPTIMIZERS.get("adam")):
        name = "halved"

        def update(self, w, g, moments, a, lr, scale, count):
            a[...] = 0.5 * scale * g
            return super().update(w, a, moments, g, lr, 1.0, count)

    many = {"weight": (300, 400)}
    size = 300 * 400
    weights = Parameters(many, rng.standard_normal(size).astype(np.float32))
    start, gradient = weights.flat.copy(), rng.choice((-1, 1), size).astype(np.float32)
    Halved(select("numpy"), weights, 0.0).apply(weights, weights.like(gradient.copy()), 0.1, 1.0, 1)
    assert OPTIMIZERS.get("adam").compiled
    assert not Halved.compiled
    np.testing.assert_allclose(start - weights.flat, 0.1 * np.sign(gradient), rtol=1e-3)


@pytest.mark.parametrize("limit", [0.01, 1.0, 1e6])
def test_clipping_by_norm_equals_that_of_torch(limit, rng):
    torch = pytest.importorskip("torch")
    gradient = 300.0 * rng.standard_normal(P)
    parameter = torch.nn.Parameter(torch.zeros(P, dtype=torch.float64))
    parameter.grad = torch.tensor(gradient)
    theirs = torch.nn.utils.clip_grad_norm_([parameter], limit)
    size = norm(np, gradient)
    assert float(size) == pytest.approx(theirs.item(), rel=1e-14)
    mine = gradient * clipping.scale_for_norm(np, size, limit)
    # torch divides by norm + 1e-6
    np.testing.assert_allclose(mine, parameter.grad.numpy(), rtol=2e-6 / float(size))


def test_a_small_gradient_is_not_clipped_and_none_is_no_division_by_zero():
    assert float(clipping.scale_for_norm(np, np.float64(0.5), 1.0)) == 1.0
    assert float(clipping.scale_for_norm(np, np.float64(0.0), 1.0)) == 1.0
    assert float(clipping.scale_for_norm(np, np.float64(4.0), 1.0)) == 0.25


def test_clipping_by_value_moves_the_outliers_alone(rng):
    gradient = rng.standard_normal(P)
    clipped = gradient.copy()
    clipping.by_value(np, clipped, 0.5)
    inside = np.abs(gradient) <= 0.5
    assert inside.any()
    assert not inside.all()
    np.testing.assert_array_equal(clipped[inside], gradient[inside])
    np.testing.assert_array_equal(clipped[~inside], 0.5 * np.sign(gradient[~inside]))
