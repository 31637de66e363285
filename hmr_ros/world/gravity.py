"""Which way is up, and the world frame that follows from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hmr_ros.errors import InputError
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.geometry.rotations import matrix_from_quaternion
from hmr_ros.types import Floats, GravitySource

# world (x forward, y left, z up) of a level camera <- its optical frame (x right, y down, z forward)
LEVEL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
_STEEP = 0.1  # sine of the angle between the optical axis and straight down from which the axis says what is forward
PARAMETER_SIGMA = np.radians(1.0)  # of a mounting that somebody measured
IMU_SIGMA = np.radians(1.0)
LEVEL_SIGMA = np.radians(10.0)  # of cameras of which nothing is known
_STANDARD_GRAVITY = 9.80665  # m/s^2
_STILL = 0.5  # m/s^2 by which a camera that stands still may miss that


@dataclass(frozen=True)
class Gravity:
    """Which way is up in the optical frame of one image."""

    up: Floats  # [3] unit vector, optical frame
    source: GravitySource
    sigma: float  # rad, one standard deviation about a level axis
    axes: Floats | None = None  # R_world_camera [3,3] where somebody said where the world's x points, too

    @property
    def R_world_camera(self) -> Floats:
        """[3,3]: as it was said, else with x the camera's way forward on the ground."""
        return world_rotation(self.up) if self.axes is None else self.axes


@dataclass(frozen=True)
class CameraPose:
    """Where the camera is at the moment of one image, as far as somebody else knows."""

    gravity: Gravity
    place: Rigid | None = None  # optical frame -> a frame whose z is up, on /tf or of a calibration
    frame: str = ""  # its name
    has_floor: bool = True  # z = 0 of that frame is as it is; False: it becomes the floor under people's feet

    @property
    def R_world_camera(self) -> Floats:
        """[3,3] into the axes of that frame, or of the world that gravity alone gives."""
        return self.gravity.R_world_camera if self.place is None else self.place.rotation

    @property
    def eye(self) -> Floats:
        """[3] m, of the camera in that frame; zero where it is not known."""
        return np.zeros(3) if self.place is None else self.place.translation


def rotation_of_tilt(pitch_deg: float, roll_deg: float) -> Floats:
    """R_world_camera [3,3] of a camera that looks up by `pitch_deg` (down: negative) and is turned clockwise about its
    optical axis, as seen from behind it, by `roll_deg`."""
    p, r = np.radians([pitch_deg, roll_deg])
    pitch = np.array([[np.cos(p), 0, -np.sin(p)], [0, 1, 0], [np.sin(p), 0, np.cos(p)]])
    roll = np.array([[1, 0, 0], [0, np.cos(r), -np.sin(r)], [0, np.sin(r), np.cos(r)]])
    return np.asarray(pitch @ roll @ LEVEL)


def tilt_of(up: Floats) -> tuple[float, float]:
    """Pitch and roll in degrees, as in `rotation_of_tilt`, of a camera in whose optical frame `up` [3] is up."""
    x, y, z = up / np.linalg.norm(up)
    return float(np.degrees(np.arcsin(np.clip(z, -1, 1)))), float(np.degrees(np.arctan2(-x, -y)))


def world_rotation(up: Floats) -> Floats:
    """R_world_camera [3,3]: z along `up` [3] (optical frame), x the camera's way forward on the ground.

    Of a camera that looks straight up or down, forward is the upper or lower edge of its image.
    """
    z = up / np.linalg.norm(up)
    forward = np.array([0.0, 0.0, 1.0]) - z[2] * z
    if np.linalg.norm(forward) < _STEEP:
        edge = np.array([0.0, -1.0, 0.0]) if z[2] < 0 else np.array([0.0, 1.0, 0.0])
        forward = edge - (edge @ z) * z
    x = forward / np.linalg.norm(forward)
    return np.stack([x, np.cross(z, x), z])


def gravity_of_tilt(pitch_deg: float, roll_deg: float) -> Gravity:
    """As somebody measured the camera's mounting."""
    return Gravity(rotation_of_tilt(pitch_deg, roll_deg)[2], GravitySource.PARAMETER, PARAMETER_SIGMA)


def gravity_of_orientation(quat_xyzw: str) -> Gravity:
    """As somebody measured the optical frame's orientation in a world whose z is up: a text `x,y,z,w`."""
    x, y, z, w = (float(number) for number in quat_xyzw.split(","))
    quat_wxyz = np.array([w, x, y, z])
    R = matrix_from_quaternion(quat_wxyz / np.linalg.norm(quat_wxyz))
    return Gravity(R[2], GravitySource.PARAMETER, PARAMETER_SIGMA, R)


def gravity_of_level() -> Gravity:
    """Of a camera of which nothing is known."""
    return Gravity(LEVEL[2], GravitySource.LEVEL, LEVEL_SIGMA)


def gravity_of_acceleration(acceleration: Floats, R_optical_imu: Floats) -> Gravity:
    """Of an accelerometer that stands still: `acceleration` [3] m/s^2 in its own axes points up.

    InputError where it is not a number, or does not have the size of gravity.
    """
    size = float(np.linalg.norm(acceleration))
    if not np.isfinite(size):
        raise InputError("the Imu's linear_acceleration is NaN: it says nothing of gravity")
    if abs(size - _STANDARD_GRAVITY) > _STILL:
        raise InputError(
            f"the Imu measures {size:.2f} m/s^2: the camera moves, or gravity is left out; only a camera that stands"
            " still has its gravity from an Imu, a moving one needs a gravity-aligned frame on /tf"
        )
    return Gravity(R_optical_imu @ (acceleration / size), GravitySource.IMU, IMU_SIGMA)
