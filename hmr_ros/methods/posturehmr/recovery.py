"""`recover: posture`: the 81 points that the posture networks find -> SMPL parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hmr_ros.body.coarse import JOINT_IDS, SPARSE_LIMBS, coarse_of, sparse_points
from hmr_ros.body.fitting import Fitted, Leans, Observed, PointFitter
from hmr_ros.body.joints import (
    BLAZEPOSE,
    BLAZEPOSE_LIMBS,
    DIRECTED_BONES_BLAZEPOSE,
    DIRECTED_BONES_SMPL,
    SMPL,
    SMPL_PARENTS,
)
from hmr_ros.body.model import BodyModel, forward_kinematics
from hmr_ros.body.shape import TrackMemories, shape_information, shrinkage, size_doubted
from hmr_ros.evidence.keypoints import Normalised
from hmr_ros.evidence.leans import ARMS
from hmr_ros.evidence.record import Evidence, Posture, keypoints_of, posture_of
from hmr_ros.methods.contract import Estimate, Parts
from hmr_ros.methods.uncertainty import by_joint, image_covariance
from hmr_ros.types import Floats, Frame, Ints, Track

_MIN_DEPTH_M = 0.1
_SIGMA_LANDMARK = 0.02  # of a landmark seen for certain, in units of the person's size (about half a metre)
_LEAST_CONFIDENCE = 0.05
_DISCOUNT_2D, _DISCOUNT_3D = 1.73, 0.75  # of sigma in the fit: the errors of neighbouring mesh points are one error
_REPEATED_2D = 5.0  # the same where the landmarks have rays and leans of their own: the mesh repeats what they say
_SIGMA_BETAS, _SIGMA_SETTLED = 1.0, 0.01  # in the fit that asks what a frame says of the shape, and in the answer
_FREE_ITERATIONS, _SETTLED_ITERATIONS = 3, 1
_BONES = np.array(
    [[list(JOINT_IDS).index(joint) for joint in pair] for pair in DIRECTED_BONES_SMPL]
)  # of the 81 points
_ARM_BONES = np.concatenate(list(ARMS.values()))
_SIGMA_LEAN = 0.12  # of the sine, by the answers in real views of two people; its own errors there are larger
_SIGMA_BOTH = 0.2  # of the mean of decoded points and world landmarks beside what the limb network says
FACE = [
    [BLAZEPOSE["nose"]],
    [BLAZEPOSE[f"{s}_ear"] for s in ("left", "right")],
    [BLAZEPOSE[f"{s}_shoulder"] for s in ("left", "right")],
]
_NECK_AND_HEAD = [list(JOINT_IDS).index(SMPL[name]) for name in ("neck", "head")]
# their pixels as mixtures of nose, middle of the ears and middle of the shoulders, from benchmarks/face.py
FACE_MIXTURE = np.array([[-0.58, 0.88, 0.70], [-0.23, 1.04, 0.19]])
_FACE_ROWS = np.concatenate(FACE)
_FACE_WEIGHTS = np.repeat(FACE_MIXTURE / [len(part) for part in FACE], [len(part) for part in FACE], axis=1)  # [2,5]
_SIGMA_FACE = np.array([0.04, 0.03])  # as _SIGMA_LANDMARK
# of the networks' spread, so that the 95 % ellipsoids of the joints hold 95 % (benchmarks/uncertainty.py)
_SIGMA_SCALE = by_joint({
    "trunk": 1.26, "head": 1.08, "shoulders": 1.08, "elbows": 1.28, "hands": 1.32, "knees": 1.14, "feet": 1.14,
})  # fmt: skip


class PostureRecovery:
    """Fits the body to the 81 points of the evidence, all people in one batch. Remembers each track's shape."""

    def __init__(self, body: BodyModel) -> None:
        """`body` is the open body, on which the networks were trained."""
        self._body = body
        self._fitter = PointFitter(sparse_points(body, coarse_of(body)))
        self._shapes = TrackMemories()

    def __call__(self, frame: Frame, tracks: list[Track], evidence: list[Evidence]) -> list[Estimate]:
        """See `Recovery`."""
        if not tracks:
            return []
        seen, posture = keypoints_of(evidence), posture_of(evidence)
        ids = [t.track_id for t in tracks]
        target = directed(seen, posture, self._shapes.betas(ids), np.full(len(ids), _SIGMA_BETAS))
        free = self._fitter(target, _FREE_ITERATIONS)
        assert free.normal is not None
        found = shape_information(free.normal, free.betas, target.betas, target.sigma_betas)
        found = size_doubted(found, shrinkage(posture.points, posture.sigma))
        self._shapes.learn(ids, found, frame.stamp_ns * 1e-9)
        settled = replace(target, betas=self._shapes.betas(ids), sigma_betas=np.full(len(ids), _SIGMA_SETTLED))
        fitted = self._fitter(settled, _SETTLED_ITERATIONS, start=free.rotations)
        return estimates_of(self._body, seen, fitted, joint_sigma(posture.sigma))

    def reset(self) -> None:
        """Forget all shapes."""
        self._shapes = TrackMemories()


def build(parts: Parts) -> PostureRecovery:
    """`recover: posture`."""
    return PostureRecovery(parts.body)


def estimates_of(body: BodyModel, seen: Normalised, fitted: Fitted, sigma: Floats) -> list[Estimate]:
    """From the axes of the aimed cameras to the real one's; `sigma` [N,24] m of the joints."""
    rotations = fitted.rotations.copy()
    rotations[:, 0] = seen.R_camera_aimed @ rotations[:, 0]
    pelvis = (seen.R_camera_aimed @ fitted.pelvis[..., None])[..., 0]
    rest = body.rest_joints(fitted.betas)
    transl = pelvis - rest[:, 0]
    joints = forward_kinematics(rotations, rest)[1] + transl[:, None]
    too_near = np.minimum(joints[..., 2].min(1) - _MIN_DEPTH_M, 0.0)
    transl[:, 2] -= too_near
    joints[..., 2] -= too_near[:, None]
    rows = zip(rotations, fitted.betas, transl, joints, image_covariance(sigma, joints), strict=True)
    return [Estimate(*row) for row in rows]


def observed(
    seen: Normalised, posture: Posture, betas: Floats, sigma_betas: Floats, discount: float = _DISCOUNT_2D
) -> Observed:
    """What the fit of N people has to agree with; `betas` [N,10] as far as the shape is known, `sigma_betas` [N],
    `discount` of the 2D mesh's sigma."""
    rays = evidence_2d(seen, posture, discount)
    return Observed(posture.points, _DISCOUNT_3D * posture.sigma, *rays, betas, sigma_betas)


def directed(seen: Normalised, posture: Posture, betas: Floats, sigma_betas: Floats) -> Observed:
    """As `observed`, with the directions of the bones: for one answer a person, as samples would become alike."""
    return replace(observed(seen, posture, betas, sigma_betas, _REPEATED_2D), leans=leans(seen, posture))


def leans(seen: Normalised, posture: Posture) -> Leans:
    """How the bones lean: mean of decoded points and world landmarks, whose errors are of one size in real views, and
    of arms what the limb network sees, by inverse variance; trunk and legs have it in the landmarks already.

    A direction holds for any length of the bone; points of an average person alone bend the arms of others.
    """
    decoded = _sines(posture.points, _BONES)
    landmarks = _sines(seen.points[..., 3:], DIRECTED_BONES_BLAZEPOSE)
    sines = (decoded + landmarks) / 2
    if seen.leans is not None:
        shown, sigma = seen.leans[:, _ARM_BONES, 0], seen.leans[:, _ARM_BONES, 1]
        trust = _SIGMA_BOTH**2 / (_SIGMA_BOTH**2 + sigma**2)
        sines[:, _ARM_BONES] += trust * (shown - sines[:, _ARM_BONES])
    return Leans(_BONES, sines, np.full(len(_BONES), _SIGMA_LEAN))


def _sines(points: Floats, bones: Ints) -> Floats:
    """[N,M] of `points` [N,P,3] and `bones` [M,2]."""
    along = points[:, bones[:, 1]] - points[:, bones[:, 0]]
    return np.asarray(along[..., 2] / np.maximum(np.sqrt((along * along).sum(-1)), 1e-6))


def evidence_2d(seen: Normalised, posture: Posture, discount: float = _DISCOUNT_2D) -> tuple[Floats, Floats]:
    """Where the 81 points are seen: rays [N,81,2] and their sigma [N,81], the 2D mesh's times `discount`.

    The limb joints from the landmarks themselves, neck and head from those of face and shoulders, the rest from the 2D
    mesh: trained on rendered people, the mesh carries over what the landmark network does wrong there, which is not
    what it does wrong in real images.
    """
    points, sigma = posture.points_2d.copy(), discount * posture.sigma_2d
    landmarks = seen.points[:, BLAZEPOSE_LIMBS]
    points[:, SPARSE_LIMBS] = landmarks[..., :2]
    sigma[:, SPARSE_LIMBS] = _SIGMA_LANDMARK / np.maximum(landmarks[..., 2], _LEAST_CONFIDENCE) ** 1.5
    face = seen.points[:, _FACE_ROWS]
    confidence = np.maximum(face[..., 2].min(1), _LEAST_CONFIDENCE)
    sigma_face = _SIGMA_FACE / confidence[:, None] ** 1.5  # [N,2]
    placed = _FACE_WEIGHTS @ face[..., :2]
    clearer = sigma_face < sigma[:, _NECK_AND_HEAD]
    points[:, _NECK_AND_HEAD] = np.where(clearer[..., None], placed, points[:, _NECK_AND_HEAD])
    sigma[:, _NECK_AND_HEAD] = np.where(clearer, sigma_face, sigma[:, _NECK_AND_HEAD])
    size = seen.scale[:, None]
    return points * size[..., None], sigma * size


def joint_sigma(sparse: Floats) -> Floats:
    """Standard deviation [N,24] m from that of the 81 points; joints that are none of them take their parent's."""
    return np.asarray(_SIGMA_SCALE * sparse[:, _SIGMA_OF])


def _own_or_parents() -> Ints:
    """[24] which of the 81 points tells of each joint: its own, or that of the nearest joint above."""
    place, found = {int(joint): i for i, joint in enumerate(JOINT_IDS)}, [0] * len(SMPL_PARENTS)
    for joint, parent in enumerate(SMPL_PARENTS):
        found[joint] = place[joint] if joint in place else found[parent]
    return np.array(found)


_SIGMA_OF = _own_or_parents()
