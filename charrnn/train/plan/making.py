"""The plan of a run: what is not given follows from the text and from what there is to spend."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from charrnn.backend import Backend
from charrnn.backend.team import Alone, Team
from charrnn.backend.threads import Threads
from charrnn.config import ModelConfig, TrainConfig
from charrnn.display import count
from charrnn.errors import UsageError, setting
from charrnn.storage.progress import Progress
from charrnn.tasks.shards.part import Part
from charrnn.train.plan import law
from charrnn.train.plan.measure import symbols_per_second
from charrnn.train.recipes.base import Recipe

MEASURED = 0.015
"""The share of the time that measuring may take."""
LONGEST = 1.5
"""The same, in seconds."""
USUAL_RATE = 1.4e10
"""Weights that a thread multiplies in a second, before that is measured."""
FAR = 4.0
"""A given size is far above the planned one if it has so many times as many weights."""


@dataclass(frozen=True)
class Plan:
    """What was planned for a run, and on what it rests.

    ``settings`` are those that were not given; ``speed`` is in symbols per second, None if there
    was no need to measure it; ``passes`` is how often the training text will be read, and ``steps``
    where these end training, because more would hardly pay, None if the time does; ``seconds`` is
    what all before training took, and ``evaluation_seconds`` what an evaluation is expected to
    take; ``notes`` say what stands in the plan's way.
    """

    settings: dict[str, Any]
    passes: float
    steps: int | None
    speed: float | None
    seconds: float
    evaluation_seconds: float = 0.0
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the plan as one JSON object."""
        return {
            "settings": self.settings,
            **(of_progress(self.progress(), self.steps) or {}),
            "seconds": round(self.seconds, 3),
        }

    def progress(self) -> Progress:
        """Return the progress of a run at its first step."""
        return Progress(
            seconds=self.seconds,
            evaluation_seconds=self.evaluation_seconds,
            planned_passes=self.passes,
            planned_speed=self.speed,
            planned_steps=self.steps,
        )


def of_progress(progress: Progress, total_steps: int | None) -> dict[str, Any] | None:
    """Return what is known of the plan of a run that is resumed; None if it had none.

    ``total_steps`` are those at which it ends now.
    """
    if progress.planned_passes is None:
        return None
    speed = progress.planned_speed
    return {
        "passes": round(progress.planned_passes, 2),
        "chars_per_second": speed and round(speed),
        "by_passes": progress.planned_steps is not None and progress.planned_steps == total_steps,
    }


def planned(
    recipe: Recipe,
    config: ModelConfig,
    train: TrainConfig,
    corpus: Any,
    backend: Backend,
    given: Mapping[str, Any],
    team: Team | None = None,
    begun: float | None = None,
    *,
    fresh: bool = True,
) -> tuple[ModelConfig, TrainConfig, Plan | None]:
    """Return model and training as they are planned, and the plan; None if nothing is.

    Parameters
    ----------
    config, train
        With what was given, and defaults.
    given
        The settings that were given, by name.
    begun
        When the run began, on the clock of :func:`time.perf_counter`; by default now.
    fresh
        Whether the weights are new.

    Raises
    ------
    UsageError
        If a plan is asked for that cannot be made.
    """
    if not _wanted(config.task, train, fresh):
        return config, replace(train, plan="none"), None
    begun, team = perf_counter() if begun is None else begun, team or Alone()
    if isinstance(corpus.train, Part):
        given = {"grams": 0, **given}
    sizes = recipe.sizes(corpus)
    means = law.Means(
        symbols=max(1, sizes.train),
        vocabulary=len(corpus.vocabulary),
        validation=sizes.val if sizes.val > 1 else 0,  # one symbol has nothing before it
        reads=_reads(train, sizes.train, given),
        streams=given.get("batch"),
        steps=given.get("seq_len"),
    )
    if means.reads is None and train.minutes is not None:
        limit = 60 * train.minutes
        guess = USUAL_RATE * Threads(backend).count * team.size
        found = law.plan(config, replace(means, seconds=limit, rate=guess), given)
        model, how = _with(config, train, _own(train, found, given))
        least = min(LONGEST, MEASURED * limit)
        network = replace(model, grams=0)
        measured = symbols_per_second(recipe, network, corpus, how, backend, team, least)
        rate = measured * law.weights(model, means.vocabulary, model.hidden)
        left = max(0.5 * limit, limit - team.same(perf_counter() - begun))
        means = replace(means, seconds=left, rate=rate)
    found = law.plan(config, means, given)
    own = _own(train, found, given)
    model, how = _with(config, train, own)
    speed = means.rate and means.rate / law.weights(model, means.vocabulary, model.hidden)
    scored = min(how.eval_chars, sizes.val)
    plan = Plan(
        own,
        found.passes,
        found.settings.get("steps"),
        speed,
        seconds=perf_counter() - begun,
        evaluation_seconds=scored * _scoring(speed, model, means) if speed else 0.0,
        notes=tuple(_in_the_way(config, means, found, given)),
    )
    return model, replace(how, plan="auto"), plan


def _scoring(speed: float, model: ModelConfig, means: law.Means) -> float:
    """Return the seconds that scoring a symbol takes, given the symbols learned in a second."""
    return 1 / (law.FORWARD * speed) + law.scoring(means.vocabulary, bool(model.grams))


def with_fewer_streams(
    recipe: Recipe, train: TrainConfig, corpus: Any, given: Mapping[str, Any], team: Team
) -> tuple[TrainConfig, list[str]]:
    """Lower the streams of a run without a plan, if they were not given and its text is short.

    Returns
    -------
    train, notes
        ``notes`` has one line that says what was lowered and why, if anything was.
    """
    n = recipe.sizes(corpus).train
    streams = law.streams_of_short(n, train.batch, train.seq_len, team.size)
    if given.keys() & {"batch", "plan"} or streams == train.batch:
        return train, []
    few, more = ((n - 1) // (each * train.seq_len) for each in (train.batch, streams))
    if not more:  # less than one window: another note says what is read
        return replace(train, batch=streams), []
    note = (
        f"the training text has {count(n, 'symbol')}: {count(streams, 'stream')} instead of "
        f"{train.batch}, so that an epoch has {count(more, 'window')}, not {few}; "
        f"{setting('batch')} sets another number"
    )
    return replace(train, batch=streams), [note]


def _wanted(task: str, train: TrainConfig, fresh: bool) -> bool:
    """Return whether a run of a task is planned."""
    asked, auto = train.plan == "auto", f"{setting('plan')} auto"
    if train.plan == "none":
        return False
    if asked and task != "lm":
        raise UsageError(f"{auto} only applies to {setting('task')} lm", "leave it out")
    if asked and not fresh:
        start = setting("init_from")
        raise UsageError(
            f"{auto} plans a new model, but {start} names one", "leave one of them out"
        )
    return asked or (fresh and task == "lm" and train.steps is None and train.epochs is None)


def _reads(train: TrainConfig, n: int, given: Mapping[str, Any]) -> float | None:
    """Return the symbols that a limit on steps or passes lets a run read; None without one."""
    limits = []
    if train.steps is not None:
        streams = given.get("batch") or law.streams(n)
        limits.append(float(train.steps * streams * given.get("seq_len", law.STEPS)))
    if train.epochs is not None:
        limits.append(train.epochs * n)
    return min(limits, default=None)


def _own(train: TrainConfig, found: law.Law, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the law gives for settings that were not given, if it applies to them."""
    own = {name: value for name, value in found.settings.items() if name not in given}
    if train.optimizer not in (law.FASTER, law.USUAL):
        own.pop("lr", None)
    if not train.eval_every:
        own.pop("patience", None)
    return own


def _with(
    model: ModelConfig, train: TrainConfig, own: Mapping[str, Any]
) -> tuple[ModelConfig, TrainConfig]:
    """Return the configurations with planned settings."""
    of_model = {name: value for name, value in own.items() if ModelConfig.knows(name)}
    of_train = {name: value for name, value in own.items() if name not in of_model}
    return replace(model, **of_model), replace(train, **of_train)


def _in_the_way(
    config: ModelConfig, means: law.Means, found: law.Law, given: Mapping[str, Any]
) -> Iterator[str]:
    """Yield a note for each given setting that is far from what the law would have chosen."""
    if "hidden" in given:
        free = law.plan(config, means, {n: v for n, v in given.items() if n != "hidden"}).settings
        mine, best = (
            law.weights(config, means.vocabulary, each["hidden"]) for each in (found.settings, free)
        )
        if mine > FAR * best:
            yield (
                f"{setting('hidden')} {given['hidden']} is far above the "
                f"{count(free['hidden'], 'unit')} that suit this text and time"
            )
    rate = found.settings["dropout"]
    if "dropout" in given and given["dropout"] < rate / 2:
        yield (
            f"{setting('dropout')} {given['dropout']:g}: what is read {found.passes:.0f} times may "
            f"be learned by heart; {rate:g} would suit"
        )
