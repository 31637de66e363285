"""HMDiff (Foo et al., 2023): mesh diffusion, aligned with a prior distribution on its way (DAT)."""
