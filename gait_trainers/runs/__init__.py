"""Run folders: what is kept of a training, and how it is read back."""
