"""What learns beside PPO."""
