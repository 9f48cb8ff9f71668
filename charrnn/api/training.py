"""``charrnn.fit``: training on a text in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any

from charrnn.api import arguments, notebook
from charrnn.api.classifier import Classifier
from charrnn.api.generator import Generator
from charrnn.api.loading import OF
from charrnn.api.model import Model
from charrnn.api.tagger import Tagger
from charrnn.api.transducer import Transducer
from charrnn.backend import Backend
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.errors import UsageError, setting
from charrnn.options import declared
from charrnn.settings import Configuration
from charrnn.text import Corpus, Layout, corpus_from_text
from charrnn.train import recipes
from charrnn.train.loop import Loop
from charrnn.train.opening.request import Request
from charrnn.train.plan import planned
from charrnn.train.recipes.applies import (
    refuse_reset,
    unused_by_task,
    unused_in_examples,
    unused_of_averages,
)
from charrnn.train.recipes.language import language_loop, require_symbols
from charrnn.train.records import Record
from charrnn.train.rollback import in_memory

_DATA = {"level", "min_count", "val_frac", "test_frac", "join", "hold_out", "examples"}

_OF_TASKS = {
    "classify": {"max_length"},
    "tag": {"max_length"},
    "transduce": {"max_length", "target_level"},
    "generate": {"max_length"},
}


def fit(
    text: str | bytes | Iterable[str] | Iterable[bytes],
    *,
    report: Callable[[Record], object] | None = None,
    backend: str | Backend = "auto",
    best: bool = True,
    **options: Any,
) -> Model | Classifier | Tagger | Transducer | Generator:
    """Train a new model on a text in memory and return it.

    Parameters
    ----------
    text
        A string, or bytes for ``level="byte"``; or a list or another iterable of them, such as an
        open file. They are joined with nothing between them, or with ``join``, as files are: lines
        must end with their own newlines. With ``examples="document"`` each of them is one. With
        ``task="classify"`` or ``"generate"`` it is a list of (text, label) pairs, with
        ``task="transduce"`` of (source, target) pairs, and with ``task="tag"`` of (tokens, labels)
        pairs: two lists of strings, or two strings whose characters they are.
    report
        Called with every record of the training run (see :mod:`charrnn.train.records`). Without it,
        a notebook shows a bar, figures and the loss curves while training runs.
    backend
        ``auto`` (a working GPU, else the CPU), ``numpy`` (the CPU) or ``cupy`` (a GPU).
    best
        Whether the model has the weights of its best evaluation, as a run stands for its best
        checkpoint. Without, and without validation data, it is as it is at the end of training.
    **options
        The options of ``charrnn train``: fields of :class:`~charrnn.config.ModelConfig` and
        :class:`~charrnn.config.TrainConfig`, options of the chosen cell, optimizer and schedule
        (``forget_bias=2``), and ``level``, ``min_count``, ``val_frac``, ``test_frac``, ``join``,
        ``hold_out``, ``examples``, or for the other tasks ``max_length``, and for a transducer
        ``target_level``. With ``seed=None`` a new seed is drawn; it is then
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
    config = request.fresh_model()
    plan = request.fresh_train(config.task, data.level)
    for settings in (config, data, plan):
        settings.refuse_unused(options)
    unused = unused_by_task(config.task) | unused_of_averages(plan)
    for name in unused.keys() & options.keys():
        raise UsageError(f"{setting(name)} {unused[name]}", "leave it out")
    best = arguments.flag(best, "best")
    if report is not None:
        arguments.function(report, "report")
    if config.task != "lm":
        made = OF[config.task]
        table, data = made.table(text, data, plan.seed)
        config, _ = recipes.of(config.task).suited(config, table, options, None)
        network, kept = _trained(table, config, plan, arguments.backend(backend), report, best)
        labels = recipes.of(config.task).labels(table)
        found = made(network, table.vocabulary, labels, plan, data)
        found.recorded = kept
        return found
    refuse_reset(data, plan)
    for name in unused_in_examples(data).keys() & options.keys():
        raise UsageError(f"{setting(name)} {unused_in_examples(data)[name]}", "leave it out")
    begun, engine = perf_counter(), arguments.backend(backend)
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
    require_symbols(corpus)
    recipe = recipes.of("lm")
    config, how, law = planned(recipe, config, plan, corpus, engine, options, begun=begun)
    recipe.required_memory(config, corpus, how, engine)
    model: Any = recipe.fresh(config, corpus, how.seed, engine)
    progress = law and law.progress()
    loop, _ = language_loop(model, corpus.train, corpus.val, how, progress=progress)
    trained = Model(model, corpus.vocabulary, how, data)
    trained.recorded = _records(loop, report, best)
    return trained


def _trained(
    table: Any,
    config: ModelConfig,
    plan: TrainConfig,
    backend: Backend,
    report: Callable[[Record], object] | None,
    best: bool,
) -> tuple[Any, list[dict[str, Any]]]:
    """Return a new network, trained on a table, and the records of that."""
    recipe = recipes.of(config.task)
    recipe.required_memory(config, table, plan, backend)
    network = recipe.fresh(config, table, plan.seed, backend)
    loop, _ = recipe.loop(network, table, plan)
    return network, _records(loop, report, best)


def _records(
    loop: Loop, report: Callable[[Record], object] | None, best: bool
) -> list[dict[str, Any]]:
    """Train, report every record, and return all of them as plain dictionaries.

    Without ``report`` a notebook shows how far training has come.
    """
    kept: list[dict[str, Any]] = []
    shown = None
    if report is None:
        shown = notebook.progress(loop.total_steps, loop.config.minutes, kept)
    for record in in_memory(loop, best):
        kept.append(record.to_json())
        if report is not None:
            report(record)
        elif shown is not None:
            shown.show(record)
    return kept


def _request(options: dict[str, Any]) -> tuple[Request, DataConfig]:
    """Sort options by the configuration that they belong to."""

    def of(config: type[Configuration]) -> dict[str, Any]:
        return {name: value for name, value in options.items() if config.knows(name)}

    names = _DATA | _OF_TASKS.get(str(options.get("task")), set())
    data = {name: value for name, value in options.items() if name in names}
    model, train = of(ModelConfig), of(TrainConfig)
    known = data.keys() | model.keys() | train.keys()
    every = names.union(*map(declared, (ModelConfig, TrainConfig)), ("backend", "best"))
    arguments.refuse_unknown(options, known, "fit", every)
    config = Request(model=model, data=data).fresh_data()
    return Request(sources=("",), model=model, train=train), config
