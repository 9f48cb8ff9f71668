"""Curves as text, as a drawing and as a page."""

import re
from html.parser import HTMLParser

import pytest
from helpers import browser

from charrnn.errors import CharRNNError
from charrnn.evaluate.curves import Curves
from charrnn.report.curves import figure, page
from charrnn.report.curves.canvas import Canvas, Scale, axis, joined, means
from charrnn.report.curves.chart import MOST, Chart, entering
from charrnn.report.curves.terminal import curve_parts
from charrnn.report.diagnose.terminal import render


def run(name, losses, task="lm", **start):
    """Return the curves of a run with these validation losses, 100 steps apart."""
    records = [{"event": "start", "step": 0, "task": task, "steps_per_epoch": 50, **start}]
    for at, loss in enumerate(losses, 1):
        when = {"step": 100 * at, "seconds": 60.0 * at}
        records.append({"event": "step", "smoothed": loss - 0.1, "lr": 0.01 / at, **when})
        measured = {"accuracy": 1 / at} if task == "classify" else {}
        records.append({"event": "eval", "val_loss": loss, **measured, **when})
    return Curves.of(name, records)


def told(runs, coloured=False, over="steps", width=80):
    return render(curve_parts(Chart.of(runs, over), width, coloured), 1000).decode()


def test_a_line_enters_the_axis_where_it_crosses_its_end():
    assert entering([(0, 5.0), (10, 3.0), (20, 4.5), (30, 1.0)], 4.0) == [
        (5.0, 4.0), (10, 3.0), (20, 4.0), (30, 1.0),
    ]  # fmt: skip
    assert entering([(0, 5.0)], 4.0) == []
    assert entering([(0, 3.0)], 4.0) == [(0, 3.0)]


def test_columns_show_means_and_are_joined():
    assert means([(0.0, 1.0), (0.04, 3.0), (1.0, 7.0)], 10) == [(0, 2.0), (10, 7.0)]
    assert joined([(0, 2.0), (2, 3.0)]) == [(0, 2.0), (1, 2.5), (2, 3.0)]
    assert joined([]) == []


def test_dots_are_where_the_values_are():
    canvas = Canvas(3, 2, Scale(0, 5), Scale(0, 7))
    canvas.draw([(0, 0), (5, 0)], "")  # along the bottom
    canvas.mark([(5, 7)], "●", "")
    rows = [line.plain[-3:] for line in canvas.lines()]
    assert rows == ["  ●", "⣀⣀⣀"]


@pytest.mark.parametrize("width", [24, 40, 71])
@pytest.mark.parametrize("end", [0.0, 0.02, 7.0, 123_456.0, 3e9])
def test_an_axis_fits_its_width(width, end):
    lines = axis(Scale(0, end), width, "characters read")
    assert all(len(line) <= width + 9 for line in lines)
    assert "characters read" in lines[-1]


def test_one_run_in_a_pipe():
    text = told([run("one", [3.0, 2.0, 1.5, 1.25])])
    chart = text.partition("Learning rate")[0]
    assert chart.count("●") == 4 + 1  # and in the legend
    assert re.search(r"^one +400 +8.0 +1.1500 +1.2500 +1.2500 +400 +4 m 00 s$", text, re.M)
    assert "\x1b" not in text
    assert max(map(len, chart.splitlines())) <= 80
    assert " minutes" in told([run("one", [3.0, 2.0])], over="minutes")


def letters(text):
    """Return the letters inside the first chart of a text."""
    rows = [line for line in text.partition("└")[0].splitlines() if re.search("[│┤]", line)]
    return {letter for row in rows for letter in re.findall("[A-Za-z]", row)}


def test_several_runs_have_letters():
    a, b = run("a", [3.0, 2.0], hidden=8), run("b", [2.5, 1.0, 0.5], hidden=16)
    assert letters(told([a, b])) == {"A", "B", "a", "b"}
    assert letters(told([a, b], coloured=True)) == {"A", "B"}
    assert re.search(r"^B +b +16$", told([a, b]), re.M)
    assert "cannot be compared" not in told([a, b])
    assert "cannot be compared" in told([a, run("c", [1.0], "classify")])


def test_measures_and_rollbacks_are_shown():
    runs = [run("c", [1.0, 0.5, 0.2], "classify")]
    runs[0].take({"event": "rollback", "step": 290, "to_step": 200, "lr_factor": 0.5})
    text = told(runs)
    assert "\naccuracy\n" in text
    assert "nats per text" in text
    row = next(line for line in text.splitlines() if "↺" in line)
    assert row.index("↺") == 9 + 70 - 1
    assert re.search(r"accuracy +rollbacks", text)


def test_of_many_runs_the_best_have_colours():
    chart = Chart.of([run(f"r{i}", [3.0, 1.0 + i]) for i in range(MOST + 4)], "steps")
    assert [one.name for one in chart.others] == ["r8", "r9", "r10", "r11"]
    assert told(chart.runs).count("∙") > 4
    assert all(one.name in page.page(chart) for one in chart.runs)


def test_very_different_rates_are_relative():
    a, b = run("a", [3.0, 2.0]), run("b", [3.0, 2.0])
    b.take({"event": "step", "step": 300, "lr": 1.0})
    assert not Chart.of([a, a], "steps").relative_rates
    chart = Chart.of([a, b], "steps")
    assert chart.relative_rates
    assert [max(y for _, y in line) for _, line in chart.rates] == [1.0, 1.0]


def test_a_run_without_validation_or_rates_is_shown():
    only = Curves.of("only", [{"event": "step", "step": 5, "smoothed": 2.0}])
    assert "–" in told([only])
    bare = Curves.of("bare", [{"event": "eval", "step": 5, "accuracy": 0.5}])
    assert "no losses are recorded" in told([bare])
    for runs in ([only], [bare]):
        assert "<html" in page.page(Chart.of(runs, "steps"))


def test_verdicts_are_shown():
    runs = [run("a", [3.0, 2.0]), run("b", [1.0])]
    chart = Chart.of(runs, "steps", ["cut <short>", ""])
    text = render(curve_parts(chart, 80, False), 1000).decode()
    assert "\nVerdicts\nA  cut <short>\n" in text
    assert "<b>a</b>: cut &lt;short&gt;" in page.page(chart)
    alone = Chart.of(runs[:1], "steps", ["cut <short>"])
    assert "<p>cut &lt;short&gt;</p>" in page.page(alone)


class Parser(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.links = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_no_network():
    runs = [run("a<b", [3.0, 2.0]), run("c", [1.0, 0.5], "classify")]
    text = page.page(Chart.of(runs, "epochs"))
    parser = Parser()
    parser.feed(closed(text))
    assert (parser.open, parser.links) == ([], [])
    assert "a&lt;b, validation: 4 → 2.000" in text
    assert "a<b" not in text
    assert "Accuracy" in text


def closed(text):
    """Return a page with empty elements as two tags."""
    return re.sub(r"<(\w+)([^<>]*)/>", r"<\1\2></\1>", text)


def test_a_long_run_has_a_short_page():
    records = [{"event": "step", "step": n, "smoothed": 1.0, "lr": 0.1} for n in range(1, 5_000)]
    assert len(page.page(Chart.of([Curves.of("long", records)], "steps"))) < 200_000


@pytest.mark.slow
def test_the_drawing(tmp_path):
    pytest.importorskip("matplotlib")
    runs = [run("a$b", [3.0, 2.0]), run("c", [1.0, 0.5], "classify"), Curves("empty")]
    runs[0].take({"event": "rollback", "step": 290, "to_step": 200, "lr_factor": 0.5})
    chart = Chart.of(runs, "steps")
    for name, start in (("one.png", b"\x89PNG"), ("one.svg", b"<?xml"), ("one.pdf", b"%PDF")):
        figure.draw(chart, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    drawn = (tmp_path / "one.svg").read_text(encoding="utf-8")
    for text in ("a$b", "Accuracy", "Learning rate", "rolled back", "validation", ">steps<"):
        assert text in drawn
    with pytest.raises(CharRNNError, match="cannot write"):
        figure.draw(chart, tmp_path / "no" / "one.png")


HOVER = """<script>
const chart = document.querySelector('.chart'), at = chart.getBoundingClientRect();
chart.dispatchEvent(new PointerEvent('pointermove', { clientX: at.right - 20, clientY: 9 }));
const said = document.createElement('pre'); said.id = 'seen';
said.textContent = document.querySelector('.readout').textContent
  + '|' + document.querySelectorAll('.near').length;
chart.dispatchEvent(new PointerEvent('pointerleave'));
said.textContent += '|' + document.querySelectorAll('.readout, .near').length;
document.body.append(said);
</script>"""


@pytest.mark.slow
@browser.needed
def test_a_browser_shows_the_numbers_under_the_pointer(tmp_path):
    path = tmp_path / "page.html"
    text = page.page(Chart.of([run("a", [3.0, 2.0]), run("b", [2.5, 1.0])], "steps"))
    path.write_text(text.replace("</body>", HOVER + "</body>"), encoding="utf-8")
    shown = browser.browse(path, "--window-size=1000,1200", "--dump-dom")
    seen = re.search(r'<pre id="seen">(.*?)</pre>', shown)[1].split("|")
    assert "a, validation: 200 → 2.000" in seen[0]
    assert "b, validation: 200 → 1.000" in seen[0]
    assert (int(seen[1]) >= 2, seen[2]) == (True, "0")
