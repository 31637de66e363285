"""ScoreHMR: score guidance of a diffusion prior, live over a sliding window or over whole tracks."""
