"""The Python interface."""

import numpy as np
import pytest

import charrnn


@pytest.fixture(scope="module")
def hello():
    return charrnn.fit("hello" * 400, hidden=24, steps=120, lr=0.02, batch=8, seq_len=16)


def test_a_model_trained_from_a_string_writes_and_scores_it(hello):
    assert hello.sample(length=13, prime="he", temperature=0) == "llohellohello"
    assert hello.evaluate("hello" * 20).nats_per_char < 0.1


def test_save_and_load_give_the_same_model(hello, tmp_path):
    path = tmp_path / "hello.safetensors"
    hello.save(path)
    again = charrnn.load(path)
    for name, array in hello.weights.items():
        np.testing.assert_array_equal(again.weights[name], array)
    assert again.vocabulary == hello.vocabulary
    assert again.sample(length=50, seed=3) == hello.sample(length=50, seed=3)


def test_stream_is_the_sample_symbol_by_symbol(hello):
    stream = hello.stream(prime="he", seed=1)
    first = [next(stream) for _ in range(30)]
    assert "".join(first) == hello.sample(length=30, prime="he", seed=1)


def test_records_are_reported():
    seen = []
    charrnn.fit("ab" * 500, hidden=4, steps=10, log_every=5, report=seen.append)
    assert [r.event for r in seen if r.event == "step"] == ["step", "step"]
    assert seen[-1].event == "end"


def test_bytes_are_trained_on():
    data = bytes(range(256)) * 8
    model = charrnn.fit(data, level="byte", hidden=8, steps=3)
    assert isinstance(model.sample(length=10), bytes)


def test_failures_are_one_class():
    with pytest.raises(charrnn.CharRNNError, match="no run"):
        charrnn.load("no-such-run")
    with pytest.raises(charrnn.CharRNNError, match="unknown option 'hiden'"):
        charrnn.fit("hello" * 100, hiden=3)
    with pytest.raises(charrnn.CharRNNError, match="at least 2"):
        charrnn.fit("h")


def test_the_names_are_listed_and_nothing_else_is_there():
    assert set(dir(charrnn)) >= {"load", "fit", "Model", "Stack", "CharRNNError", "__version__"}
    with pytest.raises(AttributeError):
        charrnn.nothing  # noqa: B018
