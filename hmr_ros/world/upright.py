"""Which way is up, from people who stand and walk: their posture says it in their own axes, their orientation in the
camera's."""

from __future__ import annotations

from functools import cache

import numpy as np

from hmr_ros.body.joints import SMPL
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.io.model_store import asset
from hmr_ros.io.results import load_arrays
from hmr_ros.types import Floats, GravitySource, Human
from hmr_ros.world.gravity import LEVEL, LEVEL_SIGMA, Gravity, rotation_of_tilt, tilt_of

_SKIPPED = ("pelvis", "left_collar", "right_collar", "left_hand", "right_hand")
_READ = np.array([j for name, j in SMPL.items() if name not in _SKIPPED])
_LEG = [SMPL["left_hip"], SMPL["left_knee"], SMPL["left_ankle"]]
_ANKLES = [SMPL["left_ankle"], SMPL["right_ankle"]]
_STANDING = 0.75  # of a leg's length by which the hips are over the ankles of somebody who stands or walks
_FRAME_SIGMA = np.radians(8.0)  # of what one person says in one frame
_OUTLIER = np.radians(15.0)  # from the others, at which a frame counts half
_ALIKE = 20.0  # frames that say the same: postures last
_LEAST_SIGMA = np.radians(4.0)  # of the estimate however long it lasts: people lean, and so does what is recovered
_SHRINKAGE = 1.3  # true pitch by the recovered people's: they are drawn towards a level camera
_LEAST_FRAMES = 15
_PRIOR_SIGMA = np.radians(25.0)  # of cameras about level, before anybody was seen
_MEMORY = 900.0  # frames after which old ones fade


@cache
def _weights() -> Floats:
    """[3 * read + 1, 3], by benchmarks/world_rules.py."""
    return np.asarray(load_arrays(asset("upright.npz"))["weights"])


def up_in_body(rotation: Floats, joints: Floats) -> Floats:
    """Unit vector [3] that is up in a person's own axes, from where their joints [24,3] m are in them.

    `rotation` [3,3]: the person's axes in the frame of the joints. A linear regression on motion capture: people stand
    over their feet.
    """
    up = np.append(own_positions(rotation, joints), 1.0) @ _weights()
    return np.asarray(up / max(float(np.linalg.norm(up)), 1e-9))


def own_positions(rotation: Floats, joints: Floats) -> Floats:
    """What is read of a posture, flat: joints [24,3] m from the pelvis, in the body's own axes `rotation` [3,3]."""
    return np.asarray(((joints[_READ] - joints[0]) @ rotation).reshape(-1))


class UpEstimate:
    """Takes people in, frame by frame, and says which way is up in the optical frame of a camera that stands still."""

    def __init__(self) -> None:
        self._sum, self._weight, self._frames, self._scatter = np.zeros(3), 0.0, 0, 0.0

    def add(self, human: Human) -> None:
        """What this person says, if they stand or walk."""
        rotation = matrix_from_axis_angle(human.global_orient)
        up = rotation @ up_in_body(rotation, human.joints)
        leg = np.linalg.norm(np.diff(human.joints[_LEG], axis=0), axis=1)
        if not (human.joints[0] - human.joints[_ANKLES].mean(0)) @ up > _STANDING * leg.sum():
            return
        angle = 0.0
        if self._weight:
            angle = float(np.arccos(np.clip(up @ self._sum / np.linalg.norm(self._sum), -1, 1)))
        weight = 1 / (1 + (angle / _OUTLIER) ** 2)
        keep = min(1.0, _MEMORY / max(self._weight, 1.0))
        self._sum = keep * self._sum + weight * up
        self._weight, self._scatter = keep * self._weight + weight, keep * self._scatter + weight * angle**2
        self._frames += 1

    def gravity(self) -> Gravity:
        """At present: the level camera that is expected, and people, each by what it is worth."""
        if self._frames < _LEAST_FRAMES:
            return Gravity(LEVEL[2], GravitySource.LEVEL, LEVEL_SIGMA)
        pitch, roll = tilt_of(self._sum)
        seen = rotation_of_tilt(float(np.clip(_SHRINKAGE * pitch, -85, 85)), roll)[2]
        spread = np.hypot(_FRAME_SIGMA, np.sqrt(self._scatter / self._weight)) / np.sqrt(
            max(self._weight / _ALIKE, 1.0)
        )
        sigma = float(np.hypot(spread, _LEAST_SIGMA))
        information = np.array([1 / _PRIOR_SIGMA**2, 1 / sigma**2])
        up = information[0] * LEVEL[2] + information[1] * seen
        return Gravity(up / np.linalg.norm(up), GravitySource.ESTIMATE, float(information.sum() ** -0.5))
