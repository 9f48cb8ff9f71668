"""The work that is timed: the same tasks on both sides, each made from keyword arguments.

A task has ``run(count)``, which does it ``count`` times, and ``threads()``, which tells how many
threads its library uses. One module never imports the other side, so that a process holds one of
them only.
"""
