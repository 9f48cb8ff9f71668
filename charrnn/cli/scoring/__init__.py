"""What ``charrnn eval`` and ``charrnn predict`` do with each kind of run."""
