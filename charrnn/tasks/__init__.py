"""The tasks, one per file.

A task is a class that derives from :class:`charrnn.tasks.base.Task`; the training loop knows only
that interface.
"""
