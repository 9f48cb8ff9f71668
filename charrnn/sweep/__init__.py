"""A search for good settings: many runs of one text, in a folder of their own."""
