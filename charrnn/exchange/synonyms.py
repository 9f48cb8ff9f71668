"""Names that other programs have for settings of charrnn: ``rnn_size``, ``learning_rate``.

The names are those of char-rnn, torch-rnn, textgenrnn, PyTorch's examples, minGPT and the like, as
charrnn writes them: in lower case, with hyphens. Some are no setting here but a text, a run, or
where the output goes.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from charrnn.registry import CELLS

RUN, TEXT, OUTPUT = "run", "text", "output"
ARGUMENTS = {RUN: ("run", "runs", "sweep", "file"), TEXT: ("corpus", "text", "file")}
"""Names of the parameters that are a run, and a text."""
MEANT = {
    RUN: "run model checkpoint ckpt weights model-path model-file model-name model-name-or-path "
    "checkpoint-path checkpoint-file load load-model restore init-from resume name run-name",
    TEXT: "corpus file input text txt data dataset data-dir data-path data-file input-txt "
    "input-file input-text train train-data train-file text-file source",
    "cell": "model model-type rnn-type cell-type rnn type",
    "corpus": "text file input data dataset data-dir",
    "prime-file": "file input input-file text-file",
    "prime": "primetext prime-text start-text start text prefix prompt seed-text",
    "hidden": "rnn-size hidden-size hidden-dim hidden-units n-hidden num-hidden nhid units "
    "num-units n-embd d-model lstm-size state-size",
    "layers": "num-layers n-layers n-layer nlayers rnn-layers depth",
    "embed": "emsize embedding embedding-size embedding-dim embed-size embed-dim wordvec-size "
    "dim-embeddings",
    "bidirectional": "rnn-bidirectional bi",
    "seq-len": "seq-length sequence-length seqlen bptt block-size chunk-len chunk-size "
    "context-length unroll num-unroll",
    "batch": "batch-size batchsize minibatch-size bs per-device-train-batch-size train-batch-size",
    "epochs": "epoch max-epochs num-epochs n-epochs nb-epoch num-train-epochs",
    "steps": "iters iterations iter max-iters num-iters n-iters num-iterations max-steps "
    "num-steps n-steps train-steps",
    "minutes": "time max-minutes max-time time-limit",
    "lr": "learning-rate eta rate",
    "optimizer": "opt optim",
    "schedule": "lr-schedule scheduler lr-scheduler lr-scheduler-type",
    "warmup": "warmup-iters warmup-steps",
    "weight-decay": "wd l2",
    "dropout": "drop dropout-rate dropout-prob",
    "clip-value": "grad-clip",
    "clip-norm": "clip max-grad-norm clip-grad clip-grad-norm gradient-clip grad-clip-norm",
    "patience": "early-stopping early-stop",
    "val-frac": "val-split validation-split valid-frac",
    "val": "valid validation val-file valid-file val-data",
    "log-every": "print-every log-interval log-steps logging-steps report-every",
    "eval-every": "eval-val-every eval-interval eval-steps val-every valid-every",
    "save-every": "checkpoint-every save-interval save-steps checkpoint-interval",
    "name": "savefile save checkpoint-name model-name run-name experiment exp-name run",
    "out": "output out-dir output-dir output-file outfile outf save-dir checkpoint-dir logdir",
    OUTPUT: "out output output-file outfile outf save",
    "resume": "checkpoint ckpt load load-model restore resume-from resume-from-checkpoint continue",
    "temp": "t",
    "count": "num n num-samples n-samples nsamples samples number",
    "length": "n-chars num-chars chars len gen-length max-gen-length predict-len max-tokens "
    "max-new-tokens max-length words n-predict",
    "top-k": "k topk top-n",
    "top-p": "p topp nucleus",
    "seed": "random-seed manual-seed",
    "threads": "num-threads n-threads workers num-workers n-jobs",
    "vocabulary": "vocab vocab-file vocab-path",
    "backend": "gpu gpuid gpu-id cuda use-cuda device opencl",
    "level": "word-level words",
}
"""What others call an option of charrnn, an argument, or what goes to standard output."""
SWITCHES = ("backend", "level")
"""What others have a switch for, which may have a number or a device as its value."""
SWITCHED = re.compile(r"(?i)-?\d+|true|false|cpu|mps|cuda(:\d+)?|gpu")
WITHOUT = re.compile(r"(?i)-\d+|false|cpu|mps")
_LIBRARY = {"temperature": "temp t", "length": "n"}
"""Names in Python, and what they are called elsewhere, beside those above."""


def bare(name: str) -> str:
    """Return a name as it stands in the table, without dashes before it."""
    return name.lstrip("-").lower().replace("_", "-")


def meanings(name: str) -> list[str]:
    """Return what a name, as by :func:`bare`, may mean: the keys of ``MEANT``."""
    return [meant for meant, names in MEANT.items() if name in names.split()]


def cell_meant(name: str, value: str) -> str:
    """Return the cell that is the value of an option such as ``--model``; empty if it is none."""
    cell = value.lower().partition("_")[0]  # RNN_TANH
    return cell if name in MEANT["cell"].split() and cell in CELLS.names() else ""


def setting_meant(name: str, known: Collection[str], value: Any = None) -> str:
    """Return the setting that others call ``name``, of those ``known``; empty if none is.

    ``known`` may be written with underscores or hyphens. What has both a run and a cell as its
    meaning is a cell if ``value`` is one.
    """
    typed = bare(name)
    found = {bare(each): each for each in known}
    if typed in found:
        return found[typed]
    also = [meant for meant, names in _LIBRARY.items() if typed in names.split()]
    all_meant = [*meanings(typed), *also]
    if isinstance(value, str) and cell_meant(typed, value) and "cell" in found:
        return found["cell"]
    for meant in all_meant:
        for each in ARGUMENTS.get(meant, (meant,)):
            if each in found:
                return found[each]
    return ""


def value_meant(meant: str, value: Any) -> Any:
    """Return the value that a setting has here, of the value that it has elsewhere."""
    if meant == "backend":
        return "numpy" if value is False or WITHOUT.fullmatch(str(value)) else "cupy"
    if meant == "level" and value in (True, 1, "true", "1"):
        return "word"
    if meant == "cell" and isinstance(value, str):
        return cell_meant("cell-type", value) or value
    return value
