"""From a tracked person to SMPL parameters in the camera frame."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, SMPL_LIMBS, SMPL_PARENTS
from hmr_ros.body.model import BodyModel
from hmr_ros.body.shape import betas_from_bone_lengths
from hmr_ros.geometry.camera import distort_points, project, undistort_points
from hmr_ros.geometry.translation import translation_from_points
from hmr_ros.stages.kinematic import pose_from_landmarks
from hmr_ros.types import Camera, Floats, Frame, Human, Track

# Joint error against the confidence of the landmark, see docs/results.md ("joint_sigma").
_SIGMA_SEEN_M, _SIGMA_UNSEEN_M = 0.05, 0.20


class Recovery(Protocol):
    """Turns the tracks of one frame into people; called with all of them at once so that it may batch."""

    def __call__(self, frame: Frame, tracks: list[Track]) -> list[Human]:
        """One human a track, in the same order."""
        ...

    def reset(self) -> None:
        """Forget what was learned about tracks."""
        ...


class KinematicRecovery:
    """`recover: kinematic`: closed form, no learned part beyond the landmarks."""

    def __init__(self, body: BodyModel) -> None:
        self._body = body

    def __call__(self, frame: Frame, tracks: list[Track]) -> list[Human]:
        """See `Recovery`."""
        return [self._recover(frame, track) for track in tracks]

    def reset(self) -> None:
        """Nothing is remembered."""

    def _recover(self, frame: Frame, track: Track) -> Human:
        body, camera, keypoints = self._body, frame.camera, track.keypoints
        confidence = keypoints.keypoints_2d[:, 2]
        betas = betas_from_bone_lengths(body, track.bone_lengths)
        rest = body.rest_joints(betas)
        global_orient, body_pose = pose_from_landmarks(keypoints.keypoints_3d, confidence, rest)
        joints = body.joints(global_orient, body_pose, betas, np.zeros(3))
        transl = _stand(joints, keypoints.keypoints_2d, camera)
        joints = joints + transl
        return Human(
            frame=frame.index, stamp_ns=frame.stamp_ns, track_id=track.track_id, state=track.state,
            score=keypoints.score, boxes_xyxy=track.boxes_xyxy, keypoints_2d=keypoints.keypoints_2d,
            global_orient=global_orient, body_pose=body_pose, betas=betas, transl=transl, joints=joints,
            joints_2d=distort_points(project(joints, camera.K), camera),
            joint_sigma=joint_sigma(confidence), K=camera.K, body_model=body.name,
        )  # fmt: skip


def joint_sigma(confidence: Floats) -> Floats:
    """Expected error [24] m of each SMPL joint from the landmarks' confidences [33]; joints that no landmark shows
    take the value of their parent."""
    sigma = np.full(len(SMPL_PARENTS), np.nan)
    seen = confidence[BLAZEPOSE_LIMBS]
    sigma[SMPL_LIMBS] = _SIGMA_SEEN_M + (_SIGMA_UNSEEN_M - _SIGMA_SEEN_M) * (1.0 - seen)
    sigma[0] = sigma[SMPL_LIMBS[:2]].mean()
    for joint in np.flatnonzero(np.isnan(sigma)):
        sigma[joint] = sigma[SMPL_PARENTS[joint]]
    return sigma


def _stand(joints: Floats, keypoints_2d: Floats, camera: Camera) -> Floats:
    """Translation [3] m; where too little is visible, the landmarks guessed outside the picture help out."""
    points_px = undistort_points(keypoints_2d[BLAZEPOSE_LIMBS, :2], camera)
    confidence = keypoints_2d[BLAZEPOSE_LIMBS, 2]
    for weights in (np.where(confidence > 0.3, confidence, 0.0), np.ones(len(confidence))):
        if np.count_nonzero(weights) < 4:
            continue
        transl = translation_from_points(joints[SMPL_LIMBS], points_px, weights, camera.K)
        if np.isfinite(transl).all() and (joints[:, 2] + transl[2]).min() > 0:
            return transl
    return np.array([0.0, 0.0, 0.5 - float(joints[:, 2].min())])
