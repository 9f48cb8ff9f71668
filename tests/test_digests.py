"""The recorder of results finds every difference, and none between equal results."""

import json

import pytest
from helpers import digests


@pytest.mark.slow
def test_recordings_of_the_same_code_are_equal_and_a_changed_bit_is_found(tmp_path, capsys):
    one, other = str(tmp_path / "one.json"), str(tmp_path / "other.json")
    only = ["--only", "gru-before", "--only", "watched"]
    assert digests.main(["record", one, *only]) == 0
    assert digests.main(["record", other, *only]) == 0
    assert digests.main(["compare", one, other]) == 0
    found = json.loads((tmp_path / "other.json").read_text())
    assert set(found["runs"]) == {"gru-before", "watched"}
    assert {"last/rnn.weight_hh_l0", "best/decoder.bias", "last/optimizer.m", "metrics", "sample",
            "streams", "eval", "diagnosis"} <= set(found["runs"]["watched"])  # fmt: skip
    found["runs"]["watched"]["metrics"] = "changed"
    del found["runs"]["gru-before"]["eval"]
    (tmp_path / "other.json").write_text(json.dumps(found))
    capsys.readouterr()
    assert digests.main(["compare", one, other]) == 1
    expected = ["gru-before: eval", "watched: metrics", "2 differences in 2 runs"]
    assert capsys.readouterr().out.splitlines() == expected


def test_another_seed_changes_every_digest_of_a_result(monkeypatch):
    before = digests.record(["rnn"])["runs"]["rnn"]
    monkeypatch.setattr(digests, "BASE", digests.BASE.replace("--seed 5", "--seed 6"))
    after = digests.record(["rnn"])["runs"]["rnn"]
    same = {key.rpartition("/")[2] for key in before if before[key] == after.get(key)}
    assert same == {"rnn.bias_hh_l0", "rnn.bias_hh_l1"}  # zeros, which are never trained


def test_recordings_without_a_common_run_are_not_equal(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).write_text(json.dumps({"machine": {}, "runs": {name: {}}}))
    assert digests.main(["compare", str(tmp_path / "one"), str(tmp_path / "other")]) == 1
