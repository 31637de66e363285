"""What runs the networks."""
