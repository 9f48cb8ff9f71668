"""Streams of the compiled core are put back and follow each other as those of NumPy do."""

import numpy as np
import pytest

from charrnn.backend import numpy_backend, select
from charrnn.config import ModelConfig
from charrnn.errors import BackendError
from charrnn.evaluate import score
from charrnn.model.language import LanguageModel
from charrnn.sampling import Novelty, SampleOptions, Seen, Stepper, in_order, most_likely, stream
from charrnn.sampling.seen import LineEnds
from charrnn.text.vocabulary import Vocabulary

CHARS = Vocabulary("char", tuple("\nabc"))
COPIED = CHARS.encode("a\nb\nc\nab\nbc\nca\naa\n")


@pytest.fixture(params=[("lstm", 1, 0), ("gru", 2, 3), ("rnn", 2, 0)], ids=lambda p: p[0])
def models(request):
    """The same model computed by the core and by NumPy."""
    try:
        backend = select("numpy", core="native")
    except BackendError as problem:
        pytest.skip(problem.message)
    cell, layers, embed = request.param
    config = ModelConfig(hidden=16, layers=layers, embed=embed, cell=cell)
    compiled = LanguageModel.fresh(config, len(CHARS), 4, backend)
    assert compiled.core
    return compiled, LanguageModel(config, len(CHARS), numpy_backend(), compiled.weights.flat)


@pytest.mark.parametrize("count", [1, 3])
def test_lines_that_are_drawn_again_leave_no_trace(models, count):
    compiled, plain = models
    novelty = Novelty(Seen.of([COPIED], LineEnds(0)), Seen.of([COPIED], LineEnds(0), 3))
    options = SampleOptions(1.0, no_repeat=9)
    arguments = {"count": count, "length": 25, "prime": "b", "log_probs": True}
    for one in in_order(compiled, CHARS, options, novelty=novelty, **arguments):
        assert not set(("b" + one.text).split("\n")) & {"a", "b", "c", "ab", "bc", "ca", "aa"}
        exact = -score(plain, [CHARS.encode("b" + one.text)]).nats
        assert one.log_prob == pytest.approx(exact, rel=1e-5)


def test_a_search_finds_what_numpy_finds(models):
    arguments = {"beam": 5, "count": 3, "length": 12, "prime": "ab", "until": "cab"}
    mine, expected = (most_likely(model, CHARS, **arguments) for model in models)
    assert [one.text for one in mine] == [one.text for one in expected]
    for one, other in zip(mine, expected, strict=True):
        np.testing.assert_allclose(one.log_probs, other.log_probs, rtol=1e-4)


def test_a_stepper_that_is_used_again_begins_anew(models):
    compiled, _ = models
    stepper = Stepper(compiled)
    for prime in ("a", "", "abcab", "a"):
        again = list(stream(compiled, CHARS, length=20, prime=prime, stepper=stepper))
        assert again == list(stream(compiled, CHARS, length=20, prime=prime))
