"use strict";
/* Symbols and text. The text on the screen is a string in which control characters have visible
   pictures, and a byte that is part of no character is the lone surrogate U+DC00 + byte (as in
   Python's surrogateescape). It is divided into pieces, each with the ids that stand for it. */

const TOKEN = /[\p{L}\p{N}_]+|[^\p{L}\p{N}_]/gu;
const INVISIBLE = /^[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}\p{Cs}\u00a0\u2000-\u200f\u3000\ufe00-\ufe0f]$/u;
const NAMES = { " ": ["␣", "space"], "\n": ["↵", "new line"], "\t": ["⇥", "tab"] };
const UNIT = { char: "character", byte: "byte", word: "word" };

class Text {
  constructor(facts) {
    this.facts = facts;
    this.level = facts.level;
    this.unit = UNIT[facts.level]; // what is predicted
    this.item = facts.level === "word" ? "word" : "character"; // what a piece is
    this.unknown = facts.unknown;
    this.ids = new Map();
    this.pictures = new Map(); // of a control character, and back
    facts.symbols.forEach((symbol, id) => this.ids.set(symbol, id));
    for (let code = 0; code < 128; code++) {
      const picture = code < 32 ? 0x2400 + code : code === 127 ? 0x2421 : 0;
      const known = this.level !== "byte" && this.ids.has(String.fromCodePoint(picture));
      if (picture && code !== 9 && code !== 10 && !known) {
        this.pictures.set(String.fromCodePoint(code), String.fromCodePoint(picture));
        this.pictures.set(String.fromCodePoint(picture), String.fromCodePoint(code));
      }
    }
  }

  /* Returns a text as the screen has it, with pictures of control characters; and as it is. */
  swapped(text, from, to) {
    let found = "";
    for (const one of text) {
      const other = this.pictures.get(one);
      const picture = one >= "\u2400" && one <= "\u2421";
      found += other !== undefined && picture === (from === "picture") ? other : one;
    }
    return found;
  }

  shown(text) {
    return this.swapped(text, "control", "picture");
  }

  plain(text) {
    return this.swapped(text, "picture", "control");
  }

  /* Returns the pieces of a text: {text, ids, known}. */
  pieces(text) {
    const found = [];
    const parts = this.level === "word" ? text.match(TOKEN) || [] : text;
    for (const part of parts) found.push(this.piece(part));
    return found;
  }

  piece(part) {
    const plain = this.plain(part);
    if (this.level !== "byte") {
      const id = this.ids.get(plain);
      if (id !== undefined && id !== this.unknown) return { text: part, ids: [id], known: true };
      return { text: part, ids: this.unknown === null ? [] : [this.unknown], known: false };
    }
    const ids = [];
    let known = true;
    for (const byte of bytes(plain)) {
      const id = this.ids.get(byte);
      known &&= id !== undefined;
      if (id !== undefined) ids.push(id);
      else if (this.unknown !== null) ids.push(this.unknown);
    }
    return { text: part, ids, known };
  }

  /* Returns the piece that a symbol is; a byte may complete a character with those before. */
  written(id) {
    const symbol = this.facts.symbols[id];
    const text = this.level !== "byte" ? symbol : symbol < 128 ? String.fromCharCode(symbol)
      : String.fromCharCode(0xdc00 + symbol);
    return { text: this.shown(text), ids: [id], known: true };
  }

  /* Returns how a symbol is shown in the list of next ones, and how it is read out. */
  label(id) {
    const symbol = this.facts.symbols[id];
    if (this.level === "byte" && (symbol < 32 || symbol > 126) && symbol !== 10 && symbol !== 9) {
      const hex = "0x" + symbol.toString(16).toUpperCase().padStart(2, "0");
      return [hex, "byte " + hex];
    }
    const text = this.level === "byte" ? String.fromCharCode(symbol) : symbol;
    if (NAMES[text]) return NAMES[text];
    if (this.pictures.has(text) && text < "\u2400") {
      return [this.pictures.get(text), "control character " + text.codePointAt(0)];
    }
    const code = "U+" + text.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
    if (INVISIBLE.test(text)) return [code, code];
    return [/^\p{M}/u.test(text) ? "◌" + text : text, text];
  }
}

/* Returns the bytes of a text in UTF-8; lone surrogates are the bytes that they stand for. */
function bytes(text) {
  const found = [];
  for (const one of text) {
    const code = one.codePointAt(0);
    if (code >= 0xdc80 && code <= 0xdcff) found.push(code - 0xdc00);
    else found.push(...new TextEncoder().encode(one));
  }
  return found;
}

/* Returns the character that the bytes of the last pieces make, and of how many; or null. */
function completed(pieces) {
  const found = [];
  for (let k = pieces.length - 1; k >= 0 && found.length < 4; k--) {
    const code = pieces[k].text.charCodeAt(0);
    if (pieces[k].text.length !== 1 || code < 0xdc80 || code > 0xdcff) return null;
    found.unshift(code - 0xdc00);
    try {
      const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
        .decode(Uint8Array.from(found));
      return { text, count: found.length };
    } catch {
      continue;
    }
  }
  return null;
}
