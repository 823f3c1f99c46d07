"""Tasks: observation, reward and termination."""
