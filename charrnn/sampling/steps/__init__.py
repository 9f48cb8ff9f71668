"""One step of all streams, computed by the array module or by the compiled core."""
