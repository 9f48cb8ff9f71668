"""Tables of examples: a text and its label each; how they are read, held out and put in batches."""
