"""Parameters, the one time loop, the stack of layers, the output layer and its loss."""
