"""The SMPL-format body."""
