"""The cache of encoded texts."""
