"""A training session: a loop, its run folder, and what is written there as it goes."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path

from charrnn import __version__, runs
from charrnn import checkpoint as checkpoints
from charrnn.backend import Backend
from charrnn.checkpoint import Checkpoint
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.errors import CharRNNError, CorpusError, UsageError
from charrnn.model.language import LanguageModel
from charrnn.text import Corpus, Vocabulary, fit_window, open_corpus
from charrnn.train import vocabulary_change
from charrnn.train.loop import Loop, SaveDue
from charrnn.train.records import End, Eval, Record, Save, Start
from charrnn.train.request import Request, absolute_sources

SAMPLE_LENGTH = 200


class Session:
    """Train and keep what must not be lost.

    Attributes
    ----------
    folder
        The run's folder; a new run's is made last, when nothing else can fail any more.
    notes
        What the user should know before training starts, one line each.
    finished
        Why there is nothing left to do, if a run was resumed that had ended already; else None.
    """

    def __init__(
        self,
        model: LanguageModel,
        corpus: Corpus,
        data: DataConfig,
        train: TrainConfig,
        notes: list[str],
        *,
        folder: Path | None = None,
        resumed: Checkpoint | None = None,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        self.model, self.corpus, self.notes = model, corpus, notes
        self.folder = folder or Path()
        self._data = absolute_sources(data, corpus.sources)
        self._train, self._resumed = train, resumed is not None
        batch, seq_len, lowered = fit_window(len(corpus.train), train.batch, train.seq_len)
        if lowered:
            notes.append(lowered)
        if len(corpus.val) < 2:
            notes.append("no validation text: the last checkpoint counts as the best")
        self.loop = Loop(
            model,
            corpus.train,
            corpus.val,
            replace(train, batch=batch, seq_len=seq_len),
            progress=resumed.progress if resumed else None,
            moments=resumed.moments if resumed else None,
            states=resumed.states if resumed else None,
            sampler=self._sample,
            interrupted=interrupted,
        )
        self.loop.progress.total_steps = self.loop.total_steps
        progress = self.loop.progress
        measured = self.loop.validation is None or progress.measured == progress.step
        self.finished = self.loop.stop_reason() if resumed and measured else None

    def records(self) -> Generator[Record]:
        """Train; write metrics and checkpoints; yield every record.

        If the iterator is closed before its end, the last complete step is saved.

        Raises
        ------
        CharRNNError
            If training diverges or a file cannot be written; the last checkpoint is intact.
        """
        try:
            self._metrics = runs.Metrics(self.folder, self.loop.progress.metrics_bytes)
            if not self._resumed:
                for split, ids in (("val", self.corpus.val), ("test", self.corpus.test)):
                    if len(ids):
                        runs.keep_heldout(self.folder, split, ids)
            yield self._written(self._start())
            for record in self.loop.records():
                yield from self._keep(record)
        except GeneratorExit:
            self._save(runs.LAST)
            raise
        except OSError as problem:
            raise CharRNNError(
                f"cannot write to {self.folder}: {problem.strerror or problem}",
                "the last checkpoint is intact",
            ) from None
        finally:
            if hasattr(self, "_metrics"):
                self._metrics.close()

    def _keep(self, record: Record) -> Iterator[Record]:
        """Write what a record asks for, before or after its own line."""
        if isinstance(record, SaveDue):
            yield self._save(runs.LAST)
            if self._train.keep:
                yield self._save_numbered(record.step)
        elif isinstance(record, End):
            yield self._save(runs.LAST)
            yield self._written(replace(record, run=str(self.folder)))
        else:
            line = self._written(record)
            # Saved before anything is yielded: whoever stops there must not lose it.
            saved = [self._save(runs.BEST)] if isinstance(record, Eval) and record.best else []
            yield line
            yield from saved

    def _written(self, record: Record) -> Record:
        self._metrics.write(record.to_json())
        return record

    def _save(self, name: str) -> Record:
        loop = self.loop
        weights, moments, states = loop.host_state()
        loop.progress.metrics_bytes = self._metrics.settle()
        path = self.folder / name
        checkpoints.save(
            path,
            Checkpoint(
                config=self.model.config,
                vocabulary=self.corpus.vocabulary,
                weights=weights,
                data=self._data,
                train=self._train,
                corpus_sha256=self.corpus.sha256,
                heldout_sha256=self.corpus.heldout_sha256,
                progress=loop.progress,
                moments=moments,
                states=states,
            ),
        )
        return self._written(Save(loop.progress.step, str(path)))

    def _save_numbered(self, step: int) -> Record:
        """Keep this step's checkpoint, and of such ones the newest ``keep``."""
        record = self._save(f"step-{step:08d}{runs.SUFFIX}")
        kept = sorted(self.folder.glob(f"step-*{runs.SUFFIX}"))
        for path in kept[: -self._train.keep]:
            path.unlink(missing_ok=True)
        return record

    def _sample(self, step: int) -> str:
        from charrnn.sampling import samples

        sample = samples(
            self.model,
            self.corpus.vocabulary,
            length=SAMPLE_LENGTH,
            seed=self._train.seed + step,
        )[0].text
        return sample if isinstance(sample, str) else sample.decode("utf-8", "replace")

    def _start(self) -> Start:
        loop, config = self.loop, self.model.config
        return Start(
            step=loop.progress.step,
            run=str(self.folder),
            resumed=self._resumed,
            cell=config.cell,
            layers=config.layers,
            hidden=config.hidden,
            embed=config.embed,
            dtype=config.dtype,
            parameters=int(self.model.weights.flat.size),
            vocabulary=len(self.corpus.vocabulary),
            level=self.corpus.vocabulary.level,
            train_chars=len(self.corpus.train),
            val_chars=len(self.corpus.val),
            test_chars=len(self.corpus.test),
            batch=loop.config.batch,
            seq_len=loop.config.seq_len,
            steps_per_epoch=loop.streams.windows_per_epoch,
            total_steps=loop.total_steps,
            minutes=loop.config.minutes,
            backend=self.model.backend.name,
            seed=self._train.seed,
            version=__version__,
        )


def open_session(
    request: Request, backend: Backend, interrupted: Callable[[], bool] = lambda: False
) -> Session:
    """Return a session that begins, continues or fine-tunes, as the request says.

    Raises
    ------
    UsageError
        For options that cannot be, exclude each other, or conflict with the checkpoint.
    CharRNNError
        For a text or checkpoint that cannot be used, or a folder that cannot be made.
    """
    request.check()
    if request.resume is not None:
        return _resume(request, backend, interrupted)
    start = checkpoints.load(runs.resolve(request.init_from)) if request.init_from else None
    config = request.inherited_model(start) if start else request.fresh_model()
    train, data = request.fresh_train(), request.fresh_data()
    if start and "level" not in request.data:
        data = replace(data, level=start.vocabulary.level)
    corpus = _read(data)
    notes: list[str] = []
    model = _model(config, corpus.vocabulary, train.seed, backend, start, notes)
    session = Session(model, corpus, data, train, notes, interrupted=interrupted)
    session.folder = runs.create(request.name, request.out, data.sources[0])
    return session


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


def _resume(request: Request, backend: Backend, interrupted: Callable[[], bool]) -> Session:
    checkpoint = checkpoints.load(runs.resolve(request.resume, "last"))
    assert checkpoint.path is not None
    data, train = request.resumed(checkpoint)
    if not request.sources and "-" in data.sources:
        raise UsageError("the run was trained on standard input", "give its text again")
    corpus = _read(data)
    mine = (checkpoint.corpus_sha256, checkpoint.heldout_sha256, checkpoint.vocabulary)
    if (corpus.sha256, corpus.heldout_sha256, corpus.vocabulary) != mine:
        raise CorpusError(
            "the text is not the one that the run was trained on",
            "give the same text, or start a new run from its weights with --init-from",
        )
    session = Session(
        checkpoint.model(backend),
        corpus,
        data,
        train,
        [],
        folder=checkpoint.path.parent,
        resumed=checkpoint,
        interrupted=interrupted,
    )
    horizon, end = train.horizon, session.loop.total_steps
    if train.schedule == "cosine" and horizon and (end is None or end > horizon):
        verb = "ended" if checkpoint.step >= horizon else "ends"
        floor = "from there on the learning rate stays at its floor"
        session.notes.append(f"the cosine {verb} at step {horizon}: {floor}")
    return session


def _read(data: DataConfig) -> Corpus:
    return open_corpus(
        data.sources,
        level=data.level,  # type: ignore[arg-type]
        encoding=data.encoding,
        errors=data.errors,
        min_count=data.min_count,
        val_frac=data.val_frac,
        test_frac=data.test_frac,
        val=data.val,
        test=data.test,
    )
