"""Pairs of a source and a target text; how they are read, held out and put in batches."""
