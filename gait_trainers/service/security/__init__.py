"""Who asks, what they may do, and what is refused before it is looked at."""
