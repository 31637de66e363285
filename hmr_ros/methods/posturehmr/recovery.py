"""`recover: posture`: key points -> 2D mesh -> T-pose moved to the posture -> SMPL parameters."""

from __future__ import annotations

import time
from typing import Protocol

import numpy as np

from hmr_ros.body.coarse import JOINT_IDS
from hmr_ros.body.fitting import Fitted, Observed, PointFitter
from hmr_ros.body.joints import BLAZEPOSE, BLAZEPOSE_LIMBS, SMPL, SMPL_LIMBS, SMPL_PARENTS
from hmr_ros.body.model import BodyModel, forward_kinematics
from hmr_ros.body.points import BodyPoints
from hmr_ros.body.shape import TrackShapes
from hmr_ros.evidence.features import evidence_features
from hmr_ros.evidence.keypoints import Normalised, normalise
from hmr_ros.evidence.posture import Posture, PostureNetwork
from hmr_ros.geometry.camera import distort_points, project, undistort_points
from hmr_ros.geometry.rotations import axis_angle_from_matrix
from hmr_ros.types import Camera, Evidence, Floats, Frame, Human, Track

_MIN_DEPTH_M = 0.1
_SIGMA_LANDMARK = 0.02  # of a landmark seen for certain, in units of the person's size (about half a metre)
_LEAST_CONFIDENCE = 0.05
_MESH_DISCOUNT = 3.0  # the errors of neighbouring mesh points are one error
_LIMBS = np.array([list(JOINT_IDS).index(j) for j in SMPL_LIMBS])
FACE = [
    [BLAZEPOSE["nose"]],
    [BLAZEPOSE[f"{s}_ear"] for s in ("left", "right")],
    [BLAZEPOSE[f"{s}_shoulder"] for s in ("left", "right")],
]
_NECK_AND_HEAD = [list(JOINT_IDS).index(SMPL[name]) for name in ("neck", "head")]
# their pixels as mixtures of nose, middle of the ears and middle of the shoulders, from benchmarks/face.py
FACE_MIXTURE = np.array([[-0.58, 0.88, 0.70], [-0.23, 1.04, 0.19]])
_SIGMA_FACE = np.array([0.04, 0.03])  # as _SIGMA_LANDMARK


class PostureSource(Protocol):
    """Whatever finds out the postures of the people in a frame."""

    def __call__(self, frame: Frame, tracks: list[Track], seen: Normalised) -> Posture:
        """One posture a track, `seen` = the landmarks of the tracks as the networks take them."""
        ...


class KeypointPosture:
    """`PostureSource` that asks the landmarks alone."""

    def __init__(self, network: PostureNetwork) -> None:
        self._network = network

    def __call__(self, frame: Frame, tracks: list[Track], seen: Normalised) -> Posture:
        """See `PostureSource`."""
        del frame, tracks
        return self._network(seen.points, np.log(seen.scale))


class PostureRecovery:
    """Learned recovery; all people of a frame in one batch. Remembers each track's shape."""

    def __init__(self, body: BodyModel, sparse: BodyPoints, source: PostureSource) -> None:
        self._body, self._source = body, source
        self._fitter = PointFitter(sparse)
        self._shapes = TrackShapes()
        self.stage_seconds: dict[str, float] = {}  # cost of each part in the last frame

    def __call__(self, frame: Frame, tracks: list[Track]) -> list[Human]:
        """See `Recovery`."""
        if not tracks:
            return []
        start = time.perf_counter()
        landmarks = _rays(frame, tracks)
        seen = _normalise(landmarks, tracks)
        posture = self._source(frame, tracks, seen)
        decoded = time.perf_counter()
        betas, sigma_betas = self._shapes.expected([t.track_id for t in tracks])
        rays, sigma_rays = evidence_2d(seen, posture)
        fitted = self._fitter(Observed(posture.points, posture.sigma, rays, sigma_rays, betas, sigma_betas))
        self._shapes.learn([t.track_id for t in tracks], fitted.betas, frame.index)
        evidence = [
            Evidence(f, R, r)
            for f, R, r in zip(evidence_features(seen, posture), seen.R_camera_aimed, landmarks, strict=True)
        ]
        humans = self._humans(frame, tracks, seen, posture, fitted, evidence)
        self.stage_seconds = {"mesh2d + decoder": decoded - start, "fit": time.perf_counter() - decoded}
        return humans

    def reset(self) -> None:
        """Forget all shapes."""
        self._shapes = TrackShapes()

    def _humans(
        self, frame: Frame, tracks: list[Track], seen: Normalised, posture: Posture, fitted: Fitted,
        evidence: list[Evidence],
    ) -> list[Human]:  # fmt: skip
        rotations = fitted.rotations.copy()
        rotations[:, 0] = seen.R_camera_aimed @ rotations[:, 0]
        pose = axis_angle_from_matrix(rotations)
        pelvis = (seen.R_camera_aimed @ fitted.pelvis[..., None])[..., 0]
        rest = self._body.rest_joints(fitted.betas)
        transl = pelvis - rest[:, 0]
        joints = forward_kinematics(rotations, rest)[1] + transl[:, None]
        too_near = np.minimum(joints[..., 2].min(1) - _MIN_DEPTH_M, 0.0)
        transl[:, 2] -= too_near
        joints[..., 2] -= too_near[:, None]
        sigma = _sigma_of_joints(posture.sigma)
        camera = frame.camera
        return [
            Human(
                frame=frame.index, stamp_ns=frame.stamp_ns, track_id=track.track_id, state=track.state,
                score=track.keypoints.score, boxes_xyxy=track.boxes_xyxy, keypoints_2d=track.keypoints.keypoints_2d,
                global_orient=pose[i, 0], body_pose=pose[i, 1:].reshape(-1), betas=fitted.betas[i], transl=transl[i],
                joints=joints[i], joints_2d=distort_points(project(joints[i], camera.K), camera),
                joint_sigma=sigma[i], K=camera.K, body_model=self._body.name, evidence=evidence[i],
            )
            for i, track in enumerate(tracks)
        ]  # fmt: skip


def _rays(frame: Frame, tracks: list[Track]) -> Floats:
    """Landmarks [N,33,2] on the plane z = 1."""
    return rays_of(np.array([t.keypoints.keypoints_2d[:, :2] for t in tracks]), frame.camera)


def rays_of(pixels: Floats, camera: Camera) -> Floats:
    """Pixels [N,P,2] of the picture -> the plane z = 1 [N,P,2], without lens distortion."""
    flat = undistort_points(pixels.reshape(-1, 2), camera)
    rays = (flat - camera.K[:2, 2]) @ np.linalg.inv(camera.K[:2, :2]).T
    return np.asarray(rays.reshape(pixels.shape))


def _normalise(rays: Floats, tracks: list[Track]) -> Normalised:
    confidence = np.array([t.keypoints.keypoints_2d[:, 2] for t in tracks])
    return normalise(rays, confidence, np.array([t.keypoints.keypoints_3d for t in tracks]))


def evidence_2d(seen: Normalised, posture: Posture) -> tuple[Floats, Floats]:
    """Where the 81 points are seen: rays [N,81,2] and their sigma [N,81].

    The limb joints from the landmarks themselves, neck and head from those of face and shoulders, the rest from the 2D
    mesh: trained on rendered people, the mesh carries over what the landmark network does wrong there, which is not
    what it does wrong in real pictures (of a man seen from the waist up it drew the head on the chest).
    """
    points, sigma = posture.points_2d.copy(), _MESH_DISCOUNT * posture.sigma_2d
    landmarks = seen.points[:, BLAZEPOSE_LIMBS]
    points[:, _LIMBS] = landmarks[..., :2]
    sigma[:, _LIMBS] = _SIGMA_LANDMARK / np.maximum(landmarks[..., 2], _LEAST_CONFIDENCE) ** 1.5
    face = [seen.points[:, part] for part in FACE]
    confidence = np.maximum(np.min([part[..., 2].min(1) for part in face], 0), _LEAST_CONFIDENCE)
    sigma_face = _SIGMA_FACE / confidence[:, None] ** 1.5  # [N,2]
    placed = np.einsum("kp,pnc->nkc", FACE_MIXTURE, np.array([part[..., :2].mean(1) for part in face]))
    clearer = sigma_face < sigma[:, _NECK_AND_HEAD]
    points[:, _NECK_AND_HEAD] = np.where(clearer[..., None], placed, points[:, _NECK_AND_HEAD])
    sigma[:, _NECK_AND_HEAD] = np.where(clearer, sigma_face, sigma[:, _NECK_AND_HEAD])
    size = seen.scale[:, None]
    return points * size[..., None], sigma * size


def _sigma_of_joints(sparse: Floats) -> Floats:
    """Expected error [N,24] m from that of the 81 points; joints that are none of them take their parent's."""
    sigma = np.full((len(sparse), len(SMPL_PARENTS)), np.nan)
    sigma[:, JOINT_IDS] = sparse[:, : len(JOINT_IDS)]
    for joint in range(1, len(SMPL_PARENTS)):
        missing = np.isnan(sigma[:, joint])
        sigma[missing, joint] = sigma[missing, SMPL_PARENTS[joint]]
    return sigma
