"""Images of a camera that is mounted sideways or upside down: turned for perception, answers turned back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from hmr_ros.errors import ConfigError, InputError
from hmr_ros.geometry.covariance import turned
from hmr_ros.geometry.rigid import Rigid, moved_hypotheses
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.types import Camera, Floats, Frame, Human

_CODES = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
_TILTED = 12  # coefficients after which those of a tilted sensor follow


@dataclass(frozen=True)
class Turn:
    """A turn of images clockwise, and of their camera about its optical axis.

    With R = [[c, -s], [s, c]] of the angle, a point x of the camera frame becomes R x, and a pixel u = K x becomes
    A u = (A K R^T) R x, where A moves the corner of the turned image to the origin.
    """

    degrees: int = 0  # 0, 90, 180 or 270; ConfigError

    def __post_init__(self) -> None:
        if self.degrees not in (0, *_CODES):
            raise ConfigError(f"input.rotate is {self.degrees}; give 0, 90, 180 or 270 degrees clockwise")

    @property
    def matrix(self) -> Floats:
        """[3,3] camera frame -> turned camera frame."""
        c, s = [(1, 0), (0, 1), (-1, 0), (0, -1)][self.degrees // 90]
        return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])

    @property
    def back(self) -> Turn:
        """The turn that undoes this one."""
        return Turn(-self.degrees % 360)

    def frame(self, frame: Frame) -> Frame:
        """The same frame with image, depth, boxes and camera turned; InputError as in `camera`."""
        if not self.degrees:
            return frame
        depth = None if frame.depth is None else np.asarray(cv2.rotate(frame.depth, _CODES[self.degrees]))
        image = np.asarray(cv2.rotate(frame.image, _CODES[self.degrees]), np.uint8)
        boxes = None if frame.boxes is None else self._boxes(frame.boxes, frame.image.shape[1], frame.image.shape[0])
        return replace(frame, image=image, camera=self.camera(frame.camera), depth=depth, boxes=boxes)

    def camera(self, camera: Camera) -> Camera:
        """Intrinsics of the turned image; InputError where the distortion is that of a tilted sensor."""
        if not self.degrees:
            return camera
        width, height = (camera.width, camera.height)[:: 1 if self.degrees == 180 else -1]
        K = self._pixels(camera.width, camera.height) @ np.asarray(camera.K, np.float64) @ self.matrix.T
        K[1, 0], K[0, 1] = 0.0, 0.0  # skew has no place in the turned matrix, and cameras have none
        return replace(camera, K=K, width=width, height=height, distortion=self._distortion(camera))

    def pixels(self, points_px: Floats, width: int, height: int) -> Floats:
        """Pixels [...,2] of an image of this size -> of the turned image."""
        A = self._pixels(width, height)
        return points_px @ A[:2, :2].T + A[:2, 2]

    def human(self, human: Human, camera: Camera) -> Human:
        """Somebody seen by `camera` as the turned camera sees them."""
        if not self.degrees:
            return human
        R, size = self.matrix, (camera.width, camera.height)
        rest_pelvis = human.joints[0] - human.transl  # SMPL turns about it, so the translation is not just turned
        corners = self.pixels(human.boxes_xyxy.reshape(2, 2), *size)
        keypoints = np.concatenate([self.pixels(human.keypoints_2d[:, :2], *size), human.keypoints_2d[:, 2:]], 1)
        return replace(
            human, boxes_xyxy=np.concatenate([corners.min(0), corners.max(0)]), keypoints_2d=keypoints,
            global_orient=axis_angle_from_matrix(R @ matrix_from_axis_angle(human.global_orient)),
            transl=R @ human.joints[0] - rest_pelvis, joints=human.joints @ R.T,
            joints_2d=self.pixels(human.joints_2d, *size), K=self.camera(camera).K,
            joint_covariance=turned(human.joint_covariance, R),
            hypotheses=moved_hypotheses(human.hypotheses, Rigid(R, np.zeros(3))),
        )  # fmt: skip

    def _boxes(self, boxes: Floats, width: int, height: int) -> Floats:
        """Boxes [B,5] (x0, y0, x1, y1 px, score) of an image of this size -> of the turned image."""
        corners = self.pixels(boxes[:, :4].reshape(-1, 2, 2), width, height)
        return np.concatenate([corners.min(1), corners.max(1), boxes[:, 4:]], 1)

    def _pixels(self, width: int, height: int) -> Floats:
        """A of the class's docstring: pixels of an image of this size -> pixels of the turned one, homogeneous."""
        A = self.matrix
        A[:2, 2] = np.maximum(0.0, -(A[:2, :2] @ [width - 1, height - 1]))
        return A

    def _distortion(self, camera: Camera) -> Floats | None:
        """Radial terms stay; p1, p2 and the thin prism's terms are vectors across the axis."""
        if camera.distortion is None or camera.fisheye or len(camera.distortion) < 4:
            return camera.distortion
        D, R = np.array(camera.distortion, np.float64), self.matrix[:2, :2]
        D[[3, 2]] = R @ D[[3, 2]]
        if D.size >= _TILTED:
            D[[8, 10]], D[[9, 11]] = R @ D[[8, 10]], R @ D[[9, 11]]
        if D[_TILTED:].any():
            raise InputError("images of a camera with a tilted sensor (14 distortion terms) cannot be turned")
        return D
