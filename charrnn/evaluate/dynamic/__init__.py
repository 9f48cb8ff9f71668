"""Dynamic evaluation: a model that learns from what it has scored."""
