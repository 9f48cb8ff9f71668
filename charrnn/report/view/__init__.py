"""A text as a model sees it: in colours on a terminal, in numbers elsewhere."""
