"""What torch networks share: a backbone, kinematics, weights on disk."""
