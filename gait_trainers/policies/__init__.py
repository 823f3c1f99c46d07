"""Trained policies: acting, loading and exporting them."""
