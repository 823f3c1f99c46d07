"""Motion capture: readers of its formats, cleaning, retargeting, and the command `gait-data`."""
