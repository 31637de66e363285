"""The steps from picture to person."""
