"""Networks trained before, and beside, reinforcement learning: on recorded walks and captured motion."""
