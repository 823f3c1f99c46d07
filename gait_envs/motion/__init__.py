"""Motion: the clip format, what is measured on it, and how captures become clips."""
