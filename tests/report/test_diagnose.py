"""The report as people see it: text, page, figure."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from helpers import browser

from charrnn.config import ModelConfig, TrainConfig
from charrnn.diagnosis.compare import Contestant
from charrnn.diagnosis.examine import examine
from charrnn.diagnosis.settings import Settings
from charrnn.diagnosis.subjects import Subject
from charrnn.errors import CharRNNError
from charrnn.model.language import LanguageModel
from charrnn.report.diagnose import html, plot, terminal
from charrnn.report.diagnose.compare import compare_parts
from charrnn.report.diagnose.figures import bar, number, percent, spans, sparkline
from charrnn.report.diagnose.report import report_parts
from charrnn.report.diagnose.svg import Line, chart

IDS = np.random.default_rng(1).integers(0, 9, 900).astype(np.uint8)
QUICK = Settings(windows=3, anchors=20, targets=20, lyapunov_steps=80, gradcheck=True)


def report_of(cell="lstm", name="a run", **options):
    config = ModelConfig(**({"cell": cell, "hidden": 8, "layers": 2} | options))
    model = LanguageModel.fresh(config, 9, 0)
    subject = Subject(model, IDS, TrainConfig(batch=4), name=name, text="a text", fresh=True)
    return examine(subject, QUICK)


@pytest.fixture(scope="module")
def reports():
    return [report_of("rnn"), report_of("gru"), report_of("lstm", forget_bias=-6.0)]


def shown(report, width):
    return terminal.render(report_parts(report, width), width).decode()


@pytest.mark.parametrize("width", [80, 120])
def test_lines_fit_and_use_the_room(reports, width):
    for report in reports:
        lines = shown(report, width).splitlines()
        assert max(map(len, lines)) <= width
        assert not [line for line in lines if re.search(r"\w…", line)]  # nothing is cut off
    lag = {
        w: next(l for l in shown(reports[2], w).splitlines() if l.startswith("0 c"))
        for w in (80, 120)
    }
    assert len(lag[120]) > len(lag[80])


def test_a_narrow_terminal_cuts_the_lines_of_tables_off(reports):
    wide, narrow = (shown(reports[2], width).splitlines() for width in (80, 50))
    head = next(line for line in wide if line.startswith("context "))
    cut = next(line for line in narrow if line.startswith("context "))
    assert cut == head[:49] + "…"
    assert max(map(len, narrow)) <= 50


def test_verdicts_come_first_with_what_to_do(reports):
    text = shown(reports[2], 100)
    assert text.index("vanishing in layer 0") < text.index("How far back")
    assert "→" in text
    assert "forget_bias" in text


def test_the_bars_of_gates_start_from_one_line(reports):
    lines = [line for line in shown(reports[2], 80).splitlines() if "│" in line]
    assert len(lines) == 8  # two layers of an LSTM
    assert len({line.index("│") for line in lines}) == 1


def test_a_gradient_of_zero_is_a_dash_and_a_note():
    model = LanguageModel.fresh(ModelConfig(hidden=8), 1, 0)
    subject = Subject(model, np.zeros(300, np.uint8), TrainConfig(batch=4), name="a", text="b")
    report = examine(subject, QUICK)
    contestant = Contestant("lstm", report, 3, 1.0)
    compared = terminal.render(compare_parts([contestant], "b"), 100).decode()
    for text in (shown(report, 100), compared, html.page([report]), html.page([report, report])):
        assert "NaN" not in text
    for text in (shown(report, 100), compared, html.page([report])):
        assert "nothing to learn: the text is one symbol" in text


def test_names_cannot_reach_the_terminal_raw():
    report = report_of(name="run\x1b]0;owned\x07")
    report.subject = replace(report.subject, text="text\x1b[31m[bold]")
    text = shown(report, 80)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[bold]" in text


def test_a_broken_model_has_a_report_too():
    model = LanguageModel.fresh(ModelConfig(hidden=4), 9, 0)
    model.weights["decoder.bias"][0] = np.nan
    report = examine(Subject(model, IDS, TrainConfig(batch=4), name="b", text="t"), QUICK)
    assert "decoder.bias" in shown(report, 80)
    assert "decoder.bias" in html.page([report])


def test_numbers_are_short_at_any_size():
    assert number(None) == "–"
    assert number(float("nan")) == "NaN"
    assert number(float("-inf")) == "-∞"
    assert [number(v) for v in (0.0, 0.01234, 1.0, 12.345, 123.45, 9999.0)] == [
        "0", "0.0123", "1.00", "12.3", "123", "9,999"]  # fmt: skip
    assert number(1.234e-7) == "1.2e-7"
    assert number(5.6e12, 2) == "6e12"
    assert percent(0.0) == "0%"
    assert (percent(0.001), percent(0.999), percent(1.0)) == ("<1%", ">99%", "100%")


def test_bars_and_sparklines():
    assert bar(0.5, 4) == "██  "
    assert bar(1.7, 3) == "███"
    assert bar(float("nan"), 3) == "   "
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([1, 1e-2, 1e-4, 1e-6], 4, low=1e-6, high=1, logarithmic=True)[0] == "█"
    assert sparkline([1, 0.0, None, float("nan")], 4, low=1e-6, high=1, logarithmic=True) == "█▁▁▁"
    assert sparkline([3.0, 3.0], 2) == "▅▅"
    assert len(sparkline(list(range(100)), 12)) == 12
    assert spans(10, 3) == [(0, 3), (3, 7), (7, 10)]
    assert spans(2, 9) == [(0, 1), (1, 2)]


class Page(HTMLParser):
    """Collects what a browser would load, and whether every tag is closed."""

    VOID = ("meta", "br")

    def __init__(self):
        super().__init__()
        self.open, self.loads, self.ids, self.wanted = [], [], [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.loads += [attrs[k] for k in ("src", "href", "data", "action") if k in attrs]
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.wanted += [attrs[k] for k in ("aria-controls", "aria-labelledby") if k in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("count", [1, 3])
def test_the_page_is_whole_and_loads_nothing(reports, count):
    text = html.page(reports[-count:])
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.loads == []
    assert "@import" not in text
    assert "url(" not in text
    assert not re.search(r"https?://", text)
    assert len(set(page.ids)) == len(page.ids)
    assert set(page.wanted) <= set(page.ids)
    assert "prefers-color-scheme: dark" in text
    assert "nan" not in re.sub(r"[A-Za-z]*nan[a-z]+", "", text.partition("<main>")[2])


def test_the_page_says_which_form_of_a_cell_it_is_about(reports):
    for report, form in zip(
        reports, ("rnn tanh 2×8", "gru reset after 2×8", "lstm 2×8"), strict=True
    ):
        assert form in html.page([report])
        assert form in shown(report, 80)
        assert form in html.page(reports)


def test_the_page_escapes_what_users_named():
    text = html.page([report_of(name="<script>alert(1)</script>&\x1b")])
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in text
    assert "\x1b" not in text


def test_a_chart_leaves_out_what_cannot_be_drawn():
    gap = Line("a", [0, 1, 2, 3, 4], [1.0, 0.1, 0.0, 0.01, None], 0)
    drawn = chart([gap], title="t", x_label="x", y_label="y", log_y=True)
    assert drawn.count('<circle class="spot') == 3
    path, x = re.search(
        r'<path class="line c0" d="([^"]*)"/><circle class="f0" cx="([^"]*)" cy="[^"]*" r="4"/>',
        drawn,
    ).groups()
    assert path.count("M") == path.count("L") == 1  # a dot for the last point, which stands alone
    assert f'<circle class="spot f0" cx="{x}"' in drawn
    assert "no data" in chart([Line("a", [0], [None], 0)], title="t", x_label="", y_label="")


@pytest.mark.slow
def test_the_figure_is_drawn_on_one_page(reports, tmp_path):
    pytest.importorskip("matplotlib")
    for name, start in (("one.png", b"\x89PNG"), ("one.svg", b"<?xml"), ("one.pdf", b"%PDF")):
        plot.draw(reports[-1:], tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    plot.draw(reports, tmp_path / "three.svg")
    three = (tmp_path / "three.svg").read_text(encoding="utf-8")
    for title in ("Gradient norms before clipping", "Use of context", "Gates", "by lag"):
        assert title in three
    for cell in ("rnn layer 0", "gru layer 1", "lstm layer 1"):
        assert cell in three
    plot.draw(reports, tmp_path / "again.svg")
    assert (tmp_path / "again.svg").read_bytes() == (tmp_path / "three.svg").read_bytes()
    with pytest.raises(CharRNNError, match="cannot write"):
        plot.draw(reports, tmp_path / "no" / "one.png")


def test_the_missing_library_is_named(monkeypatch):
    monkeypatch.setattr(plot, "find_spec", lambda name: None)
    with pytest.raises(CharRNNError, match=r"charrnn\[plot\]"):
        plot.need_matplotlib()


CLICKS = """<script>
const tabs = [...document.querySelectorAll('[role=tab]')], seen = [];
const open = () => [...document.querySelectorAll('[role=tabpanel]')].filter(
  (panel) => panel.getBoundingClientRect().height > 0).map((panel) => panel.id).join();
seen.push(open());
for (const tab of tabs) { tab.click(); seen.push(open()); }
const press = (key) => document.activeElement.dispatchEvent(
  new KeyboardEvent('keydown', { key, bubbles: true }));
tabs[0].click(); tabs[0].focus();
press('ArrowRight'); seen.push(open() + '=' + document.activeElement.id);
press('End'); seen.push(open() + '=' + document.activeElement.id);
press('ArrowRight'); seen.push(open() + '=' + document.activeElement.id);
const wide = document.documentElement.scrollWidth > innerWidth;
const said = document.createElement('pre'); said.id = 'seen';
said.textContent = [...seen, 'wide ' + wide,
  'back ' + getComputedStyle(document.body).backgroundColor].join('|');
document.body.append(said);
</script>"""


@pytest.mark.slow
@browser.needed
@pytest.mark.parametrize(("scheme", "dark"), [(1, False), (0, True)])
def test_a_browser_shows_it_and_clicks_through_it(reports, scheme, dark, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(html.page(reports[-1:]).replace("</body>", CLICKS + "</body>"))
    prefer = f"--blink-settings=preferredColorScheme={scheme}"
    shown = browser.browse(page, prefer, "--window-size=1000,1200", "--dump-dom")
    seen = re.search(r'<pre id="seen">(.*?)</pre>', shown)[1].split("|")
    assert seen[:7] == ["p0", "p0", "p1", "p2", "p3", "p4", "p5"]
    assert seen[7:10] == ["p1=t1", "p5=t5", "p0=t0"]
    assert seen[10] == "wide false"
    red = int(re.search(r"rgb\((\d+)", seen[11])[1])
    assert (red < 60) if dark else (red > 200)
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    page.write_text(html.page(reports[-1:]))
    shots = []
    for tab in range(6):
        picture = tmp_path / f"{tab}.png"
        size = "--window-size=1000,1200"
        browser.browse(page, prefer, size, f"--screenshot={picture}", at=f"#part{tab}")
        shots.append(imread(picture)[:, :, :3])
    for image in shots:
        assert (image.mean() < 0.35) if dark else (image.mean() > 0.8)
        assert image.std() > 0.02  # something is drawn
    assert all((shots[0] != other).any() for other in shots[1:])
