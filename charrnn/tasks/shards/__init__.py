"""Texts of which each rank reads only some of the files, with one vocabulary."""
