"""Diff-HMR: several poses that the evidence of a frame allows, and calibrated uncertainty."""
