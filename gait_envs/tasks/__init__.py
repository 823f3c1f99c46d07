"""Tasks: what is observed, rewarded and called a failure."""
