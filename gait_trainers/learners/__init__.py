"""What learns beside PPO; `base` is the contract, and each learner has a package or module."""
