"use strict";
/* The network: the operators LSTM, GRU and RNN as ONNX defines them, one symbol at a time.

   Weights are numbers in float32, rounded as charrnn/exchange/rounding.py says; the arithmetic is
   in double precision. The gates are in ONNX's order: i, o, f, c of an LSTM, z, r, h of a GRU. */

const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/* out = W x + bias, where W (rows, columns) lies in one array, row by row. */
function product(W, x, bias, out, rows = out.length) {
  const columns = x.length;
  const whole = columns - (columns % 4);
  for (let row = 0, at = 0; row < rows; row++, at += columns) {
    let a = 0, b = 0, c = 0, d = 0, k = 0;
    for (; k < whole; k += 4) {
      a += W[at + k] * x[k];
      b += W[at + k + 1] * x[k + 1];
      c += W[at + k + 2] * x[k + 2];
      d += W[at + k + 3] * x[k + 3];
    }
    for (; k < columns; k++) a += W[at + k] * x[k];
    out[row] = a + b + (c + d) + (bias === null ? 0 : bias[row]);
  }
}

/* Each cell overwrites its state. `a` is W x and both biases but that of the recurrent product,
   `u` room for this product, `R` (G H, H) the recurrent matrix, `bias` (G H) its bias. */
const CELLS = {
  LSTM: {
    gates: 4,
    states: 2,
    step([h, c], a, u, R, bias) {
      const H = h.length;
      product(R, h, bias, u);
      for (let j = 0; j < H; j++) {
        const i = sigmoid(a[j] + u[j]);
        const o = sigmoid(a[H + j] + u[H + j]);
        const f = sigmoid(a[2 * H + j] + u[2 * H + j]);
        c[j] = f * c[j] + i * Math.tanh(a[3 * H + j] + u[3 * H + j]);
        h[j] = o * Math.tanh(c[j]);
      }
    },
  },
  GRU: {
    gates: 3,
    states: 1,
    step([h], a, u, R, bias, cell) {
      const H = h.length;
      const after = cell.linear_before_reset === 1;
      product(R, h, bias, u, after ? 3 * H : 2 * H);
      const z = u.subarray(0, H), r = u.subarray(H, 2 * H), n = u.subarray(2 * H);
      for (let j = 0; j < H; j++) {
        z[j] = sigmoid(a[j] + z[j]);
        r[j] = sigmoid(a[H + j] + r[j]);
      }
      if (after) {
        for (let j = 0; j < H; j++) n[j] *= r[j];
      } else {
        product(R.subarray(2 * H * H), h.map((value, j) => value * r[j]), bias.subarray(2 * H), n);
      }
      for (let j = 0; j < H; j++) {
        h[j] = (1 - z[j]) * Math.tanh(a[2 * H + j] + n[j]) + z[j] * h[j];
      }
    },
  },
  RNN: {
    gates: 1,
    states: 1,
    step([h], a, u, R, bias, cell) {
      product(R, h, bias, u);
      const relu = cell.activations[0] === "Relu";
      for (let j = 0; j < h.length; j++) {
        h[j] = relu ? Math.max(a[j] + u[j], 0) : Math.tanh(a[j] + u[j]);
      }
    },
  },
};

/* Reads the weights in their order from base64. */
class Weights {
  constructor(base64, bits) {
    const characters = atob(base64);
    this.bytes = new Uint8Array(characters.length);
    for (let k = 0; k < characters.length; k++) this.bytes[k] = characters.charCodeAt(k);
    this.integers = bits === 8 ? Int8Array : Int16Array;
    this.at = 0;
  }

  take(kind, length) {
    const stop = this.at + length * kind.BYTES_PER_ELEMENT;
    const found = new kind(this.bytes.buffer.slice(this.at, stop));
    this.at = stop;
    return found;
  }

  vector(length) {
    return this.take(Float32Array, length);
  }

  matrix(rows, columns) {
    const scales = this.vector(rows);
    const integers = this.take(this.integers, rows * columns);
    const found = new Float32Array(rows * columns);
    for (let k = 0; k < found.length; k++) {
      found[k] = Math.fround(scales[Math.floor(k / columns)] * integers[k]);
    }
    return found;
  }
}

const KEPT_INPUTS = 1 << 22; // numbers in the cache of the first layer's products

class Network {
  constructor(facts, base64) {
    const { hidden: H, embed, bits } = facts;
    const weights = new Weights(base64, bits);
    this.facts = facts;
    this.cell = CELLS[facts.cell.operator];
    this.V = facts.symbols.length;
    this.H = H;
    const GH = this.cell.gates * H;
    this.embedding = embed ? weights.matrix(this.V, embed) : null;
    this.layers = [];
    for (let k = 0; k < facts.layers; k++) {
      const inputs = k > 0 ? H : embed || this.V;
      this.layers.push({
        W: weights.matrix(GH, inputs),
        R: weights.matrix(GH, H),
        bias: weights.vector(GH),
        recurrent: weights.vector(GH),
      });
    }
    this.output = { W: weights.matrix(this.V, H), bias: weights.vector(this.V) };
    this.a = new Float64Array(GH);
    this.u = new Float64Array(GH);
    this.inputs = this.V * GH <= KEPT_INPUTS ? new Array(this.V) : null;
  }

  /* A state of zeros: of each layer the arrays h and, for an LSTM, c. */
  zero() {
    const one = () => Array.from({ length: this.cell.states }, () => new Float64Array(this.H));
    return this.layers.map(one);
  }

  /* Reads a symbol: overwrites `state`, and returns the logits (V) of the next one. */
  read(state, id) {
    let x = null;
    this.layers.forEach((layer, k) => {
      let a = this.a;
      if (k === 0) a = this.first(id);
      else product(layer.W, x, layer.bias, a);
      this.cell.step(state[k], a, this.u, layer.R, layer.recurrent, this.facts.cell);
      x = state[k][0];
    });
    const logits = new Float64Array(this.V);
    product(this.output.W, x, this.output.bias, logits);
    return logits;
  }

  /* W x + bias of the first layer, for a symbol. */
  first(id) {
    if (this.inputs !== null && this.inputs[id]) return this.inputs[id];
    const { W, bias } = this.layers[0];
    const a = this.inputs === null ? this.a : new Float64Array(this.a.length);
    if (this.embedding !== null) {
      const D = this.facts.embed;
      product(W, this.embedding.subarray(id * D, (id + 1) * D), bias, a);
    } else {
      for (let row = 0; row < a.length; row++) a[row] = W[row * this.V + id] + bias[row];
    }
    if (this.inputs !== null) this.inputs[id] = a;
    return a;
  }
}

const copied = (state) => state.map((layer) => layer.map((array) => array.slice()));
