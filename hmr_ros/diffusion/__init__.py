"""Score guidance: noise schedule, DDIM steps, guidance losses with their gradients."""
