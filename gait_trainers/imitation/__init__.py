"""Behaviour cloning, DAgger, GAIL and AIRL, by the `imitation` package, which only this package imports.

`demonstrations` (the data and their file) and `collect` (where they come from) do without it.
"""
