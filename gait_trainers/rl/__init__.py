"""Reinforcement learning on Stable-Baselines3, in two layers.

`sb3_vec`, `frame_stack` and `reward_schedule` are what learners build on. `build`, `ppo`, `warm_start`, `callbacks`,
`resampling`, `early_stop` and `train` stand above them: they join the pieces of a training and run it.
"""
