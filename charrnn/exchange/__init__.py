"""Language models for other libraries and for browsers, and from PyTorch.

:func:`charrnn.exchange.export.export` writes a model for PyTorch, ONNX or Keras, or as a web page;
:func:`charrnn.exchange.foreign.read` reads a state dict of PyTorch. A cell says in its own file
what the libraries call it and how they order its gates: ``Cell.layouts``.
"""
