"""Rotations, cameras and crops."""
