"""PostureHMR: T-pose to posture in a few learned steps on a 2D mesh."""
