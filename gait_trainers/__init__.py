"""Trainers for GaitNet environments: Stable-Baselines3 algorithms, adversarial motion priors, run folders."""
