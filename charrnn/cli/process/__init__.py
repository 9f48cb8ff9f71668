"""The process that a command runs in: its streams, signals, progress, and ranks."""
