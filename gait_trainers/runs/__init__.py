"""Runs on disk: folders, checkpoints, provenance, metrics and where they are shown."""
