"""Transduction as a task: batches, scores, and that a transducer learns, resumes and transfers."""

import numpy as np
import pytest
from helpers.running import begin, train

from charrnn.backend import numpy_backend
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.evaluate.pairs import Surprisal
from charrnn.model.transducer.model import Transducer
from charrnn.storage import checkpoint, heldout
from charrnn.tasks.transduce import TransduceTask, scores_of, steps_of
from charrnn.text import builtin
from charrnn.text.pairs.dataset import pair_table_of

SMALL = {"task": "transduce", "hidden": 8, "batch": 8, "steps": 12, "log_every": 1}
SMALL |= {"eval_every": 5, "save_every": 4, "bidirectional": True}


def pairs_of(name, count, **options):
    text = b"".join(builtin.generate(name, 60 * count, 3, **options)).decode()
    return [tuple(line.split("\t")) for line in text.split("\n")[:count]]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{s}\t{t}\n" for s, t in pairs_of("reversal", 120)))
    return str(path)


def task_of(pairs, **train):
    table = pair_table_of(pairs, DataConfig(val_frac=0.1))
    config = ModelConfig(task="transduce", hidden=8, dtype="float64")
    model = Transducer.fresh(config, len(table.vocabulary), 1, outputs=len(table.targets))
    return TransduceTask(model, table.train, table.val, TrainConfig(**train)), table


def test_an_epoch_has_each_pair_once_and_its_own_order():
    task, table = task_of(pairs_of("dates", 50), batch=8, seed=4)
    epochs = []
    for epoch in range(2):
        found = []
        for step in range(task.windows_per_epoch):
            batch = task.batch(epoch * task.windows_per_epoch + step)
            assert batch.epoch == epoch
            assert batch.symbols == batch.mask.sum()
            for n, length in enumerate(batch.lengths.tolist()):
                if length:
                    source = batch.inputs[len(batch.inputs) - length :, n]
                    target = batch.targets[batch.mask[:, n], n]
                    assert (source[-1], target[-1]) == (task.model.source_end, task.model.end)
                    found.append((tuple(source[:-1].tolist()), tuple(target[:-1].tolist())))
        epochs.append(found)
    sides = table.train.sources, table.train.targets
    every = [tuple(tuple(side.text(n).tolist()) for side in sides) for n in range(len(table.train))]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(every)
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize(
    ("pairs", "most"),
    [([("abcdefghi", "xy"), ("a", "x")], 10), ([("ab", "xyzxyz"), ("abc", "")], 7)],
)
def test_a_batch_has_as_many_steps_as_its_longer_side_with_its_end(pairs, most):
    task, table = task_of(pairs * 20, batch=4)
    assert steps_of(table.train, task.batches) == {4: most}
    batch = task.batch(0)
    assert max(len(batch.inputs), len(batch.targets)) <= most


def test_scores_are_those_of_the_pairs_one_by_one():
    task, table = task_of(pairs_of("reversal", 20), batch=8)
    whole = scores_of(task.model, table.train)
    nats, symbols = Surprisal(task.model).of(table.train)
    assert (whole.nats, whole.symbols) == (nats, symbols)
    assert symbols == table.train.symbols
    alone = [scores_of(task.model, table.train.of(np.array([n]))) for n in range(len(table.train))]
    for name in ("exact", "edits", "reference", "examples"):
        assert getattr(whole, name) == sum(getattr(each, name) for each in alone)
    assert nats == pytest.approx(sum(each.nats for each in alone), rel=1e-12)
    assert whole.nats_per_symbol == nats / symbols
    assert task.evaluate(lambda: False) is not None
    assert set(task.measures()) == {"exact_match", "cer"}


@pytest.mark.parametrize("more", [{}, {"attention": "none", "layers": 2, "dropout": 0.3}])
def test_a_run_that_is_resumed_gives_the_same_bits(table, home, more):
    train(table, name="whole", **SMALL, **more)
    part, _ = train(table, name="part", stop=7, **SMALL, **more)
    assert part.loop.progress.step == 7
    train(resume=str(home / "checkpoints/part"))
    ends = [checkpoint.load(home / f"checkpoints/{n}/last.safetensors") for n in ("whole", "part")]
    np.testing.assert_array_equal(ends[0].weights, ends[1].weights)
    for name, moment in ends[0].moments.items():
        np.testing.assert_array_equal(moment, ends[1].moments[name])
    assert ends[0].labels == ends[1].labels == tuple("abcdefghij")
    pairs = heldout.read_pairs(ends[0].path, "val", len(ends[0].vocabulary), len(ends[0].labels))
    assert len(pairs) == 12
    for n in range(len(pairs)):
        assert pairs.targets.text(n).tolist() == pairs.sources.text(n).tolist()[::-1]


def test_a_run_of_a_language_model_gives_its_weights_to_the_encoder(table, home):
    train(table, name="lm", hidden=8, batch=4, seq_len=8, steps=3)
    old = checkpoint.load(home / "checkpoints/lm/last.safetensors")
    begun = begin(table, name="new", init_from=str(home / "checkpoints/lm"), task="transduce")
    before, after = old.model().weights, begun.model.weights
    np.testing.assert_array_equal(after["rnn.weight_hh_l0"], before["rnn.weight_hh_l0"])
    read = begun.corpus.vocabulary.symbols
    ids = [old.vocabulary.symbols.index(symbol) for symbol in read]
    np.testing.assert_array_equal(
        after["rnn.weight_ih_l0"][:, :-1], before["rnn.weight_ih_l0"][:, ids]
    )
    begun.close()


def test_a_transducer_gives_a_new_one_what_both_know(table, home, tmp_path):
    train(table, name="one", **SMALL)
    old = checkpoint.load(home / "checkpoints/one/last.safetensors")
    other = tmp_path / "other.tsv"
    other.write_text("ab\tba\nzb\tbz\nba\tzb\n" * 4)
    begun = begin(str(other), name="two", init_from=str(home / "checkpoints/one"), val_frac=0.0)
    before, after = old.model().weights, begun.model.weights
    assert begun.corpus.targets == ("a", "b", "z")
    kept, mine, theirs = np.testing.assert_array_equal, [0, 1, 3], [0, 1, 10]  # a, b and the end
    kept(after["attention.combine.weight"], before["attention.combine.weight"])
    kept(after["decoder.bias"][mine], before["decoder.bias"][theirs])
    name = "target_rnn.weight_ih_l0"
    kept(after[name][:, mine], before[name][:, theirs])
    begun.close()


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["dot", "additive"])
def test_dates_are_learned(attention):
    table = pair_table_of(pairs_of("dates", 6000), DataConfig(val_frac=0.05))
    config = ModelConfig(task="transduce", hidden=64, bidirectional=True, attention=attention)
    model = Transducer.fresh(
        config, len(table.vocabulary), 1, numpy_backend(), outputs=len(table.targets)
    )
    plan = TrainConfig(batch=64, lr=0.006, steps=300, log_every=300, eval_every=0)
    from charrnn.train.loop import Loop

    for _ in Loop(TransduceTask(model, table.train, table.val, plan), plan).records():
        pass
    assert scores_of(model, table.val).exact_match >= 0.98
