"""The language model: a text that is read as one, or by examples."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from charrnn.architecture import MOST_GRAMS
from charrnn.backend import Backend
from charrnn.backend.team import Team
from charrnn.backend.threads import Threads
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.display import count
from charrnn.errors import CorpusError, UsageError, setting
from charrnn.evaluate.baselines import Baselines, baselines
from charrnn.evaluate.guess import differences, no_better_than
from charrnn.model import memory
from charrnn.model.counted import enough
from charrnn.model.language import LanguageModel
from charrnn.model.shards import shards
from charrnn.storage import heldout
from charrnn.storage.checkpoint import Checkpoint
from charrnn.tasks.language import LanguageTask, fit
from charrnn.tasks.shards.part import Part
from charrnn.text import Corpus, read_corpus
from charrnn.text.units.examples import Units
from charrnn.text.units.pieces import TextIds
from charrnn.train import optimizers, vocabulary_change
from charrnn.train.local.loop import loop_of
from charrnn.train.loop import Loop
from charrnn.train.recipes.base import Recipe
from charrnn.train.records import Sizes

SAMPLE_LENGTH = 200


def language_loop(
    model: LanguageModel,
    train: TextIds | Units,
    val: TextIds | Units,
    config: TrainConfig,
    team: Team | None = None,
    **resumed: Any,
) -> tuple[Loop, str | None]:
    """Return the loop that trains a language model on a text.

    Parameters
    ----------
    model
        Trained in place.
    train, val
        Ids of the training and validation text, or their examples; ``val`` may be empty.
    config
        ``batch`` and ``seq_len`` are lowered if the text is too short for them.
    team
        The members that train the same model on other streams; each calls this function.
    **resumed
        Further arguments of :class:`~charrnn.train.loop.Loop`.

    Returns
    -------
    loop, note
        ``note`` is one line that says what was lowered and why, or None.

    Raises
    ------
    CorpusError
        If the training text has fewer than 2 symbols.
    UsageError
        If ``config`` needs an evaluation, and ``val`` has fewer than 2 symbols; if there are fewer
        streams than members.
    """
    batch, seq_len, note = fit(train, config.batch, config.seq_len)
    config = replace(config, batch=batch, seq_len=seq_len)
    task = LanguageTask(model, train, val, config, team)
    return loop_of(task, config, team, **resumed), note


def require_symbols(corpus: Corpus, val: bool = False, test: bool = False) -> None:
    """Raise :class:`CorpusError` if a text is too short, however little of it is held out.

    ``val`` and ``test`` say whether the validation and test text are other texts.
    """
    symbols = (
        len(corpus.train) + (0 if val else len(corpus.val)) + (0 if test else len(corpus.test))
    )
    if symbols < 2:
        message = f"the text has {count(symbols, 'symbol')}, but at least 2 are needed"
        raise CorpusError(message, "use a longer text")


class Language(Recipe):
    """How runs of language models are begun."""

    def read(self, data: DataConfig, seed: int) -> Corpus:
        """Return the text, encoded and split.

        Raises
        ------
        CorpusError
            As :func:`require_symbols` does.
        """
        corpus = read_corpus(data, seed)
        require_symbols(corpus, bool(data.val), bool(data.test))
        return corpus

    def read_together(self, data: DataConfig, seed: int, team: Team) -> Corpus:
        """Return the text, or this member's part of it."""
        if not data.shard_files:
            return super().read_together(data, seed, team)  # type: ignore[no-any-return]
        from charrnn.tasks.shards.reading import read_part

        return read_part(data, seed, team)

    def sizes(self, corpus: Corpus) -> Sizes:
        """Return the symbols of each part."""
        train = corpus.train
        symbols = sum(train.lengths) if isinstance(train, Part) else len(train)
        return Sizes(symbols, len(corpus.val), len(corpus.test))

    def estimate(
        self,
        config: ModelConfig,
        corpus: Corpus,
        train: TrainConfig,
        backend: Backend,
        members: int = 1,
    ) -> memory.Estimate:
        """Return the memory that training needs.

        Raises
        ------
        CorpusError
            If the training text has fewer than 2 symbols.
        """
        batch, seq_len, _ = fit(corpus.train, train.batch, train.seq_len)
        batch = -(-batch // members)
        return memory.estimate(
            config,
            len(corpus.vocabulary),
            batch,
            seq_len,
            moments=optimizers.moments(train),
            shards=shards(config, batch, Threads(backend)),
            scored=_scored(corpus, train),
            text=len(corpus.train),
        )

    def loop(
        self,
        model: Any,
        corpus: Corpus,
        train: TrainConfig,
        team: Team | None = None,
        **resumed: Any,
    ) -> tuple[Loop, str | None]:
        """Return the loop, and a note on what was lowered for a short text."""
        return language_loop(model, corpus.train, corpus.val, train, team, **resumed)

    def transfer(
        self, start: Checkpoint, config: ModelConfig, corpus: Corpus, seed: int
    ) -> tuple[np.ndarray, str]:
        """Return the weights of another run for the vocabulary of this one."""
        weights, change = vocabulary_change.transfer(start, config, corpus.vocabulary, seed)
        kept = "; its n-grams are kept beside those of this text"
        return weights, str(change) + kept * bool(start.config.grams and config.grams)

    def suited(
        self, config: ModelConfig, corpus: Corpus, given: Collection[str], start: Checkpoint | None
    ) -> tuple[ModelConfig, list[str]]:
        """Make room for the n-grams of this text beside those of the run that it starts from."""
        if start is None or not start.config.grams or "grams" in given:
            return config, []
        grams = start.config.grams + enough(len(corpus.train))
        return replace(config, grams=min(grams, MOST_GRAMS)), []

    def counted(
        self, model: LanguageModel, corpus: Corpus, start: Checkpoint | None = None
    ) -> LanguageModel:
        """Return a model that has counted the n-grams of the training text, if it has any.

        Those of ``start`` are kept.

        Raises
        ------
        UsageError
            If the text is divided among ranks.
        """
        train = corpus.train
        if model.counted is None:
            return model
        if isinstance(train, Part):
            message = f"{setting('grams')} counts one text, but {setting('shard_files')} divides it"
            raise UsageError(message, f"leave one of them out, or set {setting('grams')} 0")
        other = vocabulary_change.counted(start, corpus.vocabulary) if start else None
        if isinstance(train, Units):
            examples = train.text(), train.lengths(), train.start
            model.counted.fill_with_examples(model.weights, *examples, other)
        else:
            model.counted.fill(model.weights, train, other)
        return model

    def write_heldout(self, folder: Path, corpus: Corpus) -> None:
        """Write the held-out texts."""
        for split, ids in (("val", corpus.val), ("test", corpus.test)):
            if len(ids):
                heldout.write(folder, split, ids)

    def sampler(
        self, model: Any, corpus: Corpus, data: DataConfig, seed: int
    ) -> Callable[[int], str]:
        """Return a function that writes a short sample at a step."""

        def sample(step: int) -> str:
            from charrnn.sampling import Frame, samples

            frame, vocabulary = Frame.of(data), corpus.vocabulary
            how: dict[str, Any] = {"length": SAMPLE_LENGTH, "seed": seed + step}
            made = samples(model, vocabulary, **how, frame=frame)
            text = vocabulary.join(frame.shown([one.text for one in made]))
            return text if isinstance(text, str) else text.decode("utf-8", "replace")

        return sample

    def remarks(self, corpus: Corpus, data: DataConfig) -> list[str]:
        """Return a note if the validation text is of another kind than the training text."""
        return differences(corpus) if data.val else []

    def no_better_than(
        self, corpus: Corpus, loss: float | None
    ) -> tuple[str, float] | tuple[None, None]:
        """Return a guess by frequencies alone that is no worse than a model of this loss."""
        return no_better_than(corpus, loss)

    def baselines(self, corpus: Corpus, limit: int) -> Baselines | None:
        """Return what simple models and a compressor reach on the validation text."""
        return baselines(corpus.train, corpus.val, corpus.vocabulary, limit)


def _scored(corpus: Corpus, train: TrainConfig) -> int:
    """Return how many symbols an evaluation scores, as far as its memory depends on them."""
    if isinstance(corpus.val, Units) and len(corpus.val):
        return train.eval_chars  # as many streams as there can be
    return min(len(corpus.val), train.eval_chars)
