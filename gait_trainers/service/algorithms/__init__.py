"""What can be trained: a record for each algorithm, and everything in which they differ."""
