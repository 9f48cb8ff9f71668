"""What the commands show: text for a terminal, JSON, pages and drawings."""
