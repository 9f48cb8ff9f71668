"""Everything on disk: run folders, and in them checkpoints, metrics, held-out texts and a lock."""
