"""The page of the gradients over training."""

import re

from charrnn.diagnosis.history import read
from charrnn.report.diagnose import history_page

LAYERS = ["embedding", *(f"l{k}" for k in range(9)), "decoder"]


def recorded(steps=1000, jump=400, watch=True, layers=("l0", "decoder")):
    """Return the history of a run whose gradient jumps once, and is once not a number."""
    lines = []
    for step in range(1, steps + 1):
        norm = 90.0 if step == jump else None if step == jump + 200 else 0.5 + 0.001 * step
        lines.append({"event": "step", "step": step, "grad_norm": norm, "loss": 3.0 - 0.002 * step})
        if watch and step % 10 == 0:
            lines.append(
                {"event": "watch", "step": step, "grad_norms": dict.fromkeys(layers, 0.25),
                 "update_ratios": {**dict.fromkeys(layers, 2e-3), "global": 1e-3},
                 "clip_rate": 0.5}
            )  # fmt: skip
    return read("runs/<b>", lines)


def points(page, chart):
    """Return the points of each line of a chart, as (step, value), by its name."""
    figure = next(f for f in page.split("<figure>") if f.startswith(f"<figcaption>{chart}"))
    found = {}
    for name, step, value in re.findall(r"<title>(.*?): (\d+) → (\S+?)</title>", figure):
        found.setdefault(name, []).append((int(step), value))
    return found


def test_a_line_keeps_the_largest_of_many_records_and_breaks_where_there_is_none():
    page = history_page.page(recorded())
    norms = points(page, "Gradient norms")
    assert list(norms) == ["all", "l0", "decoder"]
    assert len(norms["all"]) == history_page.POINTS - 1
    assert (400, "90.00") in norms["all"]
    assert not [step for step, _ in norms["all"] if 599 <= step <= 601]
    assert norms["l0"][0] == (10, "0.2500")
    assert ("↑" in page, page.count('class="mark"')) == (True, 2)


def test_all_that_is_recorded_is_shown():
    page = history_page.page(recorded(50, 40))
    assert list(points(page, "Update ratios")) == ["all", "l0", "decoder", "rule of thumb, 0.001"]
    assert points(page, "Steps that were clipped") == {
        "Steps that were clipped": [(step, "0.5000") for step in range(10, 51, 10)]
    }
    assert points(page, "Training loss")["Training loss"][0] == (1, "2.998")
    assert '<th scope="row">40</th><th scope="row">all</th><td>90.0</td>' in page
    assert "runs/&lt;b&gt;" in page


def test_without_watch_there_is_the_norm_and_what_to_do():
    page = history_page.page(recorded(watch=False))
    assert list(points(page, "Gradient norms")) == ["all"]
    assert "Update ratios" not in page
    assert "train with --watch 10" in page


def test_many_layers_differ_in_colour_or_dashes():
    page = history_page.page(recorded(30, 0, layers=LAYERS))
    legend = page.split('<ul class="legend">')[1].split("</ul>")[0]
    kinds = re.findall(r'class="(line c\d(?: dashed)?)"', legend)
    assert len(kinds) == len(set(kinds)) == 1 + len(LAYERS)
    assert "No jumps" in page
