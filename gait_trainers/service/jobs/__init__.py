"""Processes: who starts them, watches them, and what happens when they end."""
