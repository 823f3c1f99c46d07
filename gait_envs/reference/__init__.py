"""Reference motion as the environments use it: clips, sets of clips, and the features read from them."""
