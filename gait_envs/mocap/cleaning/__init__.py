"""Cleaning: from a raw capture to one without gaps, evenly sampled, in metres and z up."""
