"""The Python interface."""

import copy
import math
import pickle
import sys

import numpy as np
import pytest
from helpers.running import SMALL, TEXT, begin

import charrnn
from charrnn.backend import Backend
from charrnn.config import DataConfig, ModelConfig
from charrnn.errors import CharRNNError
from charrnn.evaluate import Score
from charrnn.model import memory


@pytest.fixture(scope="module")
def hello():
    return charrnn.fit("hello" * 400, hidden=24, steps=120, lr=0.02, batch=8, seq_len=16)


def test_a_model_trained_from_a_string_writes_and_scores_it(hello):
    assert hello.sample(length=13, prime="he", temperature=0) == "llohellohello"
    assert hello.evaluate("hello" * 20).nats_per_char < 0.1


def test_a_score_counts_what_was_skipped(hello):
    found = hello.evaluate("heXllYYo", unknown="skip")
    assert (found.chars, found.skipped) == (4, 3)
    assert found.nats == hello.evaluate("hello").nats
    whole = hello.evaluate("hello")
    assert (whole.skipped, whole.bytes) == (0, 5)
    assert whole.bits_per_byte == pytest.approx(whole.bits_per_char * 4 / 5)
    assert math.isnan(Score(3, 1.0).bits_per_byte)


def test_a_list_of_texts_is_scored_as_it_would_be_trained_on(hello):
    whole = hello.evaluate("hellohello")
    for texts in (["hello", "", "hello"], (part for part in ("hell", "ohello"))):
        assert hello.evaluate(texts) == whole
    joined = charrnn.Model(hello.network, hello.vocabulary, data=DataConfig(join="l"))
    assert joined.evaluate(["hello", "hell"]) == hello.evaluate("hellolhell")
    assert joined.evaluate(["hello"]) == hello.evaluate("hello")
    column = charrnn.Model(hello.network, hello.vocabulary, data=DataConfig(column="word"))
    assert column.evaluate(["hello", "hell"], unknown="skip").skipped == 2  # the newlines


def test_a_model_is_saved_to_a_file(hello, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in (".", tmp_path, "/"):
        with pytest.raises(CharRNNError, match="is a folder; name a file in it"):
            hello.save(folder)


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


def test_a_list_of_texts_and_an_iterable_of_lines_are_joined(tmp_path):
    def weights(text, **options):
        return charrnn.fit(text, hidden=4, steps=2, **options).weights.flat

    expected = weights("one\ntwo\n" * 9)
    path = tmp_path / "lines.txt"
    path.write_text("one\ntwo\n" * 9)
    with path.open() as lines:
        for text in (["one\ntwo\n"] * 9, (t for t in ["one\n", "two\n"] * 9), lines):
            np.testing.assert_array_equal(weights(text), expected)
    data = weights([b"one", bytearray(b"two")] * 9, level="byte")
    np.testing.assert_array_equal(data, weights(b"onetwo" * 9, level="byte"))


def test_a_seed_of_none_is_drawn_and_recorded(hello, tmp_path):
    one, two = (charrnn.fit("hello" * 40, hidden=4, steps=2, seed=None) for _ in range(2))
    assert one.training.seed != two.training.seed
    again = charrnn.fit("hello" * 40, hidden=4, steps=2, seed=one.training.seed)
    np.testing.assert_array_equal(again.weights.flat, one.weights.flat)
    one.save(tmp_path / "one.safetensors")
    assert charrnn.load(tmp_path / "one.safetensors").training == one.training
    assert hello.training.seed == 0
    texts = {hello.sample(40, seed=None, temperature=5) for _ in range(3)}
    assert len(texts) == 3
    seeds = {charrnn.diagnose(hello, "hello" * 60, **QUICK, seed=None).settings.seed for _ in "ab"}
    assert len(seeds) == 2


def test_a_model_says_what_it_is(hello):
    size = hello.weights.flat.size
    said = f"cell='lstm', layers=1, hidden=24, level='char', vocabulary=4, parameters={size})"
    assert repr(hello) == f"Model({said}"
    assert (
        repr(hello.network)
        == f"LanguageModel({said.replace(chr(32) + 'level=' + repr('char') + ',', '')}"
    )
    assert repr(charrnn.fit("ab" * 20, hidden=2, steps=1, embed=3)).count("embed=3") == 1
    counted = charrnn.fit("ab" * 20, hidden=2, steps=1, grams=900)
    assert f"parameters={counted.weights.trained.flat.size}, grams=900" in repr(counted)
    stack = charrnn.Stack(ModelConfig(cell="gru", layers=2, hidden=8), 3)
    assert repr(stack) == "Stack(cell='gru', layers=2, inputs=3, hidden=8)"


def test_a_copy_is_a_model_of_its_own(hello):
    for made in (copy.deepcopy(hello), pickle.loads(pickle.dumps(hello))):
        assert made.sample(30, seed=4) == hello.sample(30, seed=4)
        assert (made.vocabulary, made.config, made.training) == (
            hello.vocabulary,
            hello.config,
            hello.training,
        )
        before = hello.weights.flat.copy()
        made.weights["decoder.bias"][...] = 9.0
        assert made.weights.flat[-1] == 9.0  # the names are views of the copy
        np.testing.assert_array_equal(hello.weights.flat, before)
    shallow = copy.copy(hello)
    assert shallow.network is hello.network
    own = copy.copy(hello.network)
    assert not np.shares_memory(own.weights.flat, hello.weights.flat)


def test_a_model_from_a_device_is_opened_where_there_is_none(device):
    """The double cannot be opened by name here, so that NumPy takes its place."""
    there = Backend("cupy", device)
    model = charrnn.fit("hello" * 40, hidden=4, steps=2, backend=there)
    assert copy.deepcopy(model).network.backend is there
    sys.modules["cupy"] = None
    opened = pickle.loads(pickle.dumps(model))
    assert opened.network.backend.name == "numpy"
    np.testing.assert_array_equal(opened.weights.flat, device.asnumpy(model.weights.flat))


def test_samples_continuations_and_searches_are_those_of_the_command(hello):
    made = list(hello.samples(3, 12, prime="he", seed=4, temperature=2.0))
    assert made[0].text == hello.sample(12, prime="he", seed=4, temperature=2.0)
    assert all(len(one.log_probs) == 12 for one in made)
    names = charrnn.fit("anna\nbob\n" * 40, hidden=16, steps=60, lr=0.02, batch=8, seq_len=16)
    lines = (line for line in ["an\n", "b", ""])
    found = names.continuations(lines, seed=4)
    expected = [
        sample.text
        for k, prime in enumerate(["an", "b", ""])
        for sample in list(names.samples(k + 1, prime=prime, until="\n", seed=4))[k:]
    ]
    assert list(found) == expected
    (best,) = names.most_likely(12, beam=1, prime="an")
    assert best.text == names.sample(12, prime="an", temperature=0)
    assert names.most_likely(12, beam=4)[0].log_prob >= names.most_likely(12, beam=1)[0].log_prob
    for options in ({"novel": True}, {"novel_span": 3}):
        text = names.sample(60, **options, novel_text=["anna\n", "bob\n"], temperature=2.0)
        assert text != names.sample(60, temperature=2.0)
        assert not {"anna", "bob"} & set(text.split("\n"))
    cold = names.sample(60, temperature_end=0.0, repetition_penalty=1.1, no_repeat=20)
    assert len(cold) == 60


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda m: m.samples(0), "count must be at least 1, not 0"),
        (lambda m: m.samples(1, 0), "samples of length 0 never end; give until or a length"),
        (lambda m: m.samples(1, prim="x"), "unknown option 'prim'; did you mean prime?"),
        (lambda m: m.continuations("ab"), "lines must be a list of strings or another iterable"),
        (lambda m: m.continuations([], prime="x"), "unknown option 'prime'"),
        (lambda m: list(m.continuations([5])), "line 0 must be a string, not 5"),
        (lambda m: m.most_likely(beam=2, count=3), "count must be at least 1 and at most 2, not 3"),
        (lambda m: m.sample(3, novel=True), "novel or novel_span needs the text that is not to be"),
        (lambda m: m.sample(3, novel_text="x"), "novel_text only applies to novel or novel_span"),
        (
            lambda m: m.sample(3, novel=True, novel_text="x", temperature=0),
            "novel redraws a copied line",
        ),
        (lambda m: m.stream(temperature_end=1), "temperature_end is reached at the end of length"),
    ],
)
def test_samples_that_cannot_be_made_are_refused(hello, call, says):
    with pytest.raises(charrnn.CharRNNError) as told:
        call(hello)
    assert str(told.value).startswith(says)


def test_records_are_reported():
    seen = []
    charrnn.fit("ab" * 500, hidden=4, steps=10, log_every=5, report=seen.append)
    assert [r.event for r in seen if r.event == "step"] == ["step", "step"]
    assert seen[-1].event == "end"


def learned_by_heart(**more):
    """Train on random letters, which cannot be predicted: the longer, the worse."""
    text = "".join(np.random.default_rng(0).choice(list("abcdef"), 600))
    small = {"hidden": 24, "batch": 4, "seq_len": 16, "lr": 0.02, "steps": 120, "eval_every": 10}
    return charrnn.fit(text, val_frac=0.2, **small, **more), text[-120:]


def test_a_model_is_that_of_its_best_evaluation_or_as_it_is_at_the_end():
    (best, text), (last, _) = learned_by_heart(), learned_by_heart(best=False)
    losses = [record["val_loss"] for record in best.history if record["event"] == "eval"]
    assert min(losses) < losses[-1] - 0.2
    assert best.evaluate(text).nats_per_char == pytest.approx(min(losses), abs=1e-4)
    assert last.evaluate(text).nats_per_char == pytest.approx(losses[-1], abs=1e-4)
    assert best.history[-1]["best_val_loss"] == min(losses)


def test_without_validation_data_a_model_is_as_it_is_at_the_end():
    small = {"hidden": 4, "steps": 20, "val_frac": 0.0, "lr": 0.05, "batch": 2}
    best, last = (charrnn.fit(TEXT, **small, best=choice) for choice in (True, False))
    assert np.array_equal(best.weights.flat, last.weights.flat)


def test_bytes_are_trained_on():
    data = bytes(range(256)) * 8
    model = charrnn.fit(data, level="byte", hidden=8, steps=3)
    assert isinstance(model.sample(length=10), bytes)


def test_fit_estimates_the_memory_as_the_command_does(monkeypatch, text):
    needed = []
    monkeypatch.setattr(memory, "require", lambda estimate, *on: needed.append(estimate))
    begin(text, **SMALL, level="char")
    charrnn.fit(TEXT, **SMALL)
    assert needed[0] == needed[1]


def test_failures_are_one_class():
    with pytest.raises(charrnn.CharRNNError, match="no run"):
        charrnn.load("no-such-run")
    with pytest.raises(charrnn.CharRNNError, match=r"unknown option 'hiden'; did you mean hidden"):
        charrnn.fit("hello" * 100, hiden=3)
    with pytest.raises(charrnn.CharRNNError, match="at least 2"):
        charrnn.fit("h")


QUICK = {"anchors": 16, "targets": 16, "lyapunov_steps": 40, "windows": 2, "max_lag": 12}


def test_a_model_is_diagnosed_on_a_text(hello):
    report = charrnn.diagnose(hello, "hello" * 60, **QUICK, seed=2)
    assert report.lag.max_lag == 12
    assert report.subject.model is hello.network
    assert "lr-high" not in [verdict.code for verdict in report.verdicts]  # the rate is not known
    assert report.to_json()["chars"] == 300


def test_a_checkpoint_is_diagnosed_by_its_path_as_in_memory(hello, tmp_path):
    path = tmp_path / "hello.safetensors"
    hello.save(path)
    stages = []
    report = charrnn.diagnose(path, "hello" * 60, **QUICK, progress=stages.append)
    known = charrnn.diagnose(hello, "hello" * 60, **QUICK).to_json()
    assert report.to_json() | {"run": known["run"]} == known
    assert stages[:2] == ["norms", "gates"]
    with pytest.raises(charrnn.CharRNNError, match="no validation text"):
        charrnn.diagnose(path)


def test_a_configuration_is_diagnosed_untrained_and_told_in_the_words_of_python():
    config = ModelConfig(hidden=12, forget_bias=-5.0)
    report = charrnn.diagnose(config, b"hello" * 80, level="byte", **QUICK, lr=9.0, clip_norm=1e-6)
    told = {verdict.code: verdict for verdict in report.verdicts}
    assert set(told) == {"vanishing", "clip-tight", "lr-high"}
    assert told["vanishing"].remedy.startswith("a larger forget_bias")
    assert told["lr-high"].message.startswith("at lr 9 ")
    assert told["clip-tight"].message.startswith("clip_norm 1e-06 ")
    assert report.subject.fresh


def test_a_diagnosis_refuses_what_is_invalid_in_one_line(hello):
    config = ModelConfig(hidden=4)
    for arguments, options, says in (
        ((hello,), {}, "no text"),
        ((config,), {}, "no text"),
        ((config, "hel"), {}, "at least 4"),
        ((hello, "hello" * 9), {"level": "char"}, "level"),
        ((hello, "hello" * 9), {"hidden": 3}, "unknown option 'hidden'"),
        ((hello, "hello" * 9), {"anchors": 1}, "anchors must be at least 2"),
        ((hello, "hello" * 9), {"context": 8, "max_lag": 8}, "context must be at least 9"),
        ((hello, "hello" * 9), {"lr": -1}, "lr must be above 0"),
        (("no-such-run",), {}, "no run"),
    ):
        with pytest.raises(charrnn.CharRNNError, match=says) as told:
            charrnn.diagnose(*arguments, **options)
        assert "\n" not in str(told.value)
        assert "--" not in str(told.value)


def test_diagnose_stays_a_function_once_it_was_used(hello):
    charrnn.diagnose(hello, "hello" * 60, **QUICK)
    assert callable(charrnn.diagnose)


def test_the_names_are_listed_and_nothing_else_is_there():
    assert set(dir(charrnn)) >= {
        "load",
        "fit",
        "diagnose",
        "Model",
        "Stack",
        "CharRNNError",
        "__version__",
    }
    with pytest.raises(AttributeError):
        charrnn.nothing  # noqa: B018


def test_fit_takes_examples():
    small = {"hidden": 24, "steps": 150, "lr": 0.02, "batch": 8, "seq_len": 8, "backend": "numpy"}
    names = ["anna", "bob", "carla"] * 40
    model = charrnn.fit("\n".join(names), examples="line", **small)
    assert model.sample(temperature=0) in ("anna\n", "bob\n", "carla\n")
    assert model.sample(temperature=0, prime="c") == "arla\n"
    assert model.evaluate("anna\nbob").chars == 9
    documents = [f"{name}\nis here" for name in names]
    model = charrnn.fit(documents, examples="document", join="|", seed=1, **small)
    text = model.sample(0, temperature=0)
    assert text in documents
    assert model.evaluate(documents[0]).chars == len(documents[0]) + 1
    assert model.evaluate(documents[:3]).chars == len("".join(documents[:3])) + 3
    assert (
        charrnn.diagnose(model, documents[0], windows=1, lyapunov_steps=10).to_json()["chars"] > 9
    )
    joined = charrnn.fit(names, join=", ", **small)
    assert joined.sample(0, temperature=0, until_join=True) in names
    for options, says in (
        ({"examples": "line", "join": "x"}, "join stands between texts, but with examples line"),
        ({"examples": "line", "state": "reset"}, "state reset forgets the beginning of a long"),
        ({"examples": "line", "restart": 0.2}, "restart has no effect with examples, where"),
        ({"join": "x"}, "join stands between texts, but there is a single one; leave it out"),
        ({"column": "x"}, "unknown option 'column'"),
    ):
        with pytest.raises(charrnn.CharRNNError, match=says):
            charrnn.fit("hello\n" * 50, **options, **small)


def test_models_of_examples_are_diagnosed_on_pairs():
    rows = [("hello there", "a"), ("world wide", "b")] * 8
    quick = {"anchors": 4, "windows": 2}
    for task in ("classify", "generate", "transduce"):
        model = charrnn.fit(rows, task=task, hidden=4, steps=2)
        report = charrnn.diagnose(model, rows, **quick)
        assert report.to_json()["examples"] == len(rows)
        assert "lyapunov" in report.missing
        with pytest.raises(charrnn.CharRNNError, match="there is no text"):
            charrnn.diagnose(model)
        for name in ("seq_len", "lyapunov_steps"):
            with pytest.raises(charrnn.CharRNNError, match=name):
                charrnn.diagnose(model, rows, **quick, **{name: 20})
    with pytest.raises(charrnn.CharRNNError, match="only a language model"):
        charrnn.diagnose(charrnn.config.ModelConfig(task="classify"), "text")
