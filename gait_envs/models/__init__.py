"""Bodies: an MJCF file becomes a frozen `Robot` whose names are resolved to indices once."""
