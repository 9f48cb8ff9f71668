"""Local training: ranks make updates by themselves, and average their weights now and then."""
