"""The output of the commands: text for a terminal, JSON, pages and drawings."""
