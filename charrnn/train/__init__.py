"""Optimizers, clipping, schedules, and the training loop as a generator of records."""
