"""Adversarial motion priors: a discriminator of short motion windows, and the style reward it gives."""
