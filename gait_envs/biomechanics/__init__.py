"""Gait as a laboratory measures it: stance and steps, gait cycles, and published figures of how people walk."""
