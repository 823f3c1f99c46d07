"""Training as a service: a REST interface, pages, and a supervisor of training processes (extra: service)."""
