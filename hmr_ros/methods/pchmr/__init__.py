"""PC-HMR (Luan et al. 2021): a recovered body calibrated with target joints, here from a depth image."""
