"""The frozen records that travel through the pipeline; shapes, units and frames are stated once, here.

Camera frame everywhere: x right, y down, z forward (ROS optical frame, REP-103). Images are BGR.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from jaxtyping import Float, UInt8

    Array = NDArray[Any]
else:  # shapes are checked by the tests; at run time nobody evaluates them
    Array = np.ndarray

Floats = NDArray[Any]  # floating point; float64 unless said otherwise
Ints = NDArray[Any]  # integers
Bools = NDArray[np.bool_]
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Camera:
    """Pinhole intrinsics of one image, with the lens distortion that belongs to them."""

    K: Float[Array, "3 3"]  # px
    width: int  # px
    height: int  # px
    distortion: Float[Array, " D"] | None = None  # OpenCV order (plumb_bob, rational_polynomial) or 4 fisheye terms
    fisheye: bool = False  # True: `distortion` is the equidistant model
    guessed: bool = False  # True: no calibration was given, the focal length is a guess


@dataclass(frozen=True)
class Frame:
    """One image with its time and camera, and the depth image that belongs to it where there is one."""

    index: int  # counts from 0
    stamp_ns: int  # acquisition time
    image: UInt8[Array, "H W 3"]  # BGR
    camera: Camera
    # m along the optical axis, float32, registered to the image pixel by pixel; NaN where unknown
    depth: Float[Array, "H W"] | None = field(default=None, kw_only=True)
    # x0, y0, x1, y1 px, score 0..1: where another detector saw people; None where none was asked, or it is not known
    boxes: Float[Array, "B 5"] | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Roi:
    """Rotated square around one person; `angle_rad` turns the crop upright (0 = head up in the image)."""

    center_px: Float[Array, " 2"]
    size_px: float  # side of the square
    angle_rad: float


@dataclass(frozen=True)
class Detection:
    """One person proposed by the detector, not yet confirmed by the landmark network."""

    roi: Roi
    score: float  # 0..1
    # COCO's key points px, px and how certainly each is seen, 0..1; None where the detector knows none
    points: Float[Array, "17 3"] | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class LimbsSeen:
    """What the limb network says of one person; rows of `DIRECTED_BONES`."""

    points_2d: Float[Array, "12 2"]  # px, of the limb joints
    sines: Float[Array, " 12"]  # of each bone's angle to the plane across its line of sight; 1: straight away
    sigma: Float[Array, " 12"]  # of the sine, one standard deviation


@dataclass(frozen=True)
class Keypoints:
    """BlazePose's answer for one person in one frame."""

    keypoints_2d: Float[Array, "33 3"]  # px, px, confidence 0..1 (0 outside the image)
    keypoints_3d: Float[Array, "33 3"]  # m, camera axes, origin at the mid hip
    score: float  # 0..1, that a person is in the crop
    next_roi: Roi  # where to look for the person in the next frame
    # of the heat around each landmark: mean px, px; covariance xx, xy, yy px^2; mass. None where no heat map tells
    heat: Float[Array, "33 6"] | None = field(default=None, kw_only=True)
    # how far apart several networks see the limbs, median, in sides of the crop; 0 where one network looks
    disagreement: float = field(default=0.0, kw_only=True)
    # None where no limb network looked, or where the landmarks were not seen in this frame
    limbs: LimbsSeen | None = field(default=None, kw_only=True)


class TrackingState(IntEnum):
    """State of a person; values equal the constants of msg/Human.msg."""

    NEW = 0  # first frame of this id
    TRACKED = 1  # seen in the previous frame too
    RECOVERED = 2  # seen again after an occlusion, id kept
    SEARCHING = 3  # out of sight, or left out of an image for want of time; where the person should be by now


class ScaleSource(IntEnum):
    """What says how large and so how far away a person is; values equal the constants of msg/Human.msg."""

    GUESS = 0  # a guessed focal length and the size of an average person
    INTRINSICS = 1  # the calibrated camera and the size of an average person
    DEPTH = 2  # a depth image
    CAMERAS = 3  # several calibrated cameras
    FLOOR = 4  # the plane that the person stands on


class GravitySource(IntEnum):
    """What says which way is up; values equal the constants of msg/Human.msg."""

    NONE = 0  # nothing at this moment
    LEVEL = 1  # nothing: the camera is taken for level
    ESTIMATE = 2  # people who stand and walk
    PARAMETER = 3  # the camera's pitch and roll
    IMU = 4  # an accelerometer on a camera that stands still
    TF = 5  # a frame on /tf whose z is up


@dataclass(frozen=True)
class WorldState:
    """Where a person is in a world whose z is up, metres.

    Its x is the camera's way forward on the ground and its origin lies on the floor below the camera, unless the world
    is a frame on /tf.
    """

    R_world_camera: Float[Array, "3 3"]  # vectors of the optical frame -> world
    t_world_camera: Float[Array, " 3"]  # m, the camera in the world
    root: Float[Array, " 3"]  # m, the pelvis joint
    velocity: Float[Array, " 3"]  # m/s, of the pelvis joint
    contacts: Float[Array, " 4"]  # 0..1, that left heel, left ball, right heel, right ball stand on something
    source: GravitySource
    gravity_sigma: float  # rad, one standard deviation of the direction of up about a level axis
    frame: str = ""  # on /tf; empty: our own world
    body_axes: Float[Array, "3 3"] = field(default_factory=lambda: np.eye(3))  # REP-103 axes of the body -> world


@dataclass(frozen=True)
class PelvisState:
    """Where a person's hips are and how they move, in the frame of the answer.

    Axes of the body as in REP-103: x forward, y left, z up; origin between the hips. Covariances are of x, y, z and of
    rotations about these axes of the frame of the answer, as in geometry_msgs.
    """

    position: Float[Array, " 3"]  # m
    rotation: Float[Array, "3 3"]  # body -> frame of the answer
    velocity: Float[Array, " 6"]  # m/s, rad/s
    pose_covariance: Float[Array, "6 6"]  # m^2, rad^2
    velocity_covariance: Float[Array, "6 6"]  # (m/s)^2, (rad/s)^2


@dataclass(frozen=True)
class Track:
    """A person with an identity, seen in the current frame."""

    track_id: int
    state: TrackingState
    keypoints: Keypoints
    boxes_xyxy: Float[Array, " 4"]  # px, box of the visible body, clipped to the image
    bone_lengths: Float[Array, " M"]  # m, running median of MEASURED_BONES over the track; NaN = not seen yet


@dataclass(frozen=True)
class Hypotheses:
    """Several poses that the evidence of one person allows; shape and pelvis are the answer's own."""

    joints: Float[Array, "S 24 3"]  # m, camera frame
    rotations: Float[Array, "S 24 3 3"]  # local, the first body -> camera
    weights: Float[Array, " S"]  # sum to one


@dataclass(frozen=True)
class Human:
    """One recovered person in one frame: SMPL parameters in the camera frame."""

    frame: int
    stamp_ns: int
    track_id: int
    state: TrackingState
    score: float
    boxes_xyxy: Float[Array, " 4"]  # px
    keypoints_2d: Float[Array, "33 3"]  # px, px, confidence
    global_orient: Float[Array, " 3"]  # axis-angle rad, body -> camera
    body_pose: Float[Array, " 69"]  # axis-angle rad, joints 1..23
    betas: Float[Array, " 10"]
    transl: Float[Array, " 3"]  # m
    joints: Float[Array, "24 3"]  # m, camera frame
    joints_2d: Float[Array, "24 2"]  # px
    joint_covariance: Float[Array, "24 6"]  # m^2, relative to the pelvis, camera axes: xx, xy, xz, yy, yz, zz
    K: Float[Array, "3 3"]  # px
    body_model: str  # name of the body that the parameters belong to
    hypotheses: Hypotheses | None = field(default=None, kw_only=True)  # where they were asked for
    scale: ScaleSource = field(default=ScaleSource.GUESS, kw_only=True)
    pelvis: PelvisState | None = field(default=None, kw_only=True)  # None: nobody followed the person over time
    world: WorldState | None = field(default=None, kw_only=True)  # None: nobody knows which way is up

    @property
    def joint_sigma(self) -> Float[Array, " 24"]:
        """m, one standard deviation an axis: the root mean diagonal of the covariance."""
        return np.asarray(np.sqrt(self.joint_covariance[:, [0, 3, 5]].mean(-1)))


@dataclass(frozen=True)
class Result:
    """The pipeline's answer to one frame; with lag n, frame t is answered at t + n."""

    frame: Frame
    humans: list[Human]  # the most certain first


# fields of `Human` that msg/Human.msg has too, as flat arrays of numbers
MESSAGE_ARRAYS = (
    "global_orient", "body_pose", "betas", "transl", "joints", "joints_2d", "keypoints_2d", "joint_sigma",
    "joint_covariance",
)  # fmt: skip
