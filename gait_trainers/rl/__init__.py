"""Reinforcement learning on Stable-Baselines3: building a training and running it."""
