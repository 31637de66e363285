"""PostureHMR: key points to a 2D mesh, T-pose to the person's posture, mesh to SMPL parameters."""
