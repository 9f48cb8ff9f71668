"use strict";
/* Reads a text with the network, and draws what comes next. */

const EVERY = 32; // pieces between two states that are kept

class Reader {
  constructor(network, text) {
    this.network = network;
    this.text = text;
    this.clear();
  }

  /* Forgets the text. What is drawn then comes after the ids in `start`. */
  clear() {
    this.pieces = [];
    this.kept = [];
    this.begin();
    this.enter();
    this.keep();
  }

  begin() {
    this.state = this.network.zero();
    this.logits = null; // of the next id; null where nothing has been read
    this.ended = 0; // how many ids of the end of an example have been read
    this.taken = 0; // ids of the text that have been read
  }

  enter() {
    for (const id of this.text.facts.start) this.logits = this.network.read(this.state, id);
  }

  /* Reads one id; returns its surprisal in bits, null for a first one. After the end of an
     example the next one begins from a zero state. */
  read(id) {
    const bits = this.logits === null ? null : surprisal(this.logits, id);
    this.logits = this.network.read(this.state, id);
    this.taken++;
    const { examples, end } = this.text.facts;
    if (examples && end.length) {
      this.ended = id === end[this.ended] ? this.ended + 1 : Number(id === end[0]);
      if (this.ended === end.length) {
        this.ended = 0;
        this.state = this.network.zero();
        this.enter();
      }
    }
    return bits;
  }

  /* Reads a piece, and returns its surprisal; null if there is nothing to read, or nothing was
     before it. A text that a person begins is read from a zero state, as charrnn sample reads a
     prime. */
  take(piece, by) {
    const own = by === "person" && !this.text.facts.examples;
    if (this.taken === 0 && piece.ids.length && own) this.begin();
    const bits = piece.ids.map((id) => this.read(id));
    return bits.length && !bits.includes(null) ? bits.reduce((a, b) => a + b) : null;
  }

  /* Reads a piece after the others; `by` says who wrote it, "person" or "network". */
  push(piece, by) {
    this.pieces.push({ ...piece, bits: this.take(piece, by), by });
    const done = this.text.level === "byte" ? completed(this.pieces) : null;
    if (done !== null) this.join(done);
    this.keep();
  }

  /* Joins the last pieces, which are the bytes of one character. */
  join({ text, count }) {
    const parts = this.pieces.splice(-count);
    const ids = parts.flatMap((part) => part.ids);
    const bits = parts.some((part) => part.bits === null) ? null
      : parts.reduce((sum, part) => sum + part.bits, 0);
    this.pieces.push({ text, ids, known: true, bits, by: parts[0].by });
    this.kept.length = Math.min(this.kept.length, Math.floor(this.pieces.length / EVERY) + 1);
  }

  keep() {
    const { state, logits, ended, taken } = this;
    if (this.pieces.length % EVERY === 0) {
      this.kept[this.pieces.length / EVERY] = { state: copied(state), logits, ended, taken };
    }
  }

  /* Goes back to the first `count` pieces. */
  back(count) {
    const at = Math.floor(count / EVERY);
    const again = this.pieces.slice(at * EVERY, count);
    const { state, logits, ended, taken } = this.kept[at];
    Object.assign(this, { state: copied(state), logits, ended, taken });
    this.pieces.length = at * EVERY;
    this.kept.length = at + 1;
    for (const piece of again) {
      this.take(piece, piece.by);
      this.pieces.push(piece);
    }
  }

  /* Reads a changed text, only from the first change on; returns how many pieces come before. */
  change(text) {
    const now = this.text.pieces(text);
    const before = this.pieces.slice();
    const same = (a, b) => a !== undefined && b !== undefined && a.text === b.text;
    let head = 0, tail = 0;
    while (same(now[head], before[head])) head++;
    const most = Math.min(now.length, before.length) - head;
    while (tail < most && same(now.at(-1 - tail), before.at(-1 - tail))) tail++;
    if (head < before.length) this.back(head);
    for (let k = head; k < now.length; k++) {
      const old = k < now.length - tail ? undefined : before[k - now.length + before.length];
      this.push(now[k], old === undefined ? "person" : old.by);
    }
    return head;
  }

  /* A reader of its own that has read the first `count` pieces. */
  copy(count = this.pieces.length) {
    const other = new Reader(this.network, this.text);
    other.pieces = this.pieces.slice();
    other.kept = this.kept.slice();
    if (count < this.pieces.length) {
      other.back(count);
    } else {
      const { state, logits, ended, taken } = this;
      Object.assign(other, { state: copied(state), logits, ended, taken });
    }
    return other;
  }

  get string() {
    return this.pieces.map((piece) => piece.text).join("");
  }
}

/* -log2 of the probability of a symbol. */
function surprisal(logits, id) {
  const top = logits.reduce((a, b) => Math.max(a, b));
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - top);
  return (Math.log(sum) - (logits[id] - top)) / Math.LN2;
}

/* The probabilities (V) at a temperature, without the unknown symbol; at 0 the first of the
   likeliest has them all. */
function probabilities(logits, temperature, unknown) {
  const found = Float64Array.from(logits);
  if (unknown !== null) found[unknown] = -Infinity;
  let best = 0;
  for (let id = 1; id < found.length; id++) if (found[id] > found[best]) best = id;
  const top = found[best];
  let sum = 0;
  for (let id = 0; id < found.length; id++) {
    found[id] = temperature === 0 ? Number(id === best) : Math.exp((found[id] - top) / temperature);
    sum += found[id];
  }
  return found.map((p) => p / sum);
}

/* A number from 0 to 1 that depends on the seed and the place in the text alone. (The mixing
   function is Steele, Lea and Flood's, 2014, with the constants of MurmurHash3.) */
function uniform(seed, place) {
  const mixed = (x) => {
    x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
    return (x ^ (x >>> 16)) >>> 0;
  };
  return mixed(mixed(seed + 0x9e3779b9) ^ Math.imul(place + 1, 0x9e3779b1)) / 2 ** 32;
}

/* Draws the id of a symbol: the first whose summed probability exceeds a uniform number. */
function draw(logits, temperature, unknown, number) {
  const p = probabilities(logits, temperature, unknown);
  let sum = 0, last = 0;
  for (let id = 0; id < p.length; id++) {
    sum += p[id];
    if (p[id] > 0) last = id;
    if (sum > number && p[id] > 0) return id;
  }
  return last;
}
