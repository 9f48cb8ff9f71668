"""The plan of a run, from the text and the time: its law, and what is measured for it."""

from charrnn.train.plan.making import Plan, of_progress, planned, with_fewer_streams

__all__ = ["Plan", "of_progress", "planned", "with_fewer_streams"]
