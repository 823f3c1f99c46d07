"""Datasets for supervised training: clips as causal states, split and streamed."""
