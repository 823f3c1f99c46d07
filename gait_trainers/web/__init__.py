"""A policy in a browser: a static page that simulates by itself, and a viewer that is fed from here (extra: viewer)."""
