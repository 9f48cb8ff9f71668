"use strict";
/* What is on the screen. The text area holds the text, and lies, without ink, on a sheet that shows
   the same text in colours and, after it, what the network would write next. */

(() => {
  const BARS = 8, AHEAD = 160, ROOM = 10000; // rows; pieces shown ahead; pieces of a text
  const SLICE = 12, MOST = 64; // milliseconds and symbols before the page is drawn again
  const HEAT = [0.5, 1.5, 3, 5, 7, 10]; // bits from which a piece has the next colour
  const byId = (id) => document.getElementById(id);
  const area = byId("text"), paper = byId("paper"), written = byId("written");
  const later = byId("ahead"), state = byId("state"), temperature = byId("temperature");
  const seed = byId("seed"), pace = byId("pace");
  let text, network, reader;
  let writing = null; // {begun, count, most} while the network writes
  let runs = []; // {start, span, kind}: the spans of the sheet
  let turn = 0; // changes whenever what is shown ahead is no longer true
  let drawn = 0; // when the bars were last drawn

  const heat = () => Number(temperature.value);
  const seeded = () => Math.max(0, Math.floor(Number(seed.value) || 0)) % 2 ** 32;
  const many = (n, what) => n.toLocaleString("en") + " " + what + (n === 1 ? "" : "s");
  const percent = (p) =>
     (p === 0 ? "0" : p < 0.001 ? "< 0.1" : (100 * p).toFixed(p < 0.0995 ? 1 : 0)) + " %";
  const say = (what) => { if (state.textContent !== what) state.textContent = what; };

  function next(of) {
    return draw(of.logits, heat(), text.unknown, uniform(seeded(), of.taken));
  }

  /* ---- the sheet ---- */

  function kindOf(piece) {
    if (!piece.known) return "not-known";
    if (piece.by === "network") return "by-network";
    if (piece.bits === null) return "";
    const level = HEAT.filter((bits) => piece.bits >= bits).length;
    return level ? "heat" + level : "";
  }

  /* Shows the pieces from `from` on; those before have not changed. */
  function show(from) {
    while (runs.length && runs.at(-1).start >= from) runs.pop().span.remove();
    let at = runs.length ? runs.at(-1).start : 0;
    let run = runs.at(-1);
    if (run) run.span.textContent = "";
    for (; at < reader.pieces.length; at++) {
      const piece = reader.pieces[at];
      const kind = kindOf(piece);
      if (!run || (run.kind !== kind && at >= from)) {
        run = { start: at, kind, span: document.createElement("span"), text: "" };
        if (kind) run.span.className = kind;
        runs.push(run);
        written.append(run.span);
      }
      run.text = at === run.start ? piece.text : run.text + piece.text;
      if (at + 1 === reader.pieces.length || kindOf(reader.pieces[at + 1]) !== kind) {
        run.span.textContent = run.text;
      }
    }
  }

  /* Shows what the network would write next, a slice at a time. */
  function showAhead() {
    const own = ++turn;
    later.textContent = "\u200b"; // so that a last empty line has its height
    if (writing || reader.pieces.length >= ROOM) return;
    const other = reader.copy();
    const first = other.pieces.length;
    const slice = () => {
      if (own !== turn) return;
      const stop = performance.now() + SLICE;
      for (let k = 0; k < MOST && performance.now() < stop; k++) {
        if (other.pieces.length >= first + AHEAD) break;
        other.push(text.written(next(other)), "network");
      }
      later.textContent = other.pieces.slice(first).map((piece) => piece.text).join("");
      if (other.pieces.length < first + AHEAD) setTimeout(slice, 0);
    };
    setTimeout(slice, 30);
  }

  function tally() {
    const typed = reader.pieces.filter((piece) => piece.by === "person");
    const scored = typed.filter((piece) => piece.bits !== null);
    const bits = scored.reduce((sum, piece) => sum + piece.bits, 0);
    let found = reader.pieces.length ? many(reader.pieces.length, text.item) : "";
    if (scored.length) {
      found += `; yours: ${(bits / scored.length).toFixed(2)} bits each`;
    }
    byId("tally").textContent = found;
    const strange = [...new Set(typed.filter((piece) => !piece.known).map((piece) => piece.text))];
    const shown = strange.slice(0, 8).join(" ") + (strange.length > 8 ? " …" : "");
    const how = text.unknown === null ? "are passed over" : "are all alike to it";
    byId("unknown").hidden = !strange.length;
    byId("unknown").textContent = strange.length
      ? `The model has never seen ${shown} – underlined ${text.item}s ${how}.` : "";
  }

  /* ---- what comes next ---- */

  const rows = Array.from({ length: BARS }, () => {
    const button = document.createElement("button");
    button.className = "bar";
    button.append(...["i", "b", "span"].map((name) => document.createElement(name)));
    button.lastChild.className = "p";
    button.addEventListener("click", () => choose(Number(button.dataset.id)));
    const item = document.createElement("li");
    item.append(button);
    byId("bars").append(item);
    return button;
  });

  /* The place of the cursor if it is inside the text, else null. */
  function inside() {
    const at = area.selectionStart;
    if (writing || document.activeElement !== area || at >= area.value.length) return null;
    let count = 0;
    for (let length = 0; count < reader.pieces.length; count++) {
      length += reader.pieces[count].text.length;
      if (length > at) break;
    }
    return count;
  }

  function bars() {
    drawn = performance.now();
    const place = inside();
    const of = place === null ? reader : reader.copy(place);
    const came = place === null ? null : reader.pieces[place];
    const first = came !== null && came.known && came.bits === null;
    byId("coming").textContent = place === null ? "What comes next" : "What it expected here";
    byId("what").textContent = first
      ? `Nothing comes before the first ${text.unit}.` : describe(came);
    const p = probabilities(of.logits, came ? 1 : heat(), text.unknown);
    likeliest(p).forEach((id, k) => {
      const row = rows[k];
      const [label, name] = text.label(id);
      const share = percent(p[id]);
      row.hidden = first;
      row.disabled = Boolean(came) || reader.pieces.length >= ROOM;
      row.dataset.id = id;
      row.classList.toggle("came", Boolean(came) && came.ids[0] === id);
      row.children[0].style.transform = `scaleX(${p[id]})`;
      row.children[1].textContent = label;
      row.children[2].textContent = share;
      row.setAttribute("aria-label", `${name}, ${share}${came ? "" : ". Add it to the text"}`);
    });
  }

  function describe(came) {
    if (!came) {
      return heat() === 0 ? "At temperature 0 the likeliest is taken."
        : `Probabilities at temperature ${heat()}. Press one to add it.`;
    }
    const what = came.ids.length === 1 ? text.label(came.ids[0])[0] : came.text;
    if (!came.known) return `Here is ${what}, which the model has never seen.`;
    return `Here came ${what}, which cost ${came.bits.toFixed(2)} bits.`;
  }

  function likeliest(p) {
    const found = [];
    for (let id = 0; id < p.length; id++) {
      if (id === text.unknown) continue;
      let k = found.length;
      while (k > 0 && p[found[k - 1]] < p[id]) k--;
      if (k < BARS) found.splice(k, 0, id);
      if (found.length > BARS) found.pop();
    }
    rows.forEach((row, k) => { row.parentElement.hidden = k >= found.length; });
    return found;
  }

  /* ---- writing ---- */

  /* Brings text area and sheet up to date after pieces were added at the end. */
  function added(from) {
    const low = paper.scrollHeight - paper.scrollTop - paper.clientHeight < 80;
    area.value = reader.string;
    show(from);
    tally();
    if (low) paper.scrollTop = paper.scrollHeight;
    if (!writing || performance.now() - drawn > 90) bars();
  }

  /* The place from which pieces may change when one is added: a byte may complete a character. */
  const end = () => Math.max(0, reader.pieces.length - 3);

  function start(most = Infinity) {
    if (reader.pieces.length >= ROOM) return full();
    writing = { begun: performance.now(), count: 0, most };
    document.body.classList.add("writing");
    byId("verb").textContent = "Pause";
    say("Writing…");
    showAhead();
    tick();
  }

  function tick() {
    if (!writing) return;
    const from = end(), now = performance.now();
    const due = pace.value === "full" ? Infinity
      : Math.ceil(((now - writing.begun) * Number(pace.value)) / 1000) - writing.count;
    const most = Math.min(due, MOST, writing.most - writing.count);
    for (let k = 0; k < most && reader.pieces.length < ROOM; k++) {
      reader.push(text.written(next(reader)), "network");
      writing.count++;
      if (performance.now() - now > SLICE) break;
    }
    added(from);
    if (reader.pieces.length >= ROOM) stop(full);
    else if (writing.count >= writing.most) stop();
    else setTimeout(tick, 8);
  }

  function stop(then = null) {
    if (!writing) return;
    const { begun, count } = writing;
    const rate = Math.round((1000 * count) / Math.max(performance.now() - begun, 1));
    writing = null;
    document.body.classList.remove("writing");
    byId("verb").textContent = "Write";
    const speed = pace.value === "full" ? `: ${many(rate, text.item)} a second` : "";
    say(`Paused${speed}.`);
    bars();
    showAhead();
    if (then) then();
  }

  function full() {
    say(`The sheet is full with ${many(ROOM, text.item)}: copy it, or clear it.`);
  }

  function step() {
    stop();
    if (reader.pieces.length >= ROOM) return full();
    const from = end();
    reader.push(text.written(next(reader)), "network");
    added(from);
    showAhead();
    say("One step.");
  }

  function choose(id) {
    stop();
    const from = end();
    reader.push(text.written(id), "person");
    added(from);
    showAhead();
    say("You chose " + text.label(id)[1] + ".");
  }

  function changed() {
    stop();
    if (area.value.length > 2 * ROOM) area.value = area.value.slice(0, 2 * ROOM);
    const from = reader.change(area.value);
    show(Math.max(0, from - 1));
    tally();
    bars();
    showAhead();
    say("Reading as you type.");
  }

  function clear() {
    stop();
    area.value = "";
    reader.clear();
    show(0);
    tally();
    bars();
    showAhead();
    say("Type, or let it write.");
    area.focus();
  }

  async function copy() {
    const found = text.plain(reader.string);
    try {
      await navigator.clipboard.writeText(found);
      say("Copied.");
    } catch {
      area.focus();
      area.select();
      say("Selected: copy it with your keyboard or menu.");
    }
  }

  function warmth() {
    const T = heat();
    byId("degrees").textContent = T.toFixed(2);
    const mood = T === 0 ? "always the likeliest: repeats itself" : T < 0.6 ? "careful"
      : T < 0.95 ? "natural" : T <= 1.1 ? "as varied as what it read" : T < 1.5 ? "daring"
        : "wild";
    byId("mood").textContent = mood;
    temperature.setAttribute("aria-valuetext", `${T.toFixed(2)}, ${mood}`);
  }

  function setting() {
    warmth();
    bars();
    if (!writing) showAhead();
  }

  /* #text=…&temperature=0.5&seed=3&pace=full&write=200 sets the page up, and writes 200 symbols. */
  function fromAddress() {
    const found = new URLSearchParams(location.hash.slice(1));
    for (const [name, field] of Object.entries({ temperature, seed, pace })) {
      const before = field.value;
      if (found.has(name)) field.value = found.get(name);
      if (field.value === "") field.value = before; // not a pace, or not a number
    }
    if (found.has("text")) {
      area.value = text.shown(found.get("text"));
      changed();
    }
    setting();
    if (Number(found.get("write")) > 0) start(Number(found.get("write")));
  }

  function listen() {
    const press = { write: () => (writing ? stop() : start()), step, copy, clear };
    for (const [id, action] of Object.entries(press)) {
      byId(id).disabled = false;
      byId(id).addEventListener("click", action);
    }
    byId("another").addEventListener("click", () => {
      seed.value = Math.floor(Math.random() * 1e6);
      setting();
    });
    area.addEventListener("input", changed);
    document.addEventListener("selectionchange", () => { if (!writing) bars(); });
    area.addEventListener("blur", () => setTimeout(bars, 150)); // a press on a bar comes first
    paper.addEventListener("click", (event) => { if (event.target !== area) area.focus(); });
    for (const field of [temperature, seed]) field.addEventListener("input", setting);
    pace.addEventListener("change", () => {
      if (writing) Object.assign(writing, { begun: performance.now(), count: 0 });
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") stop();
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      if (event.shiftKey) step();
      else press.write();
    });
    window.addEventListener("hashchange", fromAddress);
  }

  setTimeout(() => {
    const facts = JSON.parse(byId("model").textContent);
    text = new Text(facts);
    network = new Network(facts, byId("weights").textContent);
    byId("weights").remove();
    reader = new Reader(network, text);
    area.disabled = false;
    say("Type, or let it write.");
    listen();
    fromAddress();
  }, 0);
})();
