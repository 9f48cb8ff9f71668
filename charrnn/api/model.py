"""``charrnn.Model``: a language model with its vocabulary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from inspect import signature
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from charrnn.api import arguments
from charrnn.api.drawing import Drawing, drawing
from charrnn.api.saving import save
from charrnn.api.shown import Shown
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.display import brief
from charrnn.errors import UsageError
from charrnn.evaluate import Dynamic, Score, score, score_dynamically, score_lines
from charrnn.exchange.export import export
from charrnn.exchange.portable import Portable
from charrnn.exchange.rounding import DEFAULT_BITS, checked_bits, rounded
from charrnn.model.language import LanguageModel
from charrnn.model.parameters import Parameters
from charrnn.sampling import Frame, Sample, SampleOptions, Stepper, in_order, most_likely, stream
from charrnn.sampling.options import DEFAULT_LENGTH, check_end
from charrnn.storage.checkpoint import Checkpoint
from charrnn.text import Vocabulary
from charrnn.text.layout import WHOLE, Layout
from charrnn.text.tally import Tally


class Model(Shown):
    """A language model and its vocabulary.

    Made by :func:`load` and :func:`fit`. It can be copied and pickled. An unpickled model computes
    on the same kind of backend if that works on the machine, else with NumPy.

    Attributes
    ----------
    network
        The :class:`~charrnn.model.language.LanguageModel` with its weights.
    vocabulary
        Its symbols.
    training
        The settings that it was trained with, including the seed; None if not known.
    data
        How its text was read, which decides how samples begin and end; None if not known.
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
        self.network: LanguageModel = network
        self.vocabulary = vocabulary
        self.training = training
        self.data = data

    def __repr__(self) -> str:
        config, vocabulary = self.config, self.vocabulary
        facts: dict[str, Any] = {"cell": config.cell, "layers": config.layers}
        facts |= {"hidden": config.hidden} | ({"embed": config.embed} if config.embed else {})
        facts |= {"level": vocabulary.level, "vocabulary": len(vocabulary)}
        facts["parameters"] = int(self.weights.trained.flat.size)
        facts |= {"grams": config.grams} if config.grams else {}
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
        temperature_end: float | None = SampleOptions.temperature_end,
        repetition_penalty: float = SampleOptions.repetition_penalty,
        repetition_window: int = SampleOptions.repetition_window,
        no_repeat: int = SampleOptions.no_repeat,
        novel: bool = False,
        novel_span: int | None = None,
        novel_text: str | bytes | Iterable[str] | Iterable[bytes] | None = None,
        until: str | bytes = "",
        until_join: bool = False,
        seed: int | None = 0,
        unknown: Literal["error", "skip"] = "error",
    ) -> Iterator[str | bytes]:
        """Yield a sample symbol by symbol; ``length`` 0 means endless.

        Parameters
        ----------
        length, prime, until, unknown
            As for :func:`charrnn.sampling.stream`.
        temperature, top_k, top_p, min_p, temperature_end, repetition_penalty, repetition_window, \
        no_repeat
            See :class:`charrnn.sampling.SampleOptions`.
        novel, novel_span, novel_text
            With ``novel``, a line that occurs in ``novel_text`` is not written but drawn again;
            with ``novel_span``, at most that many symbols in a row are the same as in that text.
        until_join
            End where the next text would begin, before the ``join`` that the model was trained
            with.
        seed
            With None every sample is different.

        Raises
        ------
        UsageError
            If a value is invalid.
        VocabularyError
            If the prime holds a symbol that the model does not know, or ``until`` can never occur.
        """
        given = {name: value for name, value in locals().items() if name in _DRAWING}
        how = drawing(self.vocabulary, self.data, length, given)
        return how.frame.shown(
            stream(self.network, self.vocabulary, how.options, prime=how.prime, **how.arguments)
        )

    def sample(self, length: int = DEFAULT_LENGTH, **options: Any) -> str | bytes:
        """Return a sample of ``length`` symbols without the prime; bytes at byte level.

        Takes the options of :meth:`stream`, and raises the same errors.
        """
        arguments.refuse_unknown(options, _DRAWING, "Model.stream", {"length"})
        symbols = self.stream(length, **options)
        ends = options.get("until") or options.get("until_join") or Frame.of(self.data).end
        if length == 0 and not ends:
            raise UsageError(f"a sample of length {length} never ends", "give a length or until")
        with self.network.inference(1):
            return self.vocabulary.join(symbols)

    def samples(self, count: int, length: int = DEFAULT_LENGTH, **options: Any) -> Iterator[Sample]:
        """Yield ``count`` samples in order, each once it is complete; they are computed together.

        Each has ``text`` (including the text that ended it), ``log_probs`` and ``log_prob``. Takes
        the options of :meth:`stream`, and raises the same errors.
        """
        arguments.refuse_unknown(options, _DRAWING, "Model.stream", {"length", "count"})
        how = drawing(self.vocabulary, self.data, length, options)
        count = arguments.count(count)
        check_end(how.arguments["length"], how.arguments["until"] or how.frame.end)
        return in_order(
            self.network,
            self.vocabulary,
            how.options,
            prime=how.prime,
            count=count,
            log_probs=True,
            **how.arguments,
        )

    def continuations(
        self,
        lines: Iterable[str] | Iterable[bytes],
        length: int = DEFAULT_LENGTH,
        **options: Any,
    ) -> Iterator[str | bytes]:
        """Yield a continuation of each line, as soon as the line has been read.

        It does not include the line itself. It ends where that line would end, at a newline, unless
        ``until`` or ``until_join`` says otherwise. A newline at the end of a given line is ignored.
        Line k, from 0, uses the random numbers of sample k of :meth:`samples`. Takes the options of
        :meth:`stream` except ``prime``, and raises the same errors.
        """
        arguments.refuse_unknown(options, _DRAWING - {"prime"}, "Model.continuations", {"length"})
        how = drawing(self.vocabulary, self.data, length, options, lines=True)
        if not (how.arguments["until"] or how.frame.end) and self.vocabulary.newline is not None:
            how.arguments["until"] = "\n"
        check_end(how.arguments["length"], how.arguments["until"] or how.frame.end)
        return self._continued(arguments.lines(lines), how)

    def _continued(self, lines: Iterator[Any], how: Drawing) -> Iterator[str | bytes]:
        stepper = Stepper(self.network)
        for number, line in enumerate(lines):
            prime = arguments.text_of(line, self.vocabulary, f"line {number}")
            newline: Any = "\n" if isinstance(prime, str) else b"\n"
            symbols = stream(
                self.network,
                self.vocabulary,
                how.options,
                prime=prime.removesuffix(newline),
                first=number,
                stepper=stepper,
                **how.arguments,
            )
            with self.network.inference(1):
                text = self.vocabulary.join(how.frame.shown(symbols))
            yield text

    def most_likely(
        self,
        length: int = DEFAULT_LENGTH,
        *,
        beam: int,
        count: int = 1,
        prime: str | bytes = "",
        until: str | bytes = "",
        until_join: bool = False,
        no_repeat: int = 0,
        unknown: Literal["error", "skip"] = "error",
    ) -> list[Sample]:
        """Return the most likely texts that a beam search finds, the best one first.

        See :func:`charrnn.sampling.most_likely` for the parameters.

        Raises
        ------
        UsageError
            If a value is invalid.
        VocabularyError
            As for :meth:`stream`.
        """
        given = {"prime": prime, "until": until, "until_join": until_join, "unknown": unknown}
        how = drawing(self.vocabulary, self.data, length, given | {"no_repeat": no_repeat})
        del how.arguments["seed"], how.arguments["novelty"]
        return most_likely(
            self.network,
            self.vocabulary,
            beam=beam,
            count=arguments.count(count),
            prime=how.prime,
            no_repeat=how.options.no_repeat,
            **how.arguments,
        )

    def evaluate(
        self,
        text: str | bytes | Iterable[str] | Iterable[bytes],
        *,
        unknown: Literal["error", "skip"] = "error",
        dynamic: bool | Dynamic = False,
    ) -> Score:
        """Return the exact score of a text, read once from a zero state.

        The texts of a list or another iterable are joined as those of :func:`charrnn.fit` are, with
        the ``join`` of the training if there are several.

        If the model was trained on examples, each line of the text, or each text as a document, is
        scored from a zero state, including its first symbol and its end.

        With ``dynamic=True``, or a :class:`~charrnn.evaluate.Dynamic`, the score is that of a copy
        of the model that learns from each window of the text after it has scored it.

        With ``unknown="skip"``, symbols that the model does not know are left out; the score's
        ``skipped`` counts them.

        Raises
        ------
        UsageError
            If an argument is of the wrong type, or a model of examples should learn from a text.
        CorpusError
            If the text has fewer than 2 symbols.
        VocabularyError
            If it holds a symbol that the model does not know.
        """
        policy, vocabulary = arguments.unknown(unknown), self.vocabulary
        learning = isinstance(dynamic, Dynamic) or arguments.flag(dynamic, "dynamic")
        given = [arguments.text_of(one, vocabulary) for one in arguments.text_list(text)]
        texts, layout = [one for one in given if one], Layout.of(self.data or DataConfig())
        if len(texts) < 2 and not layout.examples:
            layout = WHOLE  # nothing stands between texts
        pieces = layout.pieces_of(texts)
        if layout.examples and learning:
            raise UsageError("the model was trained on examples, and none is learned from here")
        if layout.examples:
            examples = [(one, vocabulary.encode(one, policy)) for one in pieces]
            start = layout.start(vocabulary)
            scores = score_lines(
                self.network, examples, start=start, tally=partial(Tally.of, vocabulary)
            )
            return sum((one.score for one in scores), Score(0, 0.0, 0, 0))
        whole = vocabulary.join(pieces)
        ids = vocabulary.encode(whole, policy)
        tally = Tally.of(vocabulary, whole, ids)
        if learning:
            how = dynamic if isinstance(dynamic, Dynamic) else None
            return score_dynamically(self.network, [ids], how, tally=tally)
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
        if self.data is not None and Frame.of(self.data) != Frame():  # it decides how samples begin
            names = ("level", "column", "field", "join", "examples")
            data = DataConfig(**{name: self.data.get(name) for name in names})
        saved = Checkpoint(self.config, self.vocabulary, weights, train=self.training, data=data)
        save(saved, path)

    def export(self, path: str | PathLike[str], *, to: str, bits: int | None = None) -> str:
        """Write the model for another library, and return Python code that opens the file there.

        ``to`` is one of those of ``charrnn export``: "torch", "onnx", "keras", or "html" for a web
        page, whose weights have 8 ``bits``, or 16. Counted n-grams are left out.

        Raises
        ------
        UsageError
            If ``to``, ``path`` or ``bits`` is invalid.
        CharRNNError
            If the file cannot be written, or the cell has no counterpart in the library.
        """
        library, target = arguments.library(to), Path(arguments.path(path, "path"))
        portable = Portable.of(self.network, self.vocabulary, self.data)
        return export(portable, library, target, bits)

    def rounded(self, bits: int = DEFAULT_BITS) -> Model:
        """Return the model of a web page, with weights of 8 or 16 ``bits`` and without n-grams."""
        network = rounded(self.network, checked_bits(bits))
        return Model(network, self.vocabulary, self.training, self.data)


_DRAWING = signature(Model.stream).parameters.keys() - {"self", "length"}
