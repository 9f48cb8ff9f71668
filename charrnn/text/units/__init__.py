"""Units of a text: lines, documents or blocks that are held out, or trained on, as a whole."""
