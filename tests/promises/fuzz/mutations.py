"""Mutations of checkpoints that get past the length and the digest, into the parser."""

import copy
import hashlib
import json
import random

START = b'{"__metadata__":{"charrnn":"{\\"digest\\":\\"'
AT = slice(8 + len(START), 8 + len(START) + 64)
VALUES = (
    *(None, True, False, 0, 1, -1, 2, 3, 255, 256, 1 << 16, 2**31, 2**32, 2**53, 2**62, 2**63),
    *(10**18, 2**64, 10**400, -(2**63), 0.0, -0.0, 0.5, 1e308, -1e308, 5e-324, 1.5, 7.0, 1e22),
    *(float("nan"), float("inf"), float("-inf"), "", "a", "\x1b[31m", "\ud800", "\0", "F16"),
    *("F32", "F64", "lstm", "gru", "rnn", "relu", "../../etc/passwd", "é", "\U0010ffff", "word"),
    *("x" * 300, [], [0], [0, 0], [2**62, 4], [1] * 70, ["a", "b"], [-1, -1], {}, {"a": 1}),
    *([[]], [None]),
)


def seal(header, body):
    """Return a file of this header and body whose length and digest fit."""
    data = bytearray(len(header).to_bytes(8, "little") + header + body)
    data[AT] = b"0" * 64
    data[AT] = hashlib.sha256(data).hexdigest().encode()
    return bytes(data)


def split(data):
    """Return header and body of a file, as far as they can be told apart."""
    length = min(int.from_bytes(data[:8], "little"), len(data))
    return data[8 : 8 + length], data[8 + length :]


def build(facts, entries, body):
    """Return a file of these facts and tensor entries."""
    text = json.dumps({"digest": "0" * 64, **facts}, separators=(",", ":"))
    header = json.dumps({"__metadata__": {"charrnn": text}, **entries}, separators=(",", ":"))
    return seal(header.encode("utf-8", "surrogatepass"), body)


def mutate(data, limit, seed, blind):
    """Return a mutated file; ``blind(bytes, limit)`` is the fuzzer's own mutation of bytes."""
    rng = random.Random(seed)
    way = rng.random()
    header, body = split(data)
    if way < 0.05:
        return blind(data, limit)
    if way < 0.3:
        if rng.random() < 0.7:
            tail = blind(bytes(header[len(START) + 64 :]), max(limit - len(body) - 200, 64))
            header = START + b"0" * 64 + tail
        else:
            body = blind(bytes(body), max(limit - len(header), 8)) if body else b"\0" * 8
        return seal(header, body)
    try:
        entries = json.loads(header)
        facts = json.loads(entries.pop("__metadata__")["charrnn"])
        facts.pop("digest", None)
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            change(facts if rng.random() < 0.65 else entries, rng)
        if rng.random() < 0.1:
            body = body[: rng.randrange(len(body) + 1)] + b"\0" * rng.choice((0, 4, 8))
        return build(facts, entries, body)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return blind(data, limit)


def change(tree, rng):
    """Change one place of a tree of JSON values."""
    node = tree
    while True:
        if isinstance(node, dict) and node:
            key = rng.choice(sorted(node, key=str))
        elif isinstance(node, list) and node:
            key = rng.randrange(len(node))
        else:
            return
        if isinstance(node[key], dict | list) and node[key] and rng.random() < 0.8:
            node = node[key]
            continue
        break
    way = rng.random()
    if way < 0.6:
        node[key] = copy.deepcopy(rng.choice(VALUES))
    elif way < 0.7:
        del node[key]
    elif way < 0.8 and isinstance(node, dict):
        other = rng.choice(("x", "", "\x1b", "rnn.bias_hh_l0", "state.h_l0", "optimizer.m"))
        node[other] = node[key]
    elif isinstance(node[key], bool | str | None):
        node[key] = [node[key]] * rng.choice((0, 1, 2, 1000))
    elif isinstance(node[key], int | float):
        node[key] = node[key] * rng.choice((-1, 2, 0.5, 10**9)) + rng.choice((-1, 0, 1))
    elif isinstance(node, list):
        node.insert(rng.randrange(len(node) + 1), copy.deepcopy(node[key]))
