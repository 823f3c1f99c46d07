"""A pre-trained motion model inside the policy: when it begins to learn, and how far it has moved."""
