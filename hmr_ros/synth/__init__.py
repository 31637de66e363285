"""Rendered people with known truth."""
