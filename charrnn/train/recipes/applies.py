"""Which settings apply to a task, and which have an effect together with others."""

from __future__ import annotations

from charrnn.architecture import LABELLED, TASKS
from charrnn.config import DataConfig, ModelConfig, TrainConfig
from charrnn.errors import UsageError, setting

OF_LABELS = ("label_column", "label_field")
"""Settings for labelled texts."""
OF_PAIRS = ("target", "target_level")
"""Settings for pairs."""
OF_TAGS = ("format", "columns")
"""Settings for labelled sequences."""
OF_EXAMPLES = "max_length"
"""The setting for all of them."""
OF_TEXT = (
    *("seq_len", "state", "restart", "sample_every", "eval_chars"),
    *("join", "hold_out", "examples", "shard_files"),
)
"""Settings for a text that is read in windows."""


def refuse_reset(data: DataConfig, train: TrainConfig) -> None:
    """Raise :class:`UsageError` if states are reset within examples."""
    if data.examples and train.state == "reset":
        raise UsageError(
            f"{setting('state')} reset forgets the beginning of a long example, but "
            f"{setting('examples')} reads examples whole",
            "leave one of them out",
        )


def refuse_bytes(task: str, data: DataConfig) -> None:
    """Raise :class:`UsageError` if bytes would be labelled."""
    if task == "tag" and data.level == "byte":
        raise UsageError(
            f"{setting('task')} tag labels characters or tokens, not bytes",
            f"set {setting('level')} to char or word",
        )


def unused_in_examples(data: DataConfig) -> dict[str, str]:
    """Return the settings of training that have no effect on examples, and why, by name."""
    if not data.examples:
        return {}
    anyway = "where every example starts from a zero state anyway"
    return {"restart": f"has no effect with {setting('examples')}, {anyway}"}


def unused_of_averages(train: TrainConfig) -> dict[str, str]:
    """Return the settings that have no effect because weights are averaged, or are not, and why."""
    every = f"{setting('sync_every')} {train.sync_every}"
    if train.sync_every == 1:
        why = f"only applies to averaging, which {every} does not do"
        return dict.fromkeys(("outer_lr", "outer_momentum"), why)
    return {"watch": f"records the updates of all ranks, but {every} makes none together"}


def unused_by_task(task: str) -> dict[str, str]:
    """Return the settings that do not apply to a task, and why, by name."""
    task_of = setting("task")
    found: dict[str, str] = {}
    if task != "classify":
        found["hide_symbols"] = f"only applies to {task_of} classify"
    if task not in LABELLED:
        found |= dict.fromkeys(OF_LABELS, f"only applies to {task_of} {' or '.join(LABELLED)}")
    if task != "tag":
        found |= dict.fromkeys(OF_TAGS, f"only applies to {task_of} tag")
    else:
        why = f"does not apply to {task_of} tag, which has {setting('columns')}"
        found |= dict.fromkeys(("column", "field"), why)
    if task != "transduce":
        found |= dict.fromkeys(OF_PAIRS, f"only applies to {task_of} transduce")
    else:
        why = f"does not apply to {task_of} transduce, whose lines are source<TAB>target"
        found |= dict.fromkeys(("column", "field"), why)
    if task == "lm":
        others = " or ".join(name for name in TASKS if name != "lm")
        return found | {OF_EXAMPLES: f"only applies to {task_of} {others}"}
    found |= dict.fromkeys(OF_TEXT, f"only applies to {task_of} lm")
    if task == "generate":
        del found["sample_every"]
    return found


def unused(model: ModelConfig, data: DataConfig, train: TrainConfig) -> dict[str, str]:
    """Return the settings that have no effect together with the others, and why, by name."""
    from charrnn.text.finding import undecoded

    texts = (*data.sources, *data.val, *data.test)
    found = undecoded(texts, data.encoding, data.errors) | data.unused() | train.unused()
    found |= unused_in_examples(data) | model.unused() | unused_by_task(model.task)
    found |= unused_of_averages(train)
    if data.format == "lines":
        found["columns"] = f"says where labels are, but {setting('format')} lines has no columns"
    if not data.has_validation:
        why = f"needs a validation text, but {setting('val_frac')} is 0"
        names = ("eval_every", "eval_chars") if train.eval_every else ("eval_chars",)
        found |= dict.fromkeys(names, why)
    return found
