"""The encoder-decoder that turns one sequence into another, with and without attention."""
