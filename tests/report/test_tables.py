"""Tables: columns that line up, runs of which one cannot be read, labels and what is confused."""

import numpy as np

from charrnn.evaluate.labels import LabelScores
from charrnn.report.labels import MAX_COLUMNS, labels_text
from charrnn.report.tables import aligned, listed, runs_table


def test_columns_are_two_spaces_apart_and_flush_where_it_is_said():
    rows = [("a", "1", "x", "y"), ("long", "1,000", "xyz", "")]
    head = ("n", "of", "kind", "last one")
    assert aligned(head, rows) == (
        "n        of  kind  last one\n"
        "a         1     x         y\n"
        "long  1,000   xyz\n"
    )  # fmt: skip
    assert aligned(head, rows, left=2, last=1) == (
        "n     of     kind  last one\n"
        "a     1         x  y\n"
        "long  1,000   xyz\n"
    )  # fmt: skip
    assert listed([("a", "1"), ("long", "1,000")]) == "a     1\nlong  1,000\n"


def test_a_run_that_cannot_be_read_keeps_its_line_in_the_table():
    figures = {"cell": "gru", "layers": 2, "hidden": 64, "parameters": 12_345, "step": 1_000}
    figures |= {"val_loss": 1.5, "best_val_loss": None, "seconds": 60.0}
    rows = [
        {"run": "one", "task": "lm", **figures},
        {"run": "bad\x1b", "error": "damaged"},
        {"run": "two", "task": "tag", **figures},
    ]
    assert runs_table(rows, {"one": "well"}) == (
        "run      model         parameters   step     val  best val      time  verdict\n"
        "one      gru 2×64          12,345  1,000  1.5000         –  1 m 00 s  well\n"
        r"bad\x1b  unreadable" + "\n"
        "two      tag gru 2×64      12,345  1,000  1.5000         –  1 m 00 s  –\n"
    )


def confused(count, *pairs):
    """Return scores of labels of which each has 100 texts but for pairs (right, given, times)."""
    matrix = 100 * np.eye(count, dtype=np.int64)
    for right, given, times in pairs:
        matrix[right, given] = times
    return LabelScores(int(matrix.sum()), 0.25, matrix)


def test_few_labels_are_confused_in_a_matrix():
    names = [f"l{n}" for n in range(MAX_COLUMNS)]
    last = labels_text(confused(MAX_COLUMNS, (1, 0, 7)), names).split("\n\n")[-1].splitlines()
    assert last[0].split() == ["right", "\\", "given", *names]
    assert last[2].split() == ["l1", "7", "100", *"0" * (MAX_COLUMNS - 2)]


def test_of_many_labels_the_most_frequent_confusions_are_shown():
    count = MAX_COLUMNS + 1
    names = [f"l{n}" for n in range(count)]

    def last(*pairs):
        return labels_text(confused(count, *pairs), names).split("\n\n")[-1].splitlines()

    assert last() == ["there is no wrong label"]
    head, *rows = last(*((n, n + 1, 10 * n) for n in range(1, 12)), (3, 0, 1_200), (2, 0, 1_200))
    assert head == "right  given  times"
    assert rows[-1] == "l4     l5        40"
    assert [row.split() for row in rows] == [
        ["l2", "l0", "1,200"],
        ["l3", "l0", "1,200"],
        *([f"l{n}", f"l{n + 1}", f"{10 * n}"] for n in range(11, 3, -1)),
    ]


def test_the_figures_of_labels_are_in_a_line_each():
    scores = LabelScores(1_000, 0.25, np.array([[600, 200, 0], [0, 200, 0], [0, 0, 0]]))
    head, table, _ = labels_text(scores, ["a", "b\n", "none"]).split("\n\n")
    assert head == "1,000 examples: accuracy 0.8000, macro F1 0.7619, 0.2500 nats per example"
    assert [line.split() for line in table.splitlines()] == [
        ["label", "precision", "recall", "F1", "examples"],
        ["a", "1.000", "0.750", "0.857", "800"],
        [r"b\n", "0.500", "1.000", "0.667", "200"],
        ["none", "0.000", "0.000", "0.000", "0"],
    ]
