"""The web page: what is in it, and that a browser computes and shows the same as charrnn."""

import json
import re
from base64 import b64decode, b64encode
from datetime import date
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from helpers import browser
from helpers.commands import inside
from helpers.exchanged import CASES, CELLS, TEXT, model

import charrnn
from charrnn.config import DataConfig
from charrnn.errors import CharRNNError
from charrnn.evaluate.whole import surprisals
from charrnn.exchange.page import contents, document, words
from charrnn.exchange.page.words import About, Losses
from charrnn.exchange.portable import Portable
from charrnn.sampling import Frame

HOSTILE = "<!--</script><script>alert(1)</script>\"'&\u2028\x00\x03\r\x7f\ud7ff𝒜\u200b\n"


def portable(ours):
    return Portable.of(ours.network, ours.vocabulary, ours.data)


def page(ours, bits=8, about=None):
    return document.page(portable(ours), bits, about or About())


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
    """A folder with a run that has a validation text."""
    where = tmp_path_factory.mktemp("page")
    (where / "t.txt").write_text("the cat sat on the mat\nA dog ate it!\n" * 60, encoding="utf-8")
    words = ("train", "t.txt", "--hidden", "12", "--steps", "60", "--lr", "0.05", "--batch", "4")
    done = inside(*words, "--seq-len", "16", *request.param, cwd=where)
    assert done.returncode == 0, done.stderr
    return where


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
    assert "the rounding costs is not measured: alone/m.safetensors has no val text" in done.stderr
    assert "kB opens slowly, and is too large for most mail; --bits 8 halves it" in done.stderr
    assert "<h1>m</h1>" in (run / "p.html").read_text("utf-8")


COMPUTE = """{{
const facts = {FACTS};
const text = new Text(facts);
const network = new Network(facts, "{WEIGHTS}");
const reader = new Reader(network, text);
{BODY}
all.push(found);
}}"""


def computed(tmp_path, *jobs):
    """Return what each body of a script finds, given (model, bits, body)."""
    folder = Path(document.__file__).parent
    script = [(folder / name).read_text("utf-8") for name in document.SCRIPTS[:-1]]
    script.append("const all = [];")
    for ours, bits, body in jobs:
        facts = contents.as_script(contents.facts(portable(ours), bits))
        weights = contents.weights(portable(ours), bits)
        script.append(COMPUTE.format(FACTS=facts, WEIGHTS=weights, BODY=body))
    script.append('document.getElementById("all").textContent = JSON.stringify(all);')
    path = tmp_path / "page.html"
    head = '<!doctype html><meta charset="utf-8"><pre id="all"></pre>'
    path.write_text(head + "<script>" + "\n".join(script) + "</script>", "utf-8")
    shown = browser.browse(path, "--dump-dom")
    return json.loads(unescape(re.search(r'<pre id="all">(.*?)</pre>', shown, re.S)[1]))


SCORE = """const bits = [];
  reader.change(PRIME);
  for (const piece of reader.pieces) bits.push(piece.bits);
  for (let k = 0; k < 200; k++) {
    const id = draw(reader.logits, 0, text.unknown, uniform(1, reader.taken));
    reader.push(text.written(id), "network");
  }
  const found = { bits, text: text.plain(reader.string) };"""


@pytest.mark.slow
@browser.needed
def test_a_browser_computes_the_same(tmp_path):
    models = [(model(case), 16 if case["layers"] == 2 else 8) for case in CASES]
    body = SCORE.replace("PRIME", contents.as_script(TEXT))
    found = computed(tmp_path, *((*each, body) for each in models))
    for case, (ours, bits), one in zip(CASES, models, found, strict=True):
        exact = ours.rounded(bits)
        scored = surprisals(exact.network, [exact.vocabulary.encode(TEXT)])
        expected = np.concatenate([nats for _, nats in scored]) / np.log(2)
        assert one["bits"][0] is None
        assert one["bits"][1:] == pytest.approx(expected[1:], abs=1e-5), case
        assert one["text"] == TEXT + exact.sample(200, prime=TEXT, temperature=0), case


EDIT = """const found = [];
for (const edit of EDITS) {
  reader.change(text.shown(edit));
  const fresh = new Reader(network, text);
  fresh.change(text.shown(edit));
  const place = Math.floor(reader.pieces.length / 2);
  const half = new Reader(network, text);
  half.change(reader.pieces.slice(0, place).map((piece) => piece.text).join(""));
  const equal = (a, b) => JSON.stringify(a.logits) === JSON.stringify(b.logits);
  found.push([text.plain(reader.string), reader.pieces.flatMap((piece) => piece.ids),
    equal(reader, fresh), place === 0 || equal(reader.copy(place), half),
    reader.pieces.every((piece) => piece.known)]);
}"""


@pytest.mark.slow
@browser.needed
def test_a_browser_reads_any_alphabet_and_edits(tmp_path):
    text = HOSTILE.replace("\r", "") + "ça va, 𝒜? ␣ नमस्ते 日本 naïve\t\n"
    symbols = {"char": text, "byte": list(text.encode()), "word": re.findall(r"\w+|\W", text)}
    edits = [text, "ça va", "ça 𝒜 va", "", "𝒜 日本, " + text, text + "?"]
    models = [
        model({"cell": "gru", "embed": 4}, text=each, level=level)
        for level, each in symbols.items()
    ]
    body = EDIT.replace("EDITS", contents.as_script(edits))
    for ours, found in zip(
        models, computed(tmp_path, *((ours, 8, body) for ours in models)), strict=True
    ):
        for edit, (shown, ids, same, half, known) in zip(edits, found, strict=True):
            assert shown == edit
            assert ids == ours.vocabulary.encode(ours.vocabulary.text(edit), "skip").tolist()
            assert (same, half, known) == (True, True, True)


@pytest.mark.slow
@browser.needed
def test_bytes_that_make_a_character_are_joined(tmp_path):
    text = "aé𝒜\n"
    ours = model({"cell": "rnn"}, text=[*range(256)], level="byte")
    body = f"""for (const id of {[*text.encode(), 0xE2, 0x41, 0xFF]}) {{
        reader.push(text.written(id), "network");
      }}
      const found = [reader.pieces.map((piece) => piece.text.codePointAt(0)), reader.taken];"""
    ((codes, taken),) = computed(tmp_path, (ours, 8, body))
    assert codes == [*map(ord, text), 0xDCE2, 0x41, 0xDCFF]
    assert taken == len(text.encode()) + 3


@pytest.mark.slow
@browser.needed
def test_symbols_that_it_does_not_know_are_shown(tmp_path):
    for unknown in (False, True):
        ours = model({"cell": "lstm"})
        if unknown:
            ours = model({"cell": "lstm"}, text=TEXT + "\ufffd")
            ours.vocabulary = ours.vocabulary.__class__("char", ours.vocabulary.symbols,
                                                        len(ours.vocabulary) - 1)  # fmt: skip
        (tmp_path / "p.html").write_text(page(ours), "utf-8")
        address = "#text=zw%C3%B8lf&pace=none&seed=x&temperature=y&write=50"
        options = ("--dump-dom", "--virtual-time-budget=3000")
        shown = browser.browse(tmp_path / "p.html", *options, at=address)
        assert '<span class="not-known">ø</span>' in shown
        assert "Paused" in shown  # whatever the address says besides
        how = "are all alike to it" if unknown else "are passed over"
        assert f"The model has never seen ø – underlined characters {how}." in shown


@pytest.mark.slow
@browser.needed
def test_the_page_itself_writes_what_charrnn_sample_writes(run):
    assert inside("export", "--to", "html", "--out", "p.html", cwd=run).returncode == 0
    found = charrnn.load(next(run.glob("checkpoints/*")))
    found.rounded(8).save(run / "rounded.safetensors")
    for prime in ("", "A dog"):
        words = ("sample", "rounded.safetensors", "--temp", "0", "--length", "200")
        given = ("--prime", prime) if prime else ()
        expected = inside(*words, *given, cwd=run).stdout.rstrip("\n")  # the prime is shown, too
        shown = browser.browse(run / "p.html", "--dump-dom", "--virtual-time-budget=20000",
                               at=f"#temperature=0&pace=full&write=200&text={prime}")  # fmt: skip
        sheet = re.search(r'<span id="written">(.*?)</span><span id="ahead">', shown, re.S)[1]
        written = unescape(re.sub("<[^>]*>", "", sheet))
        assert "Paused" in shown
        assert len(written) == len(prime) + 200
        if found.data.examples:
            assert written.startswith(expected + "\n")
        else:
            assert written.rstrip("\n") == expected


ACTIONS = """<pre id="seen"></pre><script>
const seen = [], $ = (id) => document.getElementById(id), area = $("text");
const wait = () => new Promise((then) => setTimeout(then, 500));
const typed = async (text) => {
  area.value = text;
  area.dispatchEvent(new Event("input"));
  await wait();
};
const cursor = async (at) => {
  area.focus();
  area.setSelectionRange(at, at);
  document.dispatchEvent(new Event("selectionchange"));
  await wait();
};
const key = (key, more) => document.dispatchEvent(new KeyboardEvent("keydown", { key, ...more }));
const note = (...found) => seen.push(...found, $("written").textContent === area.value);
(async () => {
  await wait();
  await typed("the cat");
  const ahead = $("ahead").textContent;
  note(ahead.length);
  $("step").click();
  $("step").click();
  note(area.value === "the cat" + ahead.slice(0, 2));
  key("Enter", { ctrlKey: true });
  await wait();
  note($("verb").textContent);
  key("Escape");
  await wait();
  note($("verb").textContent, area.value.startsWith("the cat" + ahead.slice(0, 50)));
  const before = area.value;
  document.querySelector(".bar").click();
  note(area.value.length - before.length);
  await cursor(4);
  note($("coming").textContent, $("what").textContent.replace(/[\\d.]+/, "N"));
  await cursor(0);
  note($("what").textContent.replace(/[\\d.]+ bits/, "N bits"));
  await typed("the dog" + before.slice(7));
  note($("tally").textContent.replace(/[\\d.]+ bits/, "N bits"), before.length);
  $("clear").click();
  await wait();
  note(area.value, $("ahead").textContent.length, document.documentElement.scrollWidth);
  $("seen").textContent = JSON.stringify(seen);
})();
</script></body>"""


@pytest.mark.slow
@browser.needed
def test_what_is_pressed_and_typed_does_what_it_says(run):
    assert inside("export", "--to", "html", "--out", "p.html", cwd=run).returncode == 0
    text = re.sub(r"<meta http-equiv[^>]*>", "", (run / "p.html").read_text("utf-8"))
    (run / "q.html").write_text(text.replace("</body>", ACTIONS), "utf-8")
    shown = browser.browse(run / "q.html", "--dump-dom", "--virtual-time-budget=30000",
                           "--window-size=500,900")  # fmt: skip
    seen = json.loads(unescape(re.search(r'<pre id="seen">(.*?)</pre>', shown)[1]))
    length = seen[17]
    lines = charrnn.load(next(run.glob("checkpoints/*"))).data.examples
    first = (
        "Here came t, which cost N bits." if lines else "Nothing comes before the first character."
    )
    assert seen == [
        160, True, True, True, "Pause", True, "Write", True, True, 1, True,
        "What it expected here", "Here came c, which cost N bits.", True,
        first, True,
        f"{length} characters; yours: N bits each", length, True, "", 160, 500, True,
    ]  # fmt: skip
