"""RefNN: a network that makes reference motion from a walker's parameters and the phase of its gait cycle."""
