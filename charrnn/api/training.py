"""``charrnn.fit``: training on a text in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from charrnn.api import arguments
from charrnn.api.model import Model
from charrnn.backend import Backend
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.errors import UsageError, setting
from charrnn.model.language import LanguageModel
from charrnn.settings import Configuration
from charrnn.text import Corpus, Layout, corpus_from_text
from charrnn.train.opening import required_memory
from charrnn.train.records import Record
from charrnn.train.request import Request, refuse_reset, unused_in_examples
from charrnn.train.rollback import in_memory
from charrnn.train.session import language_loop

_DATA = {"level", "min_count", "val_frac", "test_frac", "join", "hold_out", "examples"}


def fit(
    text: str | bytes | Iterable[str] | Iterable[bytes],
    *,
    report: Callable[[Record], object] | None = None,
    backend: str | Backend = "auto",
    **options: Any,
) -> Model:
    """Train a new model on a text in memory and return it as it is at the end.

    Parameters
    ----------
    text
        A string, or bytes for ``level="byte"``; or a list or another iterable of them, such as an
        open file. They are joined with nothing between them, or with ``join``, as files are: lines
        must end with their own newlines. With ``examples="document"`` each of them is one.
    report
        Called with every record of the training run (see :mod:`charrnn.train.records`).
    backend
        ``auto`` (a working GPU, else the CPU), ``numpy`` (the CPU) or ``cupy`` (a GPU).
    **options
        The options of ``charrnn train``: fields of :class:`~charrnn.config.ModelConfig` and
        :class:`~charrnn.config.TrainConfig`, options of the chosen cell, optimizer and schedule
        (``forget_bias=2``), and ``level``, ``min_count``, ``val_frac``, ``test_frac``, ``join``,
        ``hold_out``, ``examples``. With ``seed=None`` a new seed is drawn; it is then
        ``model.training.seed``. Nothing is saved, so ``keep`` and ``sample_every`` have no effect.

    Raises
    ------
    UsageError
        For an unknown option, an invalid value or an argument of the wrong type.
    CorpusError
        If the text is too short.
    CharRNNError
        If the machine does not have enough memory.
    DivergedError
        If training diverges more often than ``max_rollbacks`` allows.
    """
    if "seed" in options:
        options["seed"] = arguments.seed(options["seed"])
    request, data = _request(options)
    config, plan = request.fresh_model(), request.fresh_train()
    data.refuse_unused(options)
    plan.refuse_unused(options)
    refuse_reset(data, plan)
    for name in unused_in_examples(data).keys() & options.keys():
        raise UsageError(f"{setting(name)} {unused_in_examples(data)[name]}", "leave it out")
    if report is not None:
        arguments.function(report, "report")
    engine = arguments.backend(backend)
    level: Any = data.level
    corpus: Corpus = corpus_from_text(
        arguments.text_list(text),
        level=level,
        layout=Layout.of(data),
        min_count=data.min_count,
        val_frac=data.val_frac,
        test_frac=data.test_frac,
        hold_out=data.held_out_by,
        seed=plan.seed,
    )
    required_memory(config, corpus, plan, engine)
    network = LanguageModel.fresh(config, len(corpus.vocabulary), plan.seed, engine)
    loop, _ = language_loop(network, corpus.train, corpus.val, plan)
    for record in in_memory(loop):
        if report is not None:
            report(record)
    return Model(network, corpus.vocabulary, plan, data)


def _request(options: dict[str, Any]) -> tuple[Request, DataConfig]:
    """Sort options by the configuration that they belong to."""

    def of(config: type[Configuration]) -> dict[str, Any]:
        return {name: value for name, value in options.items() if config.knows(name)}

    data = {name: value for name, value in options.items() if name in _DATA}
    config = DataConfig(**data)
    model, train = of(ModelConfig), of(TrainConfig)
    arguments.refuse_unknown(options, data.keys() | model.keys() | train.keys(), "fit")
    return Request(sources=("",), model=model, train=train), config
