"""Opening a training session: new, resumed, or from another run's weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from charrnn.backend import Backend
from charrnn.backend.threads import Threads
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.display import shell
from charrnn.errors import CorpusError, UsageError
from charrnn.model import memory
from charrnn.model.language import LanguageModel
from charrnn.model.shards import shards
from charrnn.own import METRICS
from charrnn.registry import SCHEDULES
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs
from charrnn.storage.checkpoint import Checkpoint
from charrnn.storage.lock import Lock
from charrnn.storage.metrics import is_shorter
from charrnn.text import Corpus, Vocabulary, read_corpus
from charrnn.text.units.examples import Units
from charrnn.train import optimizers, vocabulary_change
from charrnn.train.request import Request
from charrnn.train.session import Session, fit


def open_session(
    request: Request,
    backend: Backend,
    interrupted: Callable[[], bool] = lambda: False,
    commit: Callable[[], object] = lambda: None,
    dry: bool = False,
) -> Session:
    """Return a session that begins, continues or fine-tunes, as the request says.

    Parameters
    ----------
    request, backend
        What to train, and on which backend.
    interrupted
        Polled after every step; once it is true, training ends there and is saved.
    commit
        Called after everything that can fail and before a new folder is made and training begins;
        from then on ``interrupted`` ends the session, not an exception.
    dry
        Make no folder and take no lock: the session will not be run.

    Raises
    ------
    UsageError
        If options are invalid, exclude each other, or conflict with the checkpoint.
    CharRNNError
        If a text or checkpoint is not usable, or the folder cannot be made.
    """
    request.check()
    if dry:
        runs.check_free(request.name, request.out)
    if request.resume is not None:
        return _resume(request, backend, interrupted, commit, dry)
    start = checkpoints.load(runs.resolve(request.init_from)) if request.init_from else None
    config = request.inherited_model(start) if start else request.fresh_model()
    data = request.inherited_data(start) if start else request.fresh_data()
    train = request.fresh_train()
    request.refuse_unused(data, train)
    corpus = read_corpus(data, train.seed)
    notes: list[str] = []
    needed = required_memory(config, corpus, train, backend)
    model = _model(config, corpus.vocabulary, train.seed, backend, start, notes)
    beginning = _beginning(model, train.seed, start)
    session = Session(
        model,
        corpus,
        data,
        train,
        notes,
        needed=needed,
        beginning=beginning,
        interrupted=interrupted,
    )
    if not dry:
        commit()
        session.use_folder(runs.create(request.name, request.out, data.sources[0]))
    return session


def required_memory(
    config: ModelConfig, corpus: Corpus, train: TrainConfig, backend: Backend
) -> memory.Estimate:
    """Return the memory that training needs.

    Raises
    ------
    CorpusError
        If the training text has fewer than 2 symbols.
    CharRNNError
        If the backend has less memory.
    """
    batch, seq_len, _ = fit(corpus.train, train.batch, train.seq_len)
    needed = memory.estimate(
        config,
        len(corpus.vocabulary),
        batch,
        seq_len,
        moments=optimizers.moments(train),
        shards=shards(config, batch, Threads(backend)),
        scored=_scored(corpus, train),
    )
    memory.require(needed, backend)
    return needed


def _scored(corpus: Corpus, train: TrainConfig) -> int:
    """Return how many symbols an evaluation scores, as far as its memory depends on them."""
    if isinstance(corpus.val, Units) and len(corpus.val):
        return train.eval_chars  # as many streams as there can be
    return min(len(corpus.val), train.eval_chars)


def _model(
    config: ModelConfig,
    vocabulary: Vocabulary,
    seed: int,
    backend: Backend,
    start: Checkpoint | None,
    notes: list[str],
) -> LanguageModel:
    if start is None:
        return LanguageModel.fresh(config, len(vocabulary), seed, backend)
    weights, change = vocabulary_change.transfer(start, config, vocabulary, seed)
    notes.append(f"starting from {start.path}: {change}")
    return LanguageModel(config, len(vocabulary), backend, weights)


def _beginning(
    model: LanguageModel, seed: int, start: Checkpoint | None
) -> Callable[[], np.ndarray]:
    """Return a function that returns the starting weights again, on the host.

    Fresh ones are drawn again. Those that came from a checkpoint are kept in memory until the first
    save, because the file may have been replaced by then.
    """
    if start is None:
        config, symbols = model.config, model.V
        return lambda: np.asarray(LanguageModel.fresh(config, symbols, seed).weights.flat)
    weights = model.backend.get(model.weights.flat).copy()
    return lambda: weights


def _resume(
    request: Request,
    backend: Backend,
    interrupted: Callable[[], bool],
    commit: Callable[[], object],
    dry: bool,
) -> Session:
    path = runs.resolve(request.resume, "last")
    lock = None if dry else Lock(path.parent)
    try:
        if path != Path(str(request.resume)):
            path = runs.resolve(str(path.parent), "last")  # it may have changed before the lock
        session = _continued(checkpoints.load(path), lock, request, backend, interrupted)
    except BaseException:
        if lock is not None:
            lock.release()
        raise
    if not dry:
        commit()
    if session.finished:
        session.close()
    return session


def _continued(
    checkpoint: Checkpoint,
    lock: Lock | None,
    request: Request,
    backend: Backend,
    interrupted: Callable[[], bool],
) -> Session:
    data, train = request.resumed(checkpoint)
    if not request.sources and "-" in data.sources:
        raise UsageError("the run was trained on standard input", "pass the text again")
    corpus = _read_again(request, data, train.seed)
    expected = (checkpoint.corpus_sha256, checkpoint.heldout_sha256, checkpoint.vocabulary)
    if (corpus.sha256, corpus.heldout_sha256, corpus.vocabulary) != expected:
        raise CorpusError(
            "the text is not the one that the run was trained on",
            f"give the same text, or start a new run from its weights: {request.anew(checkpoint)}",
        )
    needed = required_memory(checkpoint.config, corpus, train, backend)
    session = Session(
        checkpoint.model(backend),
        corpus,
        data,
        train,
        [],
        needed=needed,
        lock=lock,
        resumed=checkpoint,
        interrupted=interrupted,
    )
    horizon, end = train.horizon, session.loop.total_steps
    ends = SCHEDULES.get(train.schedule).ends_at_floor
    if ends and horizon and (end is None or end > horizon):
        verb = "ended" if checkpoint.step >= horizon else "ends"
        floor = "from then on the learning rate stays at its floor"
        session.notes.append(f"the {train.schedule} schedule {verb} at step {horizon}: {floor}")
    assert checkpoint.path is not None
    if is_shorter(checkpoint.path.parent, checkpoint.progress.metrics_bytes):
        lost = "the missing lines are lost"
        session.notes.append(f"{METRICS} is shorter than the checkpoint says: {lost}")
    return session


def _read_again(request: Request, data: DataConfig, seed: int) -> Corpus:
    """Read the text of a run that is resumed."""
    try:
        return read_corpus(data, seed)
    except CorpusError as problem:
        moved = [name for name in data.sources if Path(name).is_absolute()]
        if not request.sources and any(not Path(name).exists() for name in moved):
            again = f"charrnn train TEXT --resume {shell(str(request.resume))}"
            raise CorpusError(problem.message, f"if it was moved, name it: {again}") from None
        raise
