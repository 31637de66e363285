"""What one frame says about one person, before any method; free of torch."""
