"""What lies on disk: checkpoints, run folders, metrics, locks."""
