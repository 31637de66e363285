"""Score guidance that knows nothing of cameras or tracks: noise schedule, DDIM steps, Newton steps of the losses."""
