"""RefNN: its data, its training, its figures; and Backward GaitNet, which reads parameters from seen motion."""
