"""Readers of captured motion: each turns one file format into a `SkeletonMotion`."""
