"""SMPL poses in a world whose y is up, of a person who faces its x."""

import numpy as np

from hmr_ros.body.joints import SMPL

# optical axes of a level camera that looks along the x of a world with y up: its right is z, its down is -y
CAMERA_FROM_Y_UP = np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
FACING_X = [0.0, np.pi / 2, 0.0]  # SMPL faces z; a quarter turn about y


def posed(**joints):
    """SMPL pose [72] of a person who faces the world's x, with axis-angle vectors of some joints."""
    pose = np.zeros((24, 3))
    pose[0] = FACING_X
    for name, vector in joints.items():
        pose[SMPL[name]] = vector
    return pose.reshape(72)


def turned_left(angle):
    """Standing with the arms out, turned to the left by an angle in rad."""
    pose = posed()
    pose[1] += angle
    return pose


SQUAT = posed(
    left_hip=[-1.6, 0, 0], right_hip=[-1.6, 0, 0], left_knee=[1.9, 0, 0], right_knee=[1.9, 0, 0],
    left_ankle=[-0.4, 0, 0], right_ankle=[-0.4, 0, 0],
)  # fmt: skip
LEFT_ARM_UP = posed(left_shoulder=[0, 0, 1.4])
