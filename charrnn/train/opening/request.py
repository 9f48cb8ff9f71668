"""The options of one ``charrnn train`` call, made into configurations.

Options that were not given are absent, so that a default, a checkpoint's own value and a value that
conflicts with it can be distinguished.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.architecture import ADAPTABLE, LABELLED, OF_TASKS, defaults
from charrnn.config import DECODING, STOPS, DataConfig, ModelConfig, TrainConfig, in_place_of_stops
from charrnn.errors import UsageError, setting
from charrnn.settings import Configuration
from charrnn.train.opening.commands import new_run
from charrnn.train.recipes.applies import refuse_bytes, refuse_reset, unused

if TYPE_CHECKING:
    from charrnn.storage.checkpoint import Checkpoint

Options = Mapping[str, Any]

FREE = (
    *STOPS,
    "horizon",
    "patience",
    "log_every",
    "eval_every",
    "save_every",
    "sample_every",
    "keep",
    "watch",
    "max_rollbacks",
    *("sync_every", "outer_lr", "outer_momentum"),
)
"""Training options that a resumed run may change: when to stop, what to report and keep, and how
often to roll back after a divergence."""


@dataclass
class Request:
    """A training run to begin or to continue.

    Attributes
    ----------
    sources
        The texts; may be empty when a run is resumed, which then uses its own.
    model, data, train
        The options that were given, by the names of the configurations' fields.
    name, out
        Where the run goes.
    resume, init_from
        The run to continue, or the one whose weights to start from.
    again
        Words of the command that are no settings, such as ``--backend numpy``; a message that
        prints a command for such a run repeats them.
    """

    sources: tuple[str, ...] = ()
    model: Options = field(default_factory=dict)
    data: Options = field(default_factory=dict)
    train: Options = field(default_factory=dict)
    name: str | None = None
    out: str | None = None
    resume: str | None = None
    init_from: str | None = None
    again: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise :class:`UsageError` if an option is invalid, or two exclude each other.

        Loads nothing heavy, so that a mistyped option fails at once.
        """
        if self.resume is not None and self.init_from is not None:
            raise UsageError(
                f"{setting('resume')} and {setting('init_from')} exclude each other",
                "give one of them",
            )
        if self.resume is not None and (self.name is not None or self.out is not None):
            raise UsageError(
                f"{setting('resume')} continues in the run's own folder",
                f"leave out {setting('name')} and {setting('out')}",
            )
        if not self.sources and self.resume is None:
            remedy = "name files, - for standard input, or a built-in corpus"
            raise UsageError("no text to train on", remedy)
        if self.resume is None and self.init_from is None:
            model, data = self.fresh_model(), self.fresh_data()
            self.refuse_unused(model, data, self.fresh_train(model.task, data.level))
        elif self.resume is None:
            self.fresh_data()
            self.fresh_train()

    def fresh_model(self) -> ModelConfig:
        """Return the architecture of a new run."""
        task = str(self.model.get("task", ModelConfig.task))
        own = defaults(task, str(self.data.get("level", DataConfig.level)), ModelConfig)
        return ModelConfig(**own | dict(self.model))

    def fresh_train(self, task: str = "lm", level: str = "char") -> TrainConfig:
        """Return the training settings of a new run of a task."""
        own = defaults(task, level, TrainConfig)
        if self.train.get("steps") is not None:
            own.pop("epochs", None)
        return TrainConfig(**own | dict(self.train))

    def fresh_data(self) -> DataConfig:
        """Return how the text of a new run is read."""
        return self._data(str(self.model.get("task", ModelConfig.task)), dict(self.data))

    def _data(self, task: str, options: dict[str, Any]) -> DataConfig:
        """Return how the text of a new run of a task is read."""
        own = defaults(task, str(options.get("level", DataConfig.level)), DataConfig)
        if task == "generate":  # each text is read by itself, and has an end
            own["examples"] = "document"
        return DataConfig(**{**own, **options, "sources": self.sources})

    def inherited_data(self, checkpoint: Checkpoint) -> DataConfig:
        """Return how the text of a new run is read that starts from a checkpoint's weights.

        Unless it is given otherwise, as the checkpoint's own text was.
        """
        own = checkpoint.data or DataConfig()
        read: dict[str, Any] = {"level": checkpoint.vocabulary.level}
        read |= {name: own.get(name) for name in DECODING}
        task = self.model.get("task", checkpoint.config.task)
        return self._data(task, {**read, **self.data})

    def inherited_model(self, checkpoint: Checkpoint) -> ModelConfig:
        """Return the checkpoint's architecture; its dropout may be changed, and its task.

        A new task has its own default of dropout, n-grams and their counts, and its own settings.
        """
        options, old = dict(self.model), checkpoint.config
        task = options.pop("task", old.task)
        changed: dict[str, Any] = {"task": task}
        of_task = defaults(task, checkpoint.vocabulary.level)
        own = {name: of_task.get(name) for name in ADAPTABLE}
        for name in {*own, *OF_TASKS}:
            default = own.get(name) or getattr(ModelConfig, name)
            changed[name] = options.pop(name, getattr(old, name) if task == old.task else default)
        self._refuse_conflicts(options, old)
        return replace(old, **changed)

    def resumed(self, checkpoint: Checkpoint) -> tuple[DataConfig, TrainConfig]:
        """Return the configurations with which a run continues.

        Raises
        ------
        UsageError
            If an option conflicts with the checkpoint.
        """
        data, train = checkpoint.data, checkpoint.train
        if data is None or train is None or not data.sources:
            raise UsageError(
                f"{checkpoint.path} was not written by training",
                f"start from it with {setting('init_from')}",
            )

        def anew() -> str:
            return f"leave it out, or start a new run from its weights: {self.anew(checkpoint)}"

        other = {k: v for k, v in self.model.items() if k not in self._adaptable(checkpoint)}
        self._refuse_conflicts(other, checkpoint.config)
        self._refuse_conflicts(self.model, checkpoint.config, anew)
        given = {k: _absolute(v) if k in ("val", "test") else v for k, v in self.data.items()}
        free = {name: value for name, value in self.train.items() if name in FREE}
        fixed = {name: value for name, value in self.train.items() if name not in FREE}
        self._refuse_conflicts(given, data, *([] if "level" in given else [anew]))
        self._refuse_conflicts(fixed, train, anew)
        if any(stop in free for stop in STOPS):
            free = {"horizon": _horizon(checkpoint, train)} | in_place_of_stops(free)
        data, train = replace(data, sources=self.sources or data.sources), replace(train, **free)
        self.refuse_unused(checkpoint.config, data, train)
        return data, train

    def refuse_unused(self, model: ModelConfig, data: DataConfig, train: TrainConfig) -> None:
        """Raise :class:`UsageError` if an option that was given has no effect."""
        if model.task == "lm":
            refuse_reset(data, train)
        found = unused(model, data, train)
        self._check_labels(model, data)
        for name in (*self.model, *self.data, *self.train):
            if name in found:
                raise UsageError(f"{setting(name)} {found[name]}", "leave it out")

    def _check_labels(self, model: ModelConfig, data: DataConfig) -> None:
        """Raise :class:`UsageError` if labels are not where their texts are."""
        if model.task == "lm":
            if data.errors == "skip":
                raise UsageError(
                    f"{setting('errors')} skip passes over examples, but {setting('task')} lm "
                    "reads a text",
                    f"set {setting('errors')} to replace",
                )
            return
        refuse_bytes(model.task, data)
        if model.task in LABELLED:
            data.refuse_half()

    def _refuse_conflicts(
        self,
        given: Options,
        config: Configuration,
        remedy: Callable[[], str] = lambda: "leave it out",
    ) -> None:
        # the task by itself: it may exclude settings of the checkpoint
        task = {"task": ModelConfig(task=given["task"]).task} if "task" in given else {}
        changed = config.changed(**{n: value for n, value in given.items() if n not in task})
        for name in given:
            new, old = task.get(name) or changed.get(name), config.get(name)
            if new != old:
                new, old = (", ".join(v) if isinstance(v, tuple) else v for v in (new, old))
                raise UsageError(
                    f"{setting(name)} {new} conflicts with the checkpoint, "
                    f"which has {'none' if old in (None, '') else old}",
                    remedy(),
                )

    @staticmethod
    def _adaptable(checkpoint: Checkpoint) -> list[str]:
        """Return the settings of the model that a new run from a run's weights can have."""
        assert checkpoint.data is not None and checkpoint.train is not None
        without = unused(checkpoint.config, checkpoint.data, checkpoint.train)
        return [name for name in ADAPTABLE if name not in without]

    def anew(self, checkpoint: Checkpoint) -> str:
        """Return the command for a new run from the weights of a run, with what was given."""
        assert checkpoint.data is not None and checkpoint.train is not None
        assert checkpoint.path is not None
        data = checkpoint.data.changed(**self.data)
        data = absolute_sources(data, self.sources or data.sources)
        given = in_place_of_stops(self.train)
        train = checkpoint.train.changed(**given)
        more = {k: v for k, v in self.model.items() if k in self._adaptable(checkpoint)}
        folder = checkpoint.path.parent
        return new_run(folder, checkpoint.config, data, train, more, self.again)


def _horizon(checkpoint: Checkpoint, train: TrainConfig) -> int | None:
    """Return the schedule horizon of a resumed run with a new stop condition; None: the new one.

    The horizon stays where the run would have stopped: the current step if its time limit is used
    up, otherwise its step limit, if it has one.
    """
    progress = checkpoint.progress
    if train.horizon is not None:
        return train.horizon
    if train.minutes is not None and progress.seconds >= 60 * train.minutes:
        return max(1, progress.step)
    return progress.total_steps


def _absolute(paths: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(Path(path).absolute()) if Path(path).exists() else path for path in paths)


def absolute_sources(data: DataConfig, sources: tuple[str, ...]) -> DataConfig:
    """Return ``data`` with absolute paths, as a checkpoint keeps them."""
    return replace(data, sources=sources, val=_absolute(data.val), test=_absolute(data.test))
