"""Walks made here: a procedural one for robots, and one fitted to published figures for the human body."""
