"""The structures that the compiled functions take: the fields of the C structures, in their order.

A field is written as its name and a letter. i: signed 64-bit integer; u: unsigned 64-bit integer;
p: pointer; f: float; d: double.
"""

from __future__ import annotations

from ctypes import Structure, c_double, c_float, c_int64, c_uint64, c_void_p
from typing import Any

_KINDS = {"i": c_int64, "u": c_uint64, "p": c_void_p, "f": c_float, "d": c_double}


def _job(name: str, fields: str) -> type[Any]:
    pairs = [field.split(":") for field in fields.split()]
    made = [(each, _KINDS[kind]) for each, kind in pairs]
    return type(name, (Structure,), {"_fields_": made, "__slots__": ()})


Recurrence = _job(
    "Recurrence",
    "T:i N:i H:i forth:p back:p table:p ids:p bias:p extra:p work:p h:p c:p saved:p "
    "d_out:p dh:p dc:p room:p kind:i",
)
Rows = _job("Rows", "rows:i K:i M:i panels:p x:p x_ld:i out:p out_ld:i")
Outer = _job(
    "Outer",
    "rows:i F:i d:p d_ld:i add:i sums:p M1:i x1:p x1_ld:i out1:p M2:i x2:p x2_ld:i out2:p "
    "V:i ids:p symbols:p",
)
Sum = _job("Sum", "rows:i F:i d:p d_ld:i out:p")
Forth = _job("Forth", "groups:i rows:i K:i matrix:p panels:p")
Back = _job("Back", "K:i M:i group:i matrix:p start:i panels:p")
Transpose = _job("Transpose", "R:i C:i matrix:p bias:p out:p")
Symbols = _job("Symbols", "rows:i F:i V:i d:p d_ld:i ids:p out:p")
Loss = _job(
    "Loss",
    "rows:i H:i V:i top:p top_ld:i forth:p back:p bias:p targets:p scale:d nats:p "
    "d_logits:p d_top:p added:p kept:f",
)
Nats = _job("Nats", "rows:i nats:p sum:d")
CountedTables = _job(
    "CountedTables",
    "V:i contexts:i keys:p left:p begins:p symbols:p p:p alone:p pairs:p share:d",
)
Counted = _job("Counted", "tables:p T:i N:i read:p out:p")
Adam = _job(
    "Adam",
    "count:i w:p g:p m:p v:p scale:f decay:f kept:f rate:f root:f keep1:f keep2:f epsilon:f "
    "broken:i",
)
Move = _job("Move", "count:i w:p u:p rate:f broken:i")
Sgd = _job("Sgd", "count:i w:p g:p u:p scale:f decay:f lr:f momentum:f broken:i")
Rmsprop = _job(
    "Rmsprop", "count:i w:p g:p v:p scale:f decay:f lr:f alpha:f keep:f epsilon:f broken:i"
)
Dropout = _job(
    "Dropout",
    "T:i H:i N:i t:i h:i n:i layer:u step:u seed:u purpose:u threshold:u scale:f out:p",
)
Squares = _job("Squares", "count:i g:p block:i total:d sums:p")
Sample = _job(
    "Sample",
    "layers:i N:i H:i V:i D:i gates:i width:i offset:i layer:p ih:p forward:p embedding:p "
    "embedded:p decoder:p bias:p ids:p logits:p counted:p read:p",
)
Draw = _job(
    "Draw",
    "steps:i model:p unknown:i top_k:i top_p:d min_p:d temperature:p uniform:p drawn:p logits:p "
    "done:i",
)
Elementary = _job("Elementary", "count:i x:p exponential:p logistic:p tanh:p d:p exponential_d:p")
