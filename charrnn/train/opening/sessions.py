"""Opening a training session: new, resumed, or from another run's weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

from charrnn import __version__
from charrnn.backend import Backend
from charrnn.backend.team import Alone, Team
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.display import quoted, shell
from charrnn.errors import CorpusError, UsageError
from charrnn.own import METRICS
from charrnn.plugins import as_options
from charrnn.registry import SCHEDULES
from charrnn.storage import runs, shared
from charrnn.storage.checkpoint import Checkpoint
from charrnn.storage.lock import Lock
from charrnn.storage.metrics import is_shorter
from charrnn.tasks.shards.names import check
from charrnn.train import recipes
from charrnn.train.local.loop import refuse_alone
from charrnn.train.opening.beginning import Beginning
from charrnn.train.opening.request import Request
from charrnn.train.plan import planned, with_fewer_streams
from charrnn.train.recipes.base import Recipe
from charrnn.train.session import Session

_MANY = 10
"""Texts that a command names, at most."""


def open_session(
    request: Request,
    backend: Backend,
    interrupted: Callable[[], bool] = lambda: False,
    commit: Callable[[], object] = lambda: None,
    dry: bool = False,
    team: Team | None = None,
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
    team
        The members that train the model together; each opens a session, the first one writes.

    Raises
    ------
    UsageError
        If options are invalid, exclude each other, or conflict with the checkpoint.
    CharRNNError
        If a text or checkpoint is not usable, or the folder cannot be made; in a team, on all
        members if it happens on one, and if text, options or version of a member are others.
    """
    begun = perf_counter()
    request.check()
    team = team or Alone()
    if dry:
        runs.check_free(request.name, request.out)
    if request.resume is not None:
        return _resume(request, backend, interrupted, commit, dry, team)
    start: Checkpoint | None = None
    if request.init_from is not None:
        start = shared.load(team, lambda: runs.resolve(request.init_from))
    config, data, train = team.together(lambda: _configured(request, start, team))
    _require_same_options(team, config, data, train)
    recipe = recipes.of(config.task)
    corpus = recipe.read_together(data, train.seed, team)
    given = {**request.model, **request.train}
    config, planning = recipe.suited(config, corpus, given, start)
    config, train, plan = planned(
        recipe, config, train, corpus, backend, given, team, begun, fresh=start is None
    )
    planning += plan.notes if plan else []
    if plan is None and config.task == "lm" and data.examples is None:
        train, planning = with_fewer_streams(recipe, train, corpus, given, team)

    needed = team.together(lambda: recipe.required_memory(config, corpus, train, backend, team))
    made = recipe, config, corpus, train.seed, backend, start
    beginning = team.together(lambda: Beginning(*made))
    planning += beginning.notes
    if plan:
        plan = replace(plan, seconds=team.same(perf_counter() - begun))
    opened = team.together(
        lambda: Session(
            recipe,
            beginning.model,
            corpus,
            data,
            train,
            planning,
            needed=needed,
            beginning=beginning,
            plan=plan,
            interrupted=interrupted,
            team=team,
            again=request.again,
        )
    )
    _require_same(team, opened, train)
    if not dry:
        commit()
        team.together(lambda: _make_folder(opened, request, data) if team.rank == 0 else None)
    return opened


def _configured(
    request: Request, start: Checkpoint | None, team: Team
) -> tuple[ModelConfig, DataConfig, TrainConfig]:
    """Return the configurations of a new run, which may start from the weights of another."""
    config = request.inherited_model(start) if start else request.fresh_model()
    data = request.inherited_data(start) if start else request.fresh_data()
    train = request.fresh_train(config.task, data.level)
    request.refuse_unused(config, data, train)
    refuse_alone(train, team)
    _check_sources(data, team)
    return config, data, train


def _check_sources(data: DataConfig, team: Team) -> None:
    """Raise :class:`UsageError` if the members of a team cannot read the text."""
    check(data, team.size)
    if team.size > 1 and "-" in (*data.sources, *data.val, *data.test):
        raise UsageError("standard input reaches only one of the ranks", "name a file")


def _make_folder(session: Session, request: Request, data: DataConfig) -> None:
    session.use_folder(runs.create(request.name, request.out, data.sources[0]))


def _require_same_options(
    team: Team, config: ModelConfig, data: DataConfig, train: TrainConfig
) -> None:
    """Raise :class:`CharRNNError` if a member has another version or other options."""
    if team.size == 1:
        return
    read = data.to_json()
    del read["sources"]  # the same text may lie elsewhere
    options = json.dumps([config.to_json(), train.to_json(), read])
    team.require_same(_digests({"version of charrnn": __version__, "set of options": options}))


def _digests(facts: dict[str, str]) -> dict[str, str]:
    return {name: sha256(fact.encode()).hexdigest() for name, fact in facts.items()}


def _require_same(team: Team, session: Session, train: TrainConfig) -> None:
    """Raise :class:`CharRNNError` if the members of a team are about to train different models."""
    if team.size == 1:
        return
    model, corpus = session.model, session.corpus
    how = [train.to_json(), model.backend.name, model.backend.matmul, model.core is not None]
    vocabulary, weights = corpus.vocabulary.to_json(), model.backend.get(model.weights.flat)
    labels = session.recipe.labels(corpus)
    facts = {
        "set of options": json.dumps(how),
        "text": json.dumps([corpus.sha256, corpus.heldout_sha256, vocabulary, labels]),
        "checkpoint": sha256(weights.tobytes()).hexdigest(),
    }
    team.require_same(_digests(facts))


def _resume(
    request: Request,
    backend: Backend,
    interrupted: Callable[[], bool],
    commit: Callable[[], object],
    dry: bool,
    team: Team,
) -> Session:
    lock: Lock | None = None

    def find() -> Path:
        nonlocal lock
        path = runs.resolve(request.resume, "last")
        lock = None if dry else Lock(path.parent, resumes=True)
        if path != Path(str(request.resume)):
            path = runs.resolve(str(path.parent), "last")  # it may have changed before the lock
        return path

    try:
        checkpoint = shared.load(team, find)
        session = _continued(checkpoint, lock, request, backend, interrupted, team)
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
    team: Team,
) -> Session:
    recipe = recipes.of(checkpoint.config.task)
    data, train = team.together(lambda: request.resumed(checkpoint))
    if data.shard_files:
        team.together(lambda: _require_same_ranks(request, checkpoint, team))
    refuse_alone(train, team)
    team.together(lambda: _check_sources(data, team))
    _require_same_options(team, checkpoint.config, data, train)
    if data.shard_files:
        corpus = recipe.read_together(data, train.seed, team)
        team.together(lambda: _require_same_text(request, checkpoint, corpus))
    else:
        corpus = team.in_turn(lambda: _read_again(recipe, request, checkpoint, data, train))

    def session() -> Session:
        needed = recipe.required_memory(checkpoint.config, corpus, train, backend, team)
        return Session(
            recipe,
            checkpoint.model(backend),
            corpus,
            data,
            train,
            [],
            needed=needed,
            lock=lock,
            resumed=checkpoint,
            interrupted=interrupted,
            team=team,
            again=request.again,
        )

    opened = team.together(session)
    _require_same(team, opened, train)
    horizon, end = train.horizon, opened.loop.total_steps
    ends = SCHEDULES.get(train.schedule).ends_at_floor
    if ends and horizon and (end is None or end > horizon):
        verb = "ended" if checkpoint.step >= horizon else "ends"
        floor = "from then on the learning rate stays at its floor"
        opened.notes.append(f"the {train.schedule} schedule {verb} at step {horizon}: {floor}")
    assert checkpoint.path is not None
    if is_shorter(checkpoint.path.parent, checkpoint.progress.metrics_bytes):
        lost = "the missing lines are lost"
        opened.notes.append(f"{METRICS} is shorter than the checkpoint says: {lost}")
    return opened


def _read_again(
    recipe: Recipe, request: Request, checkpoint: Checkpoint, data: DataConfig, train: TrainConfig
) -> Any:
    """Read the text of a run that is resumed."""
    configs = (checkpoint.config, data, train)
    given = zip(configs, (request.model, request.data, request.train), strict=True)
    typed = [word for config, names in given for word in config.words(names)]
    run = " ".join([shell(request.resume), *map(quoted, [*typed, *as_options(), *request.again])])
    if not request.sources and "-" in data.sources:
        again = f"charrnn train - --resume {run}"
        raise UsageError("the run was trained on standard input", f"pipe the text into {again}")
    try:
        corpus = recipe.read(data, train.seed)
    except CorpusError as problem:
        moved = [name for name in data.sources if Path(name).is_absolute()]
        if not request.sources and any(not Path(name).exists() for name in moved):
            again = f"charrnn train {_moved(data.sources)} --resume {run}"
            raise CorpusError(problem.message, f"if it was moved, name it: {again}") from None
        raise
    _require_same_text(request, checkpoint, corpus)
    return corpus


def _moved(sources: tuple[str, ...]) -> str:
    """Return the texts of a run as words: where they were, else here, else in a ``FOLDER``."""
    if len(sources) > _MANY:
        return "FOLDER"
    words = []
    for name in sources:
        here = Path(name).name
        moved = Path(name).is_absolute() and not Path(name).exists()
        if moved:
            name = here if Path(here).is_file() else f"FOLDER/{here}"
        words.append(shell(name))
    return " ".join(words)


def _require_same_ranks(request: Request, checkpoint: Checkpoint, team: Team) -> None:
    """Raise :class:`UsageError` if the files would be divided otherwise than they were."""
    ranks = checkpoint.progress.ranks
    if team.size != ranks:
        raise UsageError(
            f"the files of the run are divided among {ranks} ranks, and each goes on in its own",
            f"start {ranks} ranks, or a new run from its weights: {request.anew(checkpoint)}",
        )


def _require_same_text(request: Request, checkpoint: Checkpoint, corpus: Any) -> None:
    """Raise :class:`CorpusError` if a text is not that of the run that is resumed."""
    expected = (checkpoint.corpus_sha256, checkpoint.heldout_sha256, checkpoint.vocabulary)
    if (corpus.sha256, corpus.heldout_sha256, corpus.vocabulary) != expected:
        raise CorpusError(
            "the text is not the one that the run was trained on",
            f"give the same text, or start a new run from its weights: {request.anew(checkpoint)}",
        )
