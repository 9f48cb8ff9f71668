"""The page of ``charrnn view``: what is in it, its size, and that no text breaks out of it."""

import json
import re
from base64 import b64decode, b64encode
from dataclasses import replace
from hashlib import sha256
from html import unescape

import numpy as np
import pytest
from helpers import browser
from helpers.commands import inside
from helpers.exchanged import model
from helpers.pages import HOSTILE, make_run

from charrnn.report.view import page as pages
from charrnn.report.view.page import Asked, Viewed, page, record
from charrnn.view.influence import influence
from charrnn.view.meanings import Meaning, Meanings
from charrnn.view.passage import Passage
from charrnn.view.predictions import Predictions
from charrnn.view.values import Unit, every_state

STRANGE = HOSTILE + "\u202eab\u2066😀 </style>"


def viewed(text=STRANGE, level="char", **more):
    symbols = re.findall(r"\w+|\W", text) if level == "word" else text
    symbols = list(text.encode()) if level == "byte" else symbols
    ours = model({"cell": "lstm"}, text=symbols, level=level)
    passage = Passage(ours.vocabulary.encode(ours.vocabulary.text(text)), **more)
    units, states = every_state(ours.network, passage)
    meaning = Meaning("in <b>quotes</b>", False, Unit(0, 5), -1, 0.99, 0.9, 0.6, 0.5, 0.01)
    return Viewed(
        "</title><script>x</script>", ours.vocabulary, passage,
        Predictions.of(ours.network, passage, 5), influence(ours.network, passage, 6), units,
        states, Meanings([meaning], [], [], len(units), len(passage) // 2),
    )  # fmt: skip


def held(text):
    return json.loads(
        re.search(r'<script type="application/json" id="record">(.*?)</script>', text)[1]
    )


@pytest.mark.parametrize("level", ["char", "byte", "word"])
def test_the_page_holds_what_was_measured(level):
    one = viewed(level=level)
    found, length = held(page(one)), len(one.passage)
    symbols, own = found["symbols"], one.vocabulary.symbols
    assert [symbols[i] for i in found["ids"]] == [own[i] for i in one.passage.ids]
    assert found["bits"][0] is None
    assert found["bits"][1:] == pytest.approx(one.predictions.bits[1:], abs=6e-4)
    assert [symbols[i] for i in found["others"]] == [own[i] for i in one.predictions.others.ravel()]
    chances = np.array(found["chances"]).reshape(length, -1)
    assert chances[1:] == pytest.approx(one.predictions.chances[1:], abs=6e-5)
    shares = np.frombuffer(b64decode(found["influence"]), np.uint8).reshape(length, found["reach"])
    peaks = np.array(found["peaks"], float)
    assert shares / 255 * peaks[:, None] == pytest.approx(
        one.influence, rel=6e-3, abs=peaks.max() / 400
    )
    assert (shares.max(axis=1)[1:] == 255).all()
    assert len(found["units"]) == len(one.units)
    assert found["units"][0]["meaning"] == "in <b>quotes</b> (low)"
    names = [str(each) for each in one.units]
    for unit in found["units"]:
        values = np.frombuffer(b64decode(unit["values"]), np.uint8) / 255
        values = unit["low"] + values * (unit["high"] - unit["low"])
        expected = one.states[:, names.index(unit["name"])]
        assert values == pytest.approx(expected, abs=unit["high"] / 254)
    assert {unit["name"] for unit in found["units"]} == set(names)


def test_no_text_ends_the_script_and_only_its_own_script_runs():
    text = page(viewed())
    assert len(re.findall("</script", text)) == 2
    assert "<script>x" not in text
    assert "\u202e" not in text
    script = re.findall(r"<script>(.*?)</script>", text, re.S)[-1]
    style = re.search(r"<style>(.*?)</style>", text, re.S)[1]
    policy = unescape(re.search(r'Policy" content="(.*?)"', text)[1])
    assert policy.startswith("default-src 'none'")
    for kind, source in (("style", style), ("script", script)):
        digest = b64encode(sha256(source.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert not re.findall(r"\b(fetch|XMLHttpRequest|WebSocket|import|eval|innerHTML)\b\(?", text)
    ids = re.findall(r'\bid="([\w-]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'byId\("(\w+)"\)', script)) <= set(ids)


def test_units_that_do_not_fit_are_left_out_and_counted(monkeypatch):
    one = viewed(STRANGE * 8)
    whole = page(one)
    limit = len(whole.encode()) - 1000
    monkeypatch.setattr(pages, "LIMIT", limit)
    text = page(one)
    left = len(one.units) - len(held(text)["units"])
    assert left > 0
    assert f"{left} that vary least are left out" in text
    assert limit - 2000 < len(text.encode()) <= limit
    assert held(text)["units"] == held(whole)["units"][:-left]


def test_numbers_that_are_not_finite_are_none():
    one = viewed()
    broken = one.influence.copy()
    broken[3] = np.nan
    found = record(Viewed(**{**vars(one), "influence": broken}))
    assert found["peaks"][3] == "0"


ACTIONS = """<pre id="seen"></pre><script>
const $ = (id) => document.getElementById(id), seen = [];
const key = (key) => $("text").dispatchEvent(new KeyboardEvent("keydown", { key }));
seen.push($("text").children.length);
key("End");
seen.push(document.querySelectorAll("#text .here").length, $("bars").children.length);
seen.push(document.querySelectorAll("#text .matters").length > 0, $("causes").children.length > 0);
$("units").children[1].firstChild.click();
seen.push($("measure").textContent, $("by").selectedIndex);
$("level").value = 0;
$("level").dispatchEvent(new Event("input"));
seen.push(/\\d+ passages?; \\d+ of/.test($("count").textContent));
seen.push($("passages").children.length > 0);
$("passages").firstChild.firstChild.click();
seen.push(document.querySelectorAll("#text .here.found").length);
$("filter").value = "quotes";
$("filter").dispatchEvent(new Event("input"));
seen.push($("units").children.length, document.documentElement.scrollWidth);
$("seen").textContent = JSON.stringify(seen);
</script></body>"""


@pytest.mark.slow
@browser.needed
@pytest.mark.parametrize("level", ["char", "byte", "word"])
def test_it_works_in_a_browser(level, tmp_path):
    one = viewed(STRANGE * 3, level)
    text = re.sub(r"<meta http-equiv[^>]*>", "", page(one)).replace("</body>", ACTIONS)
    (tmp_path / "p.html").write_text(text, "utf-8", newline="")
    shown = browser.browse(tmp_path / "p.html", "--dump-dom", "--window-size=500,900")
    seen = json.loads(unescape(re.search(r'<pre id="seen">(.*?)</pre>', shown)[1]))
    assert seen == [len(one.passage), 1, 6, True, True, "unit 0:5", 1, True, True, 1, 1, 500]


@pytest.mark.slow
@browser.needed
@pytest.mark.parametrize("asked", ["0:5", "0:3:f"])
def test_it_opens_in_the_colours_of_what_was_asked_for(asked, tmp_path):
    one = viewed()
    layer, number, *what = asked.split(":")
    unit = Unit(int(layer), int(number), *what)
    of_unit = np.linspace(0, 1, len(one.passage))
    text = page(replace(one, asked=Asked(unit, of_unit, 0.0, 1.0)))
    (tmp_path / "p.html").write_text(text, "utf-8", newline="")
    shown = browser.browse(tmp_path / "p.html", "--dump-dom")
    assert f'<span id="measure">unit {asked}</span>' in shown
    assert re.findall(
        'aria-pressed="true" data-name="([^"]*)"|data-name="([^"]*)" aria-pressed="true"', shown
    ) == [("", asked)]


@pytest.mark.slow
@browser.needed
def test_the_page_of_the_command_runs_by_its_own_policy(tmp_path):
    run = make_run(tmp_path)
    done = inside("view", "--html", "v.html", cwd=run)
    assert done.returncode == 0, done.stderr
    shown = browser.browse(run / "v.html", "--dump-dom", at="#at=9&unit=0:3")
    assert "Here came" in shown
    assert 'class="matters"' in shown
    assert shown.count("data-at=") == len(held((run / "v.html").read_text("utf-8"))["ids"])
