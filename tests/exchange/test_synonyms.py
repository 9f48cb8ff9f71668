"""Settings under the names of other programs, in Python, in ``--try`` and in a file of options."""

import shlex
from importlib.util import find_spec

import pytest
from helpers.commands import inside

import charrnn
from charrnn.exchange.synonyms import setting_meant, value_meant

FIT = [
    ({"rnn_size": 8}, "'rnn_size'; here it is hidden: hidden=8"),
    ({"num_layers": 2}, "'num_layers'; here it is layers: layers=2"),
    ({"model": "GRU"}, "'model'; here it is cell: cell='gru'"),
    ({"rnn_type": "RNN_TANH"}, "'rnn_type'; here it is cell: cell='rnn'"),
    ({"device": "cpu"}, "'device'; here it is backend: backend='numpy'"),
    ({"gpu": 0}, "'gpu'; here it is backend: backend='cupy'"),
    ({"word_level": True}, "'word_level'; here it is level: level='word'"),
    ({"Hidden": 3}, "'Hidden'; here it is hidden: hidden=3"),
    ({"seq-len": 3}, "'seq-len'; here it is seq_len: seq_len=3"),
    ({"hiden": 3}, "'hiden'; did you mean hidden?"),
    ({"checkpoint": "x"}, "'checkpoint'; fit trains a new model: charrnn.load(path) returns"),
    ({"resume": "x"}, "'resume'; fit trains a new model: charrnn.load(path) returns"),
    ({"savefile": "x"}, "'savefile'; fit writes no file: model.save(path) does"),
    ({"out": "x"}, "'out'; fit writes no file: model.save(path) does"),
    ({"data": "x"}, "'data'; the text is the first argument"),
    ({"quirk": 1}, "'quirk'; see help(charrnn.fit)"),
]


@pytest.fixture(scope="module")
def model():
    return charrnn.fit("hello " * 40, steps=1, hidden=4, batch=2)


@pytest.mark.parametrize(("options", "said"), FIT)
def test_fit_says_what_they_are(options, said):
    with pytest.raises(charrnn.CharRNNError) as failure:
        charrnn.fit("hello " * 40, steps=1, **options)
    assert str(failure.value).startswith(f"unknown option {said}")


def test_what_fit_says_can_be_done():
    for options, said in FIT:
        if "here it is" in said and "cupy" not in said:
            given = eval(f"dict({said.rpartition(': ')[2]})")
            made = charrnn.fit("hello you " * 40, steps=1, **{"hidden": 4, **given})
            assert made.training.steps == 1, options


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m: m.sample(temp=0.5), "'temp'; here it is temperature: temperature=0.5"),
        (lambda m: m.sample(prompt="h"), "'prompt'; here it is prime: prime='h'"),
        (lambda m: m.sample(max_new_tokens=3), "'max_new_tokens'; here it is length: length=3"),
        (lambda m: m.samples(2, n_samples=3), "'n_samples'; here it is count: count=3"),
        (lambda m: m.continuations(["h"], topk=3), "'topk'; here it is top_k: top_k=3"),
        (lambda m: m.sample(temprature=3), "'temprature'; did you mean temperature?"),
        (lambda m: charrnn.diagnose(m, learning_rate=3), "'learning_rate'; here it is lr: lr=3"),
        (lambda m: charrnn.diagnose(m, hidden=3), "'hidden'; see help(charrnn.diagnose)"),
    ],
)
def test_other_functions_say_what_they_are(model, call, said):
    with pytest.raises(charrnn.CharRNNError) as failure:
        call(model)
    assert str(failure.value) == f"unknown option {said}"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("rnn-size=4,8", "here it is hidden: --try hidden=4,8"),
        ("learning_rate=0.1..0.2:log", "here it is lr: --try lr=0.1..0.2:log"),
        ("model=LSTM,GRU", "here it is cell: --try cell=lstm,gru"),
        ("hiden=3", "did you mean hidden?"),
        ("gpu=0,1", "charrnn train --help lists them"),
    ],
)
def test_try_says_what_they_are(tmp_path, typed, said):
    (tmp_path / "t.txt").write_text("hello you " * 40)
    done = inside("sweep", "t.txt", "--try", typed, "--steps", "1", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.endswith(f"which is not an option; {said}\n")
    if "--try" in said and find_spec("optuna"):
        words = shlex.split(said.partition(": ")[2])
        small = ("--steps", "1", "--trials", "1", "--batch", "2", "--hidden", "4")
        small = small[:-2] if "hidden" in said else small
        assert inside("sweep", "t.txt", *words, *small, cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("rnn_size = 4", "here it is hidden: hidden = 4"),
        ('model = "GRU"', 'here it is cell: cell = "gru"'),
        ("gpu = -1", 'here it is backend: backend = "numpy"'),
        ("word_level = true", 'here it is level: level = "word"'),
        ('input = "t.txt"', 'here it is corpus: corpus = ["t.txt"]'),
        ('n_layers = "two"', "here it is layers"),
        ("text = 3", "here it is corpus"),
    ],
)
def test_a_file_says_what_they_are(tmp_path, line, said):
    (tmp_path / "t.txt").write_text("hello you " * 40)
    (tmp_path / "o.toml").write_text(f"{line}\n")
    done = inside("train", "--config", "o.toml", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.endswith(f"which charrnn train does not know; {said}\n")
    if ":" in said:
        (tmp_path / "o.toml").write_text(said.partition(": ")[2])
        text = () if "corpus" in said else ("t.txt",)
        small = ("--steps", "1", "--batch", "2")
        assert inside("train", *text, "--config", "o.toml", *small, cwd=tmp_path).returncode == 0


def test_the_output_is_no_key_of_a_command_that_prints(tmp_path):
    (tmp_path / "o.toml").write_text('out = "x.txt"\n')
    done = inside("sample", "--config", "o.toml", cwd=tmp_path)
    assert done.stderr.endswith("; the output is standard output: charrnn sample … > FILE\n")


def test_a_run_and_a_cell_are_told_apart_by_their_value():
    known = ("run", "cell", "hidden")
    assert setting_meant("model", known, "lstm") == "cell"
    assert setting_meant("model", known, "cv/lm") == "run"
    assert setting_meant("hidden_size", known) == "hidden"
    assert setting_meant("temperature", known) == ""
    assert [value_meant("backend", v) for v in (0, "cuda:0", True, -1, "cpu", False)] == [
        *["cupy"] * 3,
        *["numpy"] * 3,
    ]
