"""Diagnoses as text on a terminal, as an HTML page and as a figure."""
