"""Symbols of a text: how it is parted into them, how often each occurs, and their ids."""
