"""The tasks, one per file. The only one so far is the language model.

A task is a class that derives from :class:`charrnn.tasks.base.Task`; the training loop knows only
that interface.
"""
