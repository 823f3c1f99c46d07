"""Batched simulation of one robot behind one interface, and the model fields that may vary per simulation."""
