"""``charrnn.Model``: a language model with its vocabulary; and ``charrnn.load``."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import signature
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from charrnn.api import arguments
from charrnn.backend import Backend
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.display import brief
from charrnn.errors import UsageError
from charrnn.evaluate import Score, score
from charrnn.model.language import LanguageModel
from charrnn.model.parameters import Parameters
from charrnn.sampling import Frame, SampleOptions, stream
from charrnn.sampling.options import DEFAULT_LENGTH
from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs
from charrnn.storage.checkpoint import Checkpoint
from charrnn.text import Vocabulary
from charrnn.text.tally import Tally


class Model:
    """A language model and its vocabulary.

    Made by :func:`load` and :func:`fit`. It can be copied and pickled. Where a pickle is opened, it
    computes on the same kind of backend if that works there, else with NumPy.

    Attributes
    ----------
    network
        The :class:`~charrnn.model.language.LanguageModel` with its weights.
    vocabulary
        Its symbols.
    training
        The settings that it was trained with, its seed among them; None if they are not known.
    data
        How its text was read, which decides how samples begin and end; None if it is not known.
    """

    def __init__(
        self,
        network: LanguageModel,
        vocabulary: Vocabulary,
        training: TrainConfig | None = None,
        data: DataConfig | None = None,
    ) -> None:
        if not isinstance(network, LanguageModel) or not isinstance(vocabulary, Vocabulary):
            raise UsageError(
                "a Model consists of a LanguageModel and its Vocabulary",
                "charrnn.load and charrnn.fit make one",
            )
        if training is not None and not isinstance(training, TrainConfig):
            raise UsageError(f"training must be a TrainConfig, not {brief(training)}")
        if data is not None and not isinstance(data, DataConfig):
            raise UsageError(f"data must be a DataConfig, not {brief(data)}")
        if len(vocabulary) != network.V:
            raise UsageError(
                f"the network has {network.V} symbols and the vocabulary {len(vocabulary)}",
                "give the vocabulary that it was made for",
            )
        self.network = network
        self.vocabulary = vocabulary
        self.training = training
        self.data = data

    def __repr__(self) -> str:
        config, vocabulary = self.config, self.vocabulary
        facts: dict[str, Any] = {"cell": config.cell, "layers": config.layers}
        facts |= {"hidden": config.hidden} | ({"embed": config.embed} if config.embed else {})
        facts |= {"level": vocabulary.level, "vocabulary": len(vocabulary)}
        facts["parameters"] = int(self.weights.flat.size)
        return f"Model({', '.join(f'{name}={value!r}' for name, value in facts.items())})"

    @property
    def config(self) -> ModelConfig:
        """The architecture."""
        return self.network.config

    @property
    def weights(self) -> Parameters:
        """The parameters by their PyTorch names; arrays of the backend, not copies."""
        return self.network.weights

    def stream(
        self,
        length: int = 0,
        *,
        prime: str | bytes = "",
        temperature: float = SampleOptions.temperature,
        top_k: int = SampleOptions.top_k,
        top_p: float = SampleOptions.top_p,
        min_p: float = SampleOptions.min_p,
        until: str | bytes = "",
        until_join: bool = False,
        seed: int | None = 0,
        unknown: Literal["error", "skip"] = "error",
    ) -> Iterator[str | bytes]:
        """Yield a sample symbol by symbol; ``length`` 0 means endless.

        See :func:`charrnn.sampling.stream` for the parameters. With ``seed`` None every sample is
        another one. With ``until_join`` the sample ends where the next text would begin, before the
        ``join`` that the model was trained with.

        Raises
        ------
        UsageError
            If a value is invalid.
        VocabularyError
            If the prime holds a symbol that the model does not know, or ``until`` can never occur.
        """
        options = SampleOptions(temperature, top_k, top_p, min_p)
        frame = Frame.of(self.data, arguments.flag(until_join, "until_join"))
        return frame.shown(
            stream(
                self.network,
                self.vocabulary,
                options,
                length=arguments.length(length),
                prime=arguments.text_of(prime, self.vocabulary, "prime"),
                until=arguments.text_of(until, self.vocabulary, "until"),
                seed=arguments.seed(seed),
                unknown=arguments.unknown(unknown),
                frame=frame,
            )
        )

    def sample(self, length: int = DEFAULT_LENGTH, **options: Any) -> str | bytes:
        """Return a sample of ``length`` symbols without the prime; bytes at byte level.

        Takes the options of :meth:`stream`, and raises what it does.
        """
        arguments.refuse_unknown(options, _DRAWING, "Model.stream")
        ends = options.get("until") or options.get("until_join")
        if arguments.length(length) < 1 and not ends:
            raise UsageError(f"a sample of length {length} never ends", "give a length or until")
        return self.vocabulary.join(self.stream(length, **options))

    def evaluate(self, text: str | bytes, *, unknown: Literal["error", "skip"] = "error") -> Score:
        """Return the exact score of a text, read once from a zero state.

        With ``unknown="skip"``, symbols that the model does not know are left out; the score's
        ``skipped`` is their number.

        Raises
        ------
        UsageError
            If an argument is of the wrong type.
        CorpusError
            If the text has fewer than 2 symbols.
        VocabularyError
            If it holds a symbol that the model does not know.
        """
        text = arguments.text_of(text, self.vocabulary)
        ids, tally = self.vocabulary.encode(text, arguments.unknown(unknown)), Tally()
        tally.add(self.vocabulary, text, ids)
        return score(self.network, [ids], tally=tally)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model to a checkpoint file.

        Raises
        ------
        CharRNNError
            If it cannot be written.
        """
        weights = self.network.backend.get(self.weights.flat)
        data = None
        if self.data is not None and Frame.of(self.data) != Frame():  # how its samples begin
            kept = {name: self.data.get(name) for name in ("level", "column", "field", "join")}
            data = DataConfig(**kept)
        saved = Checkpoint(self.config, self.vocabulary, weights, train=self.training, data=data)
        checkpoints.save(Path(arguments.path(path, "path")), saved)


_DRAWING = signature(Model.stream).parameters.keys() - {"self", "length"}


def load(run: str | PathLike[str] | None = None, *, backend: str | Backend = "auto") -> Model:
    """Return the model of a run.

    Parameters
    ----------
    run
        A run folder, a checkpoint file, or a run's name under ``checkpoints/``; the newest run by
        default. A run stands for its best checkpoint.
    backend
        ``auto`` (a working GPU, else NumPy), ``numpy`` or ``cupy``.

    Raises
    ------
    CharRNNError
        If there is no such run or its checkpoint cannot be read, or an argument is of the wrong
        type.
    """
    path = None if run is None else arguments.path(run, "run")
    engine = arguments.backend(backend)
    checkpoint = checkpoints.load(runs.resolve(path))
    return Model(checkpoint.model(engine), checkpoint.vocabulary, checkpoint.train, checkpoint.data)
