"""The plan of a run in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from charrnn.display import count, duration
from charrnn.display import speed as per_second

if TYPE_CHECKING:
    from charrnn.train.records import Start


def planned(start: Start) -> str:
    """Return a line with what was planned and why; empty if nothing was, or not now."""
    plan = start.plan
    if not plan or "settings" not in plan:
        return ""
    settings, passes, speed = plan["settings"], plan["passes"], plan["chars_per_second"]
    names = {"hidden": "{} units", "dropout": "dropout {:g}"}
    names |= {"recurrent_dropout": "recurrent dropout {:g}", "batch": "{} streams"}
    names |= {"optimizer": "optimizer {}", "lr": "learning rate {:g}"}
    names |= {"grams": "up to {:,} counted n-grams"}
    chosen = [words.format(settings[n]) for n, words in names.items() if settings.get(n)]
    times = f"{passes:.0f} times" if passes >= 10 else f"{passes:.1f} times"
    if speed and plan["by_passes"]:
        takes = duration(passes * start.train_chars / speed)
        why = f"the text is read {times}, in about {takes}: more would hardly pay"
    elif speed:
        assert start.minutes is not None
        time = count(start.minutes, "minute")
        why = f"{time} at {per_second(speed, start.level)} read the text {times}"
    elif plan["by_passes"]:
        why = f"the text is read {times}: more would hardly pay"
    else:
        why = f"the text is read {times}"
    return f"plan: {', '.join(chosen) or 'all settings are given'}; {why}"


def enough(start: Start, reason: str) -> str:
    """Return why a planned run ended; empty if its plan was not the reason."""
    plan = start.plan or {}
    if reason == "patience" and "patience" in plan.get("settings", ()):
        return f"{plan['settings']['patience']} evaluations found no better validation loss; ended"
    if reason == "steps" and plan.get("by_passes"):
        return f"the text was read {plan['passes']:.0f} times, and more would hardly pay; ended"
    return ""
