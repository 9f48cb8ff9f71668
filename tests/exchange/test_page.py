"""The web page: what is in it, and what the command says of it."""

import json
import re
from base64 import b64decode, b64encode
from datetime import date
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest
from helpers.commands import inside
from helpers.exchanged import CELLS, TEXT, model
from helpers.pages import HOSTILE, make_run, page, portable

from charrnn.config import DataConfig
from charrnn.errors import CharRNNError
from charrnn.exchange.page import contents, document, words
from charrnn.exchange.page.words import About, Losses
from charrnn.sampling import Frame


class Elements(HTMLParser):
    """Collects elements with their attributes, and the text of scripts and styles."""

    def __init__(self, page):
        super().__init__()
        self.found, self.open = [], False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append([tag, dict(attrs), ""])
        self.open = True

    def handle_endtag(self, tag):
        self.open = False

    def handle_data(self, data):
        if self.open:
            self.found[-1][2] += data

    def of(self, tag):
        return [(attrs, text) for each, attrs, text in self.found if each == tag]


@pytest.mark.parametrize("level", ["char", "word"])
def test_no_symbol_ends_the_script_that_it_is_in(level):
    symbols = HOSTILE if level == "char" else re.findall(r"\w+|\W", HOSTILE)
    ours = model({"cell": "rnn"}, text=symbols, level=level)
    found = Elements(page(ours, about=About(name="</title><script>x</script>", texts=("<b>&",))))
    kinds = [attrs.get("type") for attrs, _ in found.of("script")]
    assert kinds == ["application/json", "text/plain", None]
    facts = json.loads(found.of("script")[0][1])
    assert facts["symbols"] == list(ours.vocabulary.symbols)
    assert not found.of("b")


def test_nothing_is_asked_for_and_only_its_own_script_runs():
    text = page(model({"cell": "lstm"}))
    found = Elements(text)
    policy = next(a["content"] for a, _ in found.of("meta") if "http-equiv" in a)
    digests = {
        tag: b64encode(sha256(found.of(tag)[-1][1].encode()).digest()).decode()
        for tag in ("style", "script")
    }
    assert policy.split("; ") == [
        "default-src 'none'", "img-src data:", "base-uri 'none'", "form-action 'none'",
        f"style-src 'sha256-{digests['style']}'", f"script-src 'sha256-{digests['script']}'",
    ]  # fmt: skip
    for tag, attrs, _ in found.found:
        assert not attrs.keys() & {"src", "srcset", "style", "action", "onclick", "onload"}
        assert attrs.get("href", "data:").startswith("data:"), tag
    assert not re.findall(r"\b(fetch|XMLHttpRequest|WebSocket|import|eval|innerHTML)\b\(?", text)
    assert set(re.findall(r"https?://[^'\"\s]*", text)) == {"http://www.w3.org/2000/svg"}


def test_every_control_has_a_name():
    found = Elements(page(model({"cell": "lstm"})))
    labelled = {attrs["for"] for attrs, _ in found.of("label")}
    for tag in ("input", "select", "textarea"):
        for attrs, _ in found.of(tag):
            assert "aria-label" in attrs or attrs["id"] in labelled
    ids = [attrs["id"] for _, attrs, _ in found.found if "id" in attrs]
    assert len(ids) == len(set(ids))
    script = found.of("script")[-1][1]
    assert set(re.findall(r'byId\("(\w+)"\)', script)) <= set(ids)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("cell", CELLS)
def test_the_weights_are_those_of_the_rounded_model(cell, bits):
    ours = model({**cell, "layers": 2, "embed": 5})
    data = b64decode(contents.weights(portable(ours), bits))
    found = portable(ours.rounded(bits))
    at = 0

    def numbers(kind, length):
        nonlocal at
        at += length * np.dtype(kind).itemsize
        return np.frombuffer(data, kind, length, at - length * np.dtype(kind).itemsize)

    for array in contents._arrays(found):
        if array.ndim == 2:
            scales = numbers("<f4", len(array))
            array_found = scales[:, None] * numbers(f"<i{bits // 8}", array.size).reshape(
                array.shape
            )
            assert (array_found.astype(np.float32) == array).all()
        else:
            assert (numbers("<f4", array.size) == array).all()
    assert at == len(data)


@pytest.mark.parametrize(
    "how", [{}, {"join": "ab"}, {"examples": "line"}, {"examples": "document", "join": "zw"},
            {"examples": "document"}]
)  # fmt: skip
def test_a_text_begins_as_samples_do(how):
    ours = model({"cell": "gru"}, text=TEXT + "ab\x03")
    ours.data = DataConfig(**how)
    facts = contents.facts(portable(ours), 8)
    frame = Frame.of(ours.data)
    assert facts["start"] == frame.start(ours.vocabulary).tolist()
    assert facts["examples"] == bool(frame.examples)
    end = frame.join if frame.examples else ""
    assert facts["end"] == ours.vocabulary.encode(end).tolist()


def test_it_says_what_the_model_is():
    ours = portable(model({"cell": "gru", "gru_reset": "before"}))
    about = About("a b", ("one.txt", "two.txt"), date(2026, 3, 5), Losses(1000, 1.0, 1.0625))
    V = len(ours.vocabulary)
    assert words.lead(ours, about) == (
        "A small neural network that learned from one.txt and two.txt. It guesses the next "
        f"character of a text, again and again. All it knows is in {ours.model.weights.flat.size:,}"
        " numbers, 1 layer of 7 GRU units, trained until 5 March 2026. In a text that it had not "
        f"seen, each character cost it 1.53 bits; a blind guess among its {V} characters costs "
        f"{np.log2(V):.2f}."
    )
    assert words.footing(ours, about, 8, 1500) == (
        "Its weights are kept in 8 bits (1.5 kB), which costs +0.0902 bits a character (1.0000 → "
        "1.0625 nats, measured on 1,000 characters)."
    )
    assert "5 texts" in words.lead(ours, About(texts=("a",) * 5))
    assert words.title(About()) == "A language model"


def test_a_page_that_no_browser_opens_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(document, "_MAX_BYTES", 10_000)
    with pytest.raises(CharRNNError, match=r"the page would have .* kB, and browsers open at most"):
        model({"cell": "lstm"}).export(tmp_path / "m.html", to="html")
    assert not (tmp_path / "m.html").exists()


@pytest.fixture(scope="module", params=[(), ("--examples", "line")], ids=["text", "lines"])
def run(request, tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("page"), *request.param)


def test_the_command_measures_what_rounding_costs(run):
    words = ("export", "--to", "html", "--out", "p.html")
    facts = json.loads(inside(*words, "--json", cwd=run).stdout)
    shown = unescape((run / "p.html").read_text("utf-8"))
    assert facts["bytes"] == (run / "p.html").stat().st_size
    assert (facts["to"], facts["bits"]) == ("html", 8)
    exact, rounded = facts["nats_per_char"], facts["rounded_nats_per_char"]
    assert exact != rounded
    assert abs(exact - rounded) < 0.02
    scored = json.loads(inside("eval", "--split", "val", "--json", cwd=run).stdout)
    assert facts["chars"] == scored["chars"]
    assert exact == pytest.approx(scored["nats_per_char"], abs=0.1)  # streams begin anew
    assert "<h1>t</h1>" in shown
    assert "learned from t.txt. It guesses" in shown
    assert f"({exact:.4f} → {rounded:.4f} nats" in shown
    line = inside(*words, "--bits", "16", cwd=run).stdout
    assert re.match(r"p\.html: [\d.]+ kB, weights in 16 bits\nloss: \d\.\d{4} nats per char", line)


def test_notes_say_that_it_is_large_or_not_measured(run, monkeypatch):
    (run / "alone").mkdir(exist_ok=True)
    best = next(run.glob("checkpoints/*/best.safetensors"))
    (run / "alone/m.safetensors").write_bytes(best.read_bytes())
    monkeypatch.setattr("charrnn.cli._page.LARGE", 1000)
    words = ("export", "alone/m.safetensors", "--to", "html", "--out", "p.html")
    done = inside(*words, "--bits", "16", cwd=run)
    assert (
        "the rounding costs is not measured: alone/m.safetensors has no validation text"
        in done.stderr
    )
    assert "kB opens slowly, and is too large for most mail; --bits 8 halves it" in done.stderr
    assert "<h1>m</h1>" in (run / "p.html").read_text("utf-8")
