"""Messages in the words of their reader: options or parameters."""

import copy
import pickle

import pytest

from charrnn.errors import CharRNNError, UsageError, either, in_words, option, setting


def test_a_setting_is_an_option_on_the_command_line_and_a_parameter_in_python():
    problem = UsageError(f"{setting('seq_len')} must be at least 1, not 0", f"see {setting('lr')}")
    assert str(problem) == "seq_len must be at least 1, not 0; see lr"
    assert problem.line(option) == "--seq-len must be at least 1, not 0; see --lr"


@pytest.mark.parametrize("again", [copy.copy, lambda x: pickle.loads(pickle.dumps(x))])
def test_an_error_survives_a_copy(again):
    problem = again(CharRNNError(f"no {setting('out')}", "make one"))
    assert (str(problem), problem.remedy) == ("no out; make one", "make one")


def test_text_without_marks_stays_as_it_is():
    assert in_words("{lr} \\x02 --lr %s", option) == "{lr} \\x02 --lr %s"


def test_an_advice_is_in_the_words_of_a_shell_or_of_python():
    problem = CharRNNError(f"no {setting('seq_len')}", either("charrnn runs", "see load"))
    assert problem.line(option) == "no --seq-len; charrnn runs"
    assert str(problem) == "no seq_len; see load"
