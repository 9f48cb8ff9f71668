"use strict";
/* What is on the screen: a span for each symbol, and what is said of the one that is chosen. */

(() => {
  const HEAT = [0.5, 1.5, 3, 5, 7, 10]; // bits from which a symbol has the next colour
  const CAUSES = 8, PASSAGES = 50, AROUND = 24; // rows; passages; symbols around a passage
  const byId = (id) => document.getElementById(id);
  const record = JSON.parse(byId("record").textContent);
  const text = new Text(record);
  const bytesOf = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const influence = bytesOf(record.influence), reach = record.reach;
  const sheet = byId("text"), level = byId("level"), by = byId("by");
  const percent = (p) => (p < 0.001 ? "< 0.1" : (100 * p).toFixed(p < 0.0995 ? 1 : 0)) + "\u00a0%";
  const label = (at) => text.label(record.ids[at])[0];
  let chosen = -1, fixed = false, series = null, marked = [], found = [];

  /* ---- the text ---- */

  const spans = record.ids.map((id, at) => {
    const span = document.createElement("span");
    const [shown] = text.label(id);
    const plain = record.level === "byte" ? String.fromCharCode(record.symbols[id])
      : record.symbols[id];
    if (plain === "\n") span.textContent = "↵\n";
    else if (plain === " " || plain === "\t") span.textContent = plain;
    else span.textContent = shown;
    if (plain === "\n" || (plain !== " " && plain !== "\t" && shown !== plain)) {
      span.className = "strange";
    }
    span.dataset.at = at;
    return span;
  });
  const begins = Uint32Array.from(record.ids);
  record.begins.forEach((begin, k) => begins.fill(begin, begin, record.begins[k + 1]));

  /* ---- colours ---- */

  const surprisal = {
    name: "surprisal", low: 0, high: 12.75, title: "surprisal",
    value: (at) => record.bits[at], say: (value) => `${value.toFixed(1)} bits`,
  };
  const measured = record.units.map((unit) => {
    const values = bytesOf(unit.values), step = (unit.high - unit.low) / 255;
    return {
      ...unit, title: "unit " + unit.name, values,
      value: (at) => unit.low + step * values[at], say: (value) => value.toFixed(2),
    };
  });
  const every = [surprisal, ...measured];

  function paint() {
    const size = Math.max(Math.abs(series.low), Math.abs(series.high));
    spans.forEach((span, at) => {
      span.classList.remove(...HEAT.map((_, k) => "heat" + (k + 1)));
      span.style.background = "";
      const value = series.value(at);
      if (value === null) return;
      if (series === surprisal) {
        const heat = HEAT.filter((bits) => value >= bits).length;
        if (heat) span.classList.add("heat" + heat);
      } else {
        const share = (0.75 * Math.abs(value)) / size;
        span.style.background = `rgb(var(${value < 0 ? "--low" : "--high"}) / ${share.toFixed(3)})`;
      }
    });
    legend(size);
  }

  function legend(size) {
    const scale = byId("scale");
    const words = series === surprisal ? ["expected", "surprising"]
      : [series.say(series.low), series.say(series.high)];
    const boxes = Array.from({ length: 7 }, (_, k) => {
      const box = document.createElement("i");
      if (series === surprisal) box.className = "heat" + k;
      else {
        const value = series.low + (k / 6) * (series.high - series.low);
        const share = (0.75 * Math.abs(value)) / size;
        box.style.background = `rgb(var(${value < 0 ? "--low" : "--high"}) / ${share})`;
      }
      return box;
    });
    const [from, to] = words.map((word) => {
      const span = document.createElement("span");
      span.textContent = word;
      return span;
    });
    scale.replaceChildren(from, ...boxes, to);
  }

  function colour(one) {
    series = one;
    by.value = String(every.indexOf(one));
    for (const button of byId("units").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.name === one.name));
    }
    byId("measure").textContent = one.title;
    level.value = one === surprisal ? 140 : 200;
    byId("side").value = "1";
    paint();
    search();
  }

  /* ---- one symbol ---- */

  function row(kind, word, share, figure) {
    const item = document.createElement("li"), bar = document.createElement("div");
    bar.className = "bar " + kind;
    bar.append(...["i", "b", "span"].map((name) => document.createElement(name)));
    bar.children[0].style.transform = `scaleX(${share})`;
    bar.children[1].textContent = word;
    bar.children[2].className = "p";
    bar.children[2].textContent = figure;
    item.append(bar);
    return item;
  }

  function clear() {
    for (const span of marked) span.classList.remove("matters", "here");
    marked = [];
  }

  function choose(at) {
    if (at < 0 || at >= spans.length || at === chosen) return;
    clear();
    chosen = at;
    spans[at].classList.add("here");
    marked.push(spans[at]);
    const bits = record.bits[at];
    const value = series === surprisal ? "" : ` After it ${series.title} had ${series.say(series.value(at))}.`;
    byId("what").textContent = bits === null
      ? `${label(at)} has nothing before it that it could be expected from.${value}`
      : `Here came ${label(at)}, which cost ${bits.toFixed(2)} bits: it had ${percent(2 ** -bits)}.${value}`;
    alternatives(at, bits);
    causes(at);
  }

  function alternatives(at, bits) {
    const rows = [];
    if (bits !== null) {
      rows.push([2 ** -bits, label(at), "came"]);
      const K = record.alternatives;
      for (let k = 0; k < K; k++) {
        const other = text.label(record.others[at * K + k])[0];
        rows.push([record.chances[at * K + k], other, ""]);
      }
      rows.sort((a, b) => b[0] - a[0]);
    }
    byId("bars").replaceChildren(...rows.map(([p, word, kind]) => row(kind, word, p, percent(p))));
  }

  function causes(at) {
    const rows = [];
    let total = 0;
    for (let k = 1; k <= Math.min(reach, at - begins[at]); k++) {
      const strength = influence[at * reach + k - 1];
      total += strength;
      if (!strength) continue;
      rows.push([strength, k]);
      const span = spans[at - k];
      span.style.setProperty("--share", (strength / 255).toFixed(3));
      span.classList.add("matters");
      marked.push(span);
    }
    rows.sort((a, b) => b[0] - a[0] || a[1] - b[1]);
    byId("mattered").textContent = rows.length
      ? `The norm of ∂ logit / ∂ input is at most ${record.peaks[at]}.`
      : "No earlier symbol did.";
    byId("causes").replaceChildren(...rows.slice(0, CAUSES).map(([strength, k]) =>
      row("cause", `${label(at - k)}  ${k} before`, strength / 255, percent(strength / total))));
  }

  /* ---- passages ---- */

  function search() {
    const side = Number(byId("side").value);
    const bound = series.low + (Number(level.value) / 255) * (series.high - series.low);
    byId("threshold").textContent = series.say(bound);
    level.setAttribute("aria-valuetext", series.say(bound));
    found = [];
    let holds = 0;
    spans.forEach((span, at) => {
      const value = series.value(at);
      const hit = value !== null && side * (value - bound) > 0;
      span.classList.toggle("found", hit);
      if (!hit) return;
      holds++;
      const last = found.at(-1);
      if (last && last[1] === at) last[1] = at + 1;
      else found.push([at, at + 1]);
    });
    const more = found.length > PASSAGES ? `, the ${PASSAGES} longest` : "";
    byId("count").textContent = `${found.length.toLocaleString("en")} ` +
      `passage${found.length === 1 ? "" : "s"}${more}; ${holds.toLocaleString("en")} of ` +
      `${spans.length.toLocaleString("en")} symbols`;
    const shown = [...found].sort((a, b) => b[1] - b[0] - a[1] + a[0] || a[0] - b[0])
      .slice(0, PASSAGES).sort((a, b) => a[0] - b[0]);
    byId("passages").replaceChildren(...shown.map(passage));
  }

  function passage([first, end], place) {
    const item = document.createElement("li"), button = document.createElement("button");
    const part = (from, to) => spans.slice(Math.max(0, from), to)
      .map((span) => span.textContent.replace("\n", " ")).join("");
    const mark = document.createElement("mark");
    mark.textContent = part(first, Math.min(end, first + 3 * AROUND)) +
      (end > first + 3 * AROUND ? " …" : "");
    button.tabIndex = place ? -1 : 0;
    button.append(part(first - AROUND, first), mark, part(end, end + AROUND));
    button.addEventListener("click", () => { fixed = true; choose(first); reveal(); });
    item.append(button);
    return item;
  }

  function reveal() {
    const paper = byId("paper"), place = spans[chosen].offsetTop - paper.offsetTop;
    if (place < paper.scrollTop + 20 || place > paper.scrollTop + paper.clientHeight - 60) {
      paper.scrollTop = place - paper.clientHeight / 3;
    }
  }

  /* ---- units ---- */

  function unitsShown() {
    const wanted = byId("filter").value.trim().toLowerCase();
    byId("units").replaceChildren(...every.filter((one) =>
      `${one.title} ${one.meaning || ""}`.toLowerCase().includes(wanted)).map((one, place) => {
      const item = document.createElement("li"), button = document.createElement("button");
      const cells = [one.title, one.meaning || "", one.area || ""].map((words) => {
        const cell = document.createElement("span");
        cell.textContent = words;
        return cell;
      });
      cells[2].className = "area";
      button.dataset.name = one.name;
      button.setAttribute("aria-pressed", String(one === series));
      button.tabIndex = place ? -1 : 0;
      button.append(...cells);
      button.addEventListener("click", () => colour(one));
      item.append(button);
      return item;
    }));
  }

  /* ---- what is pressed ---- */

  const under = (event) => {
    const at = event.target.dataset ? event.target.dataset.at : undefined;
    return at === undefined ? -1 : Number(at);
  };
  sheet.addEventListener("pointerover", (event) => { if (!fixed) choose(under(event)); });
  sheet.addEventListener("click", (event) => {
    fixed = !(fixed && under(event) === chosen);
    choose(under(event));
  });
  sheet.addEventListener("keydown", (event) => {
    const last = spans.length - 1;
    const to = { ArrowLeft: Math.max(0, chosen - 1), ArrowRight: Math.min(last, chosen + 1),
      Home: 0, End: last }[event.key];
    if (event.key === "Escape") fixed = false;
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    fixed = true;
    choose(to);
    reveal();
  });
  for (const list of [byId("passages"), byId("units")]) { // each is one stop of Tab
    const buttons = () => [...list.querySelectorAll("button")];
    list.addEventListener("focusin", (event) => {
      for (const button of buttons()) button.tabIndex = button === event.target ? 0 : -1;
    });
    list.addEventListener("keydown", (event) => {
      const all = buttons(), at = all.indexOf(document.activeElement);
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
      if (!all[to]) return;
      event.preventDefault();
      all[to].focus();
    });
  }
  by.addEventListener("change", () => colour(every[Number(by.value)]));
  level.addEventListener("input", search);
  byId("side").addEventListener("change", search);
  byId("filter").addEventListener("input", unitsShown);

  sheet.append(...spans);
  by.append(...every.map((one, k) => {
    const option = document.createElement("option");
    option.value = String(k);
    option.textContent = one.meaning ? `${one.title}: ${one.meaning}` : one.title;
    return option;
  }));
  series = surprisal;
  unitsShown();
  /* #unit=0:17&at=120 opens the page so. */
  const asked = new URLSearchParams(location.hash.slice(1));
  const first = asked.get("unit") || record.asked;
  colour(every.find((one) => one.name === first) || surprisal);
  if (asked.has("at")) { fixed = true; choose(Number(asked.get("at"))); reveal(); }
})();
