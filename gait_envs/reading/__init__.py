"""Strict readers of what comes from outside: text, JSON, tables, YAML and archives of arrays, all within limits."""
