"""What a policy does, in figures."""
