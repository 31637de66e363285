"""Builds the open body from CC0 assets."""
