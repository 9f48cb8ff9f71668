"""Networks that read whole sequences of unequal length, side by side in a batch."""
