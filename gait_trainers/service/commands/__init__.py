"""Commands of gait-serve."""
