"""The training configuration: its schema, its layers, and the presets."""
