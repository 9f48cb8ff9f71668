"""What ``charrnn diagnose`` examines, and what it writes about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from charrnn.cli.parsing.command import given
from charrnn.cli.parsing.given import note_unknown, refuse
from charrnn.cli.parsing.pictures import DRAWINGS, PAGES, check_picture, note_lacking
from charrnn.cli.parsing.shared import LABELS, PAIRS, note, reading
from charrnn.cli.process.output import write, write_json
from charrnn.config import DataConfig, TrainConfig
from charrnn.diagnosis.settings import STEPS, Settings
from charrnn.errors import option

if TYPE_CHECKING:
    from charrnn.backend import Backend as Engine
    from charrnn.diagnosis.report import Report
    from charrnn.diagnosis.subjects import Subject
    from charrnn.diagnosis.tasks.base import ExamplesSubject
    from charrnn.storage.checkpoint import Checkpoint
    from charrnn.text import Corpus
    from charrnn.train.opening.request import Request

EXIT_FINDING = 3
DEFAULT_TEXTS = {
    "lm": "python-docs",
    "classify": "recall",
    "transduce": "dates",
    "generate": "walks",
}
"""For each task the built-in corpus that new models are examined on."""


@dataclass
class Examination:
    """The options that were given, and the actions that they ask for.

    ``model``, ``data`` and ``train`` hold those that were given, by the names of the
    configurations' fields.
    """

    texts: list[str]
    model: dict[str, Any]
    data: dict[str, Any]
    train: dict[str, Any]
    settings: Settings
    as_json: bool
    plot: Path | None
    html: Path | None

    def check(self) -> None:
        """Raise for a drawing or a page that cannot be written."""
        check_picture(self.plot, DRAWINGS)
        check_picture(self.html, PAGES)

    def of_run(
        self,
        context: typer.Context,
        run: str | None,
        engine: Engine,
        unknown: Literal["error", "skip"],
    ) -> Subject | ExamplesSubject:
        """Return a trained model, on its validation text or on the text given."""
        from charrnn.cli.process.progress import progress
        from charrnn.diagnosis import subjects
        from charrnn.storage import checkpoint, runs

        loaded = checkpoint.load(runs.resolve(run), finite=False)
        if loaded.config.task != "lm":
            return self._of_examples(context, loaded, engine)
        why = f"does not apply to a language model, which {loaded.name} is"
        refuse(context, (*LABELS, *PAIRS), why)
        ids, name = None, ""
        note_unknown(context, loaded.vocabulary)
        if self.texts:
            how = reading(loaded, self.data)
            with progress("reading the text", self.texts):
                ids, notes = subjects.read_text(self.texts, loaded.vocabulary, unknown, **how)
            name = ", ".join(self.texts)
            for line in notes:
                note(line)
        return subjects.of_checkpoint(loaded, engine, ids, name, self.train)

    def _of_examples(
        self, context: typer.Context, loaded: Checkpoint, engine: Engine
    ) -> ExamplesSubject:
        """Return a trained model that reads examples, on its held-out ones or on those given."""
        from charrnn.cli.process.progress import progress
        from charrnn.cli.scoring.examples import examples_of
        from charrnn.diagnosis.tasks import refuse_unexamined
        from charrnn.diagnosis.tasks.subjects import of_checkpoint, refuse_unmeasured

        refuse_unexamined(loaded.config.task)
        why = f"only applies to a language model, but {loaded.name} is none"
        refuse(context, ("unknown", "join"), why)
        with progress("reading the examples", self.texts):
            split = None if self.texts else "val"
            data, _ = examples_of(context, loaded, self.texts, split, self.data)
        text = ", ".join(self.texts) or "the run's validation examples"
        subject = of_checkpoint(loaded, engine, data, text, self.train)
        refuse_unmeasured(subject, given(context, Settings))
        return subject

    def _request(self, val_frac: float) -> Request:
        """Return the options as those of a training run."""
        from charrnn.diagnosis.tasks import refuse_unexamined
        from charrnn.train.opening.request import Request

        task = str(self.model.get("task", "lm"))
        refuse_unexamined(task)
        texts = self.texts or [DEFAULT_TEXTS.get(task, DEFAULT_TEXTS["lm"])]
        data = {**self.data, "val_frac": val_frac}
        return Request(sources=tuple(texts), model=self.model, data=data, train=self.train)

    def _read(self, request: Request, seed: int) -> Any:
        """Return the examples of a new model."""
        from charrnn.cli.process.progress import progress
        from charrnn.train import recipes

        model, data = request.fresh_model(), request.fresh_data()
        request.refuse_unused(model, data, request.fresh_train(model.task))
        with progress("reading the examples", list(request.sources)):
            corpus = recipes.of(model.task).read(data, seed)
        for line in corpus.notes:
            note(line)
        return corpus

    def fresh(self, context: typer.Context, engine: Engine) -> Subject | ExamplesSubject:
        """Return an untrained model on the text given."""
        from charrnn.diagnosis import subjects
        from charrnn.diagnosis.tasks.subjects import refuse_of_text

        request = self._request(0.0)
        config = request.fresh_model()
        if config.task != "lm":
            return self._fresh_of_examples(context, engine)
        refuse_of_text("lm", self.data)
        request.refuse_unused(config, request.fresh_data(), request.fresh_train("lm"))
        plan = TrainConfig(**{"seed": self.settings.seed} | self.train)
        corpus, name = self._corpus(val_frac=0.0)
        symbols = len(corpus.vocabulary)
        return subjects.untrained(config, symbols, corpus.train, name, plan, engine)

    def _fresh_of_examples(self, context: typer.Context, engine: Engine) -> ExamplesSubject:
        """Return an untrained model that reads examples."""
        from charrnn.diagnosis import tasks
        from charrnn.diagnosis.tasks.base import ExamplesSubject
        from charrnn.diagnosis.tasks.subjects import refuse_unmeasured
        from charrnn.train import recipes

        request = self._request(0.0)
        config = request.fresh_model()
        plan = request.fresh_train(config.task).changed(seed=self.settings.seed)
        corpus = self._read(request, plan.seed)
        model = recipes.of(config.task).fresh(config, corpus, plan.seed, engine)
        name, text = "an untrained model", ", ".join(request.sources)
        examples = tasks.of(model, corpus.train, corpus.vocabulary)
        subject = ExamplesSubject(examples, plan, name=name, text=text, fresh=True)
        refuse_unmeasured(subject, given(context, Settings))
        return subject

    def _corpus(self, val_frac: float) -> tuple[Corpus, str]:
        from charrnn.cli.process.progress import progress
        from charrnn.text import read_corpus

        texts = self.texts or [DEFAULT_TEXTS["lm"]]
        data = DataConfig(**self.data, sources=tuple(texts), val_frac=val_frac)
        data.refuse_unused(self.data)
        with progress("reading the text", texts):
            corpus = read_corpus(data)
        for line in corpus.notes:
            note(line)
        return corpus, ", ".join(texts)

    def examine(self, subject: Subject | ExamplesSubject, codes: frozenset[str]) -> int:
        """Examine a model and report on it."""
        from charrnn.cli.process.progress import progress
        from charrnn.diagnosis.examine import examine

        with progress("examining") as show:
            report = examine(subject, self.settings, show, option)
        self._note_first_update(report)
        for line in report.notes if self.as_json else ():
            note(line)
        if self.as_json:
            write_json(report.to_json())
        else:
            from charrnn.report.diagnose.report import report_parts
            from charrnn.report.diagnose.terminal import make_console, render

            write(render(report_parts(report, make_console().width)))
        return self._finish([report], codes)

    def _note_first_update(self, report: Report) -> None:
        """Note options of the optimizer that matter from the second update on, if there is none."""
        from charrnn.registry import OPTIMIZERS

        norms = report.norms
        if norms is None or norms.moments or len(norms.series) > 1:
            return
        for name in getattr(OPTIMIZERS.get(norms.optimizer), "of_moments", ()):
            if name in self.train:
                note(
                    f"{option(name)} has no effect: the text gives one window, so that only a "
                    "first update is measured"
                )

    def compare(
        self, context: typer.Context, names: str, engine: Engine, codes: frozenset[str]
    ) -> int:
        """Train and examine several cells."""
        from charrnn.cli.process.progress import progress
        from charrnn.diagnosis import compare as comparing
        from charrnn.diagnosis.tasks.subjects import refuse_of_text
        from charrnn.report.diagnose.compare import compare_parts
        from charrnn.report.diagnose.terminal import render

        configs = comparing.architectures(names.split(","), self.model)
        corpus: Any
        task = next(iter(configs.values())).task
        if task == "lm":
            refuse_of_text("lm", self.data)
            asked = self._request(DataConfig.val_frac)
            for config in configs.values():
                asked.refuse_unused(config, asked.fresh_data(), asked.fresh_train("lm"))
            plan = TrainConfig(**{"steps": STEPS, "seed": self.settings.seed} | self.train)
            corpus, text = self._corpus(val_frac=DataConfig.val_frac)
        else:
            steps = {"steps": STEPS, "seed": self.settings.seed} | self.train
            request = replace(self._request(DataConfig.val_frac), train=steps)
            plan = request.fresh_train(task)
            corpus, text = self._read(request, plan.seed), ", ".join(request.sources)
        with progress("training") as show:
            contestants = [
                comparing.train_and_examine(
                    cell, config, corpus, plan, engine, self.settings, show, option
                )
                for cell, config in configs.items()
            ]
        if self.as_json:
            write_json(comparing.to_json(contestants, text))
        else:
            write(render(compare_parts(contestants, text)))
        return self._finish([one.report for one in contestants], codes)

    def history(self, run: str | None) -> int:
        """Show what training recorded."""
        from charrnn.diagnosis.history import read
        from charrnn.storage import runs
        from charrnn.storage.metrics import read_metrics

        path = runs.resolve(run, "last")
        recorded = read(str(path.parent), read_metrics(path.parent))
        if self.as_json:
            write_json(recorded.to_json())
        else:
            from charrnn.report.diagnose.history import history_parts
            from charrnn.report.diagnose.terminal import make_console, render

            write(render(history_parts(recorded, make_console().width)))
        if self.html is not None:
            from charrnn.report.diagnose.history_page import write_page

            write_page(recorded, self.html)
        return 0

    def _finish(self, reports: list[Report], codes: frozenset[str]) -> int:
        """Write the pages that were asked for; return the exit code."""
        if self.plot is not None:
            from charrnn.report.diagnose.plot import draw

            note_lacking(self.plot, draw(reports, self.plot))
        if self.html is not None:
            from charrnn.report.diagnose.html import write_page

            write_page(reports, self.html)
        verdicts = {verdict.code for report in reports for verdict in report.verdicts}
        return EXIT_FINDING if codes & verdicts else 0
