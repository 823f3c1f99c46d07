"""Runs on disk: folders, checkpoints, provenance, metrics and loggers."""
