"""The commands of `gait-data`, a file each."""
