"""What a language model sees in a text: predictions, values of its units, what units mean."""
