"""A gradient against central differences of the loss, along random directions, in float64."""

import numpy as np

TOLERANCE = 1e-7
STEP = 3e-5


def check(loss, point, gradient, rng, names=None):
    """Compare the derivative of ``loss`` at ``point`` along random directions with ``gradient``.

    ``point`` and ``gradient`` map names to arrays; ``loss`` reads the arrays of ``point``, which
    are moved in place. Of some directions the steepest is taken, where rounding weighs least; two
    such are checked, because one may by chance be blind to a small tensor.
    """
    names = list(point) if names is None else names
    for _ in range(2):
        drawn = [unit_direction(point, names, rng) for _ in range(8)]
        slopes = [sum(np.sum(gradient[name] * d[name]) for name in names) for d in drawn]
        steepest = int(np.argmax(np.abs(slopes)))
        numeric, analytic = derivative(loss, point, drawn[steepest]), slopes[steepest]
        assert abs(numeric) > 1e-6, "the direction tells nothing"
        assert abs(analytic - numeric) <= TOLERANCE * abs(numeric), (analytic, numeric)


def unit_direction(point, names, rng):
    direction = {name: rng.standard_normal(point[name].shape) for name in names}
    size = np.sqrt(sum(np.sum(d * d) for d in direction.values()))
    return {name: d / size for name, d in direction.items()}


def derivative(loss, point, direction):
    """Return the central difference over five points: its error is of fourth order in the step."""
    before = {name: point[name].copy() for name in direction}

    def at(distance):
        for name, d in direction.items():
            point[name][...] = before[name] + distance * d
        return loss()

    near, far = at(STEP) - at(-STEP), at(2 * STEP) - at(-2 * STEP)
    for name, array in before.items():
        point[name][...] = array
    return (8 * near - far) / (12 * STEP)
