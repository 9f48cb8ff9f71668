"""A text as units: lines, documents or blocks, which are held out or trained on as a whole."""
