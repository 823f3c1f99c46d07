"""Revisions, a file each, applied in order."""
