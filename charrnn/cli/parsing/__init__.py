"""How a command line is read: options, what may be typed, and what is refused."""
