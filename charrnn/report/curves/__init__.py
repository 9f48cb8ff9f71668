"""The curves of runs on a terminal, as a drawing and as a page."""
