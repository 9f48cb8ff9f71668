"""Sequences with a label for each symbol or token: reading, holding out, side by side."""
