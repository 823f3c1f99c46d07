"""Evaluation of policies: rollouts and the figures computed from them."""
