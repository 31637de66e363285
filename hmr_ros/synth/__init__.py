"""Rendered people with known truth."""

LOOKS = ("lifelike", "painted")  # of rendered people: dressed and lit, or the bare surface in flat colours
