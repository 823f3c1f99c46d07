"""A network that learns which muscles share a torque, beside the policy that asks for it."""
