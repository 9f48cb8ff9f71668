"""One step of all streams, computed by the array module or by the compiled core."""

TABLE_ELEMENTS = 1 << 24
"""Maximum number of elements of a table of symbols' input products."""
