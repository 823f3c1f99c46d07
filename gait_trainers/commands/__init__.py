"""The commands of `gait-train`, a file each."""
