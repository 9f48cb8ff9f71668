"""The web page in a browser: it computes, writes and shows the same as charrnn."""

import json
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from helpers import browser
from helpers.commands import inside
from helpers.exchanged import CASES, TEXT, model
from helpers.pages import HOSTILE, make_run, page, portable

import charrnn
from charrnn.evaluate.whole import surprisals
from charrnn.exchange.page import contents, document


@pytest.fixture(scope="module", params=[(), ("--examples", "line")], ids=["text", "lines"])
def run(request, tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("page"), *request.param)


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
