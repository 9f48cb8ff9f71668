"""The pages with the keyboard alone: all is reached, seen and named; nothing holds the focus."""

import re

import pytest
from helpers import browser
from helpers.commands import inside
from helpers.keyboard import CONTROLS, opened
from helpers.pages import make_run

pytestmark = [pytest.mark.slow, browser.needed]
PAGES = {
    "writes": ("export", "--to", "html", "--out"),
    "view": ("view", "--html"),
    "diagnose": (
        "diagnose",
        "--windows",
        "2",
        "--anchors",
        "4",
        "--lyapunov-steps",
        "40",
        "--html",
    ),
    "history": ("diagnose", "--history", "--html"),
    "plot": ("plot", "--html"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("keys"), "--watch", "5", "--log-every", "2")


@pytest.fixture(params=PAGES)
def page(request, place):
    path = place / f"{request.param}.html"
    done = inside(*PAGES[request.param], path, cwd=place)
    assert done.returncode == 0, done.stderr
    return path


def test_tab_reaches_every_control_which_is_seen_and_has_a_name(page):
    with opened(page, "#pace=none") as shown:
        for width in (390, 1280):
            shown.size(width, 900)
            wanted = shown.evaluate(CONTROLS)
            assert len(wanted) > 1
            forth, back = shown.walk(), shown.walk(shift=True)
            reached = {each["place"] for each in forth}
            assert [each["html"] for each in wanted if each["place"] not in reached] == []
            assert {each["place"] for each in back} == reached
            assert [each["html"] for each in forth if not (each["shown"] and each["inside"])] == []
            assert shown.nameless() == []


def test_a_list_is_one_stop_in_which_arrows_move(place):
    assert inside("view", "--html", place / "list.html", cwd=place).returncode == 0
    with opened(place / "list.html") as shown:
        level = "document.getElementById('level')"
        shown.evaluate(f"{level}.value = 0; {level}.dispatchEvent(new Event('input'))")
        assert len(shown.walk()) == 7
        shown.evaluate("document.querySelector('#units button').focus()")
        named = "document.activeElement.dataset.name"
        for key, at in (("ArrowDown", 1), ("ArrowDown", 2), ("ArrowUp", 1), ("Home", 0)):
            shown.press(key)
            wanted = f"document.querySelectorAll('#units button')[{at}].dataset.name"
            assert shown.evaluate(named) == shown.evaluate(wanted)
        shown.press("End")
        last = shown.evaluate(named)
        shown.press("Enter")
        assert shown.evaluate("document.getElementById('measure').textContent") == f"unit {last}"


def test_arrows_read_the_points_of_a_chart(place):
    assert inside("diagnose", "--history", "--html", place / "c.html", cwd=place).returncode == 0
    with opened(place / "c.html") as shown:
        shown.evaluate("document.querySelector('.chart').focus()")
        read = "[...document.querySelectorAll('.readout')].map((one) => one.textContent).join()"
        for key, step in (("ArrowRight", 2), ("ArrowRight", 4), ("End", 60), ("ArrowLeft", 58)):
            shown.press(key)
            assert re.match(rf"all: {step} → ", shown.evaluate(read)), key
        shown.press("Escape")
        assert shown.evaluate(read) == ""
