"""A setting is declared once, and every value of it is checked against the declaration."""

import math
from dataclasses import dataclass, fields

import numpy as np
import pytest

from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.errors import UsageError, option
from charrnn.options import Option, check_fields, check_values, declare, declared


@pytest.mark.parametrize("value", [0, 1, np.int64(7), 2**63 - 1])
def test_a_valid_integer_comes_back_as_an_int(value):
    checked = Option(3, "", least=0).check("layers", value)
    assert type(checked) is int
    assert checked == value


@pytest.mark.parametrize("value", [0, 0.5, np.float32(0.25)])
def test_a_valid_number_comes_back_as_a_float(value):
    checked = Option(0.1, "", least=0, below=1).check("dropout", value)
    assert type(checked) is float
    assert checked == value


@pytest.mark.parametrize(
    ("declaration", "value", "message"),
    [
        (Option(1, "", least=1), 0, "x must be at least 1, not 0"),
        (Option(1, ""), "many", "x must be an integer, not 'many'"),
        (Option(1, ""), 1.5, "x must be an integer, not 1.5"),
        (Option(1, ""), True, "x must be an integer, not True"),
        (Option(1, ""), 2**63, "x must be below 2^63"),
        (Option(1, ""), None, "x must be an integer, not None"),
        (Option(0.5, "", least=0, below=1), 1.0, "x must be at least 0 and below 1, not 1.0"),
        (Option(0.5, "", above=0, most=1), 0.0, "x must be above 0 and at most 1, not 0.0"),
        (Option(0.5, "", above=0, most=1), 1.5, "x must be above 0 and at most 1, not 1.5"),
        (Option(0.5, ""), math.nan, "x must be a finite number, not nan"),
        (Option(0.5, ""), math.inf, "x must be a finite number, not inf"),
        (Option(0.5, ""), "half", "x must be a number, not 'half'"),
        (Option(0, "", least=0, remedy="0 keeps all"), -1, "x must be at least 0, not -1; 0 keeps"),
        (Option("a", "", choices=("a", "b")), "c", "x 'c' is invalid; choose one of a, b"),
        (Option("a", "", choices=lambda: ("a", "b")), "c", "choose one of a, b"),
        (Option("a", ""), 5, "x must be a string, not 5"),
        (Option((), ""), "file", "x must be a list of strings, not a string"),
        (Option((), ""), (5,), "x must be a string, not 5"),
    ],
)
def test_an_invalid_value_is_refused_in_one_line(declaration, value, message):
    with pytest.raises(UsageError) as caught:
        declaration.check("x", value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_command_line_names_the_option_and_python_the_parameter():
    with pytest.raises(UsageError) as caught:
        TrainConfig(seq_len=0)
    assert str(caught.value) == "seq_len must be at least 1, not 0"
    assert caught.value.line(option) == "--seq-len must be at least 1, not 0"


def test_only_a_setting_without_a_default_may_stay_unset():
    assert Option(None, "", kind=int, least=1).check("steps", None) is None
    assert Option(None, "", kind=int, least=1).check("steps", 2) == 2


def test_fields_are_checked_by_their_declarations():
    @dataclass(frozen=True)
    class Record:
        size: int = declare(3, "A size.", least=1)
        names: tuple[str, ...] = declare((), "Names.")
        other: int = -5

        def __post_init__(self):
            check_fields(self)

    assert Record(size=np.int32(4), names=["a"]) == Record(4, ("a",))
    assert Record.size == 3
    assert list(declared(Record)) == ["size", "names"]
    with pytest.raises(UsageError, match="size must be at least 1"):
        Record(0)


def test_missing_values_get_their_defaults():
    options = {"beta": Option(0.9, "", least=0), "nesterov": Option("no", "")}
    assert check_values(options, {"beta": 1}) == {"beta": 1.0, "nesterov": "no"}


@pytest.mark.parametrize("record", [ModelConfig, DataConfig, TrainConfig])
def test_every_setting_of_a_configuration_is_declared(record):
    undeclared = {f.name for f in fields(record)} - set(declared(record))
    assert undeclared == {f"{name}_options" for name in record.chosen}
    for name, declaration in declared(record).items():
        assert declaration.help, name
        assert declaration.group, name
        assert declaration.check(name, declaration.default) == declaration.default


def test_a_configuration_with_an_unknown_cell_is_refused():
    with pytest.raises(UsageError, match=r"unknown cell 'nonsense'; choose one of gru, lstm, rnn"):
        ModelConfig(cell="nonsense")
    assert ModelConfig(cell="vanilla").cell == "rnn"
