"""Leans along lines of sight, turned to the axes of a camera aimed at the person."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.joints import BLAZEPOSE, BLAZEPOSE_LIMBS, DIRECTED_BONES, DIRECTED_BONES_BLAZEPOSE, LIMB_JOINTS
from hmr_ros.body.landmark_bones import KINDS, bones_of
from hmr_ros.evidence.leans import aimed_leans, leaning
from hmr_ros.evidence.record import EvidenceMaker, keypoints_of
from hmr_ros.geometry.camera import project
from hmr_ros.types import Camera, Frame, Keypoints, LimbsSeen, Roi, Track, TrackingState

SIGMA = np.linspace(0.1, 0.4, 12)


@pytest.fixture
def person():
    """33 points before a camera that is aimed past them, what they look like, and how their bones lean."""
    rng = np.random.default_rng(0)
    points = np.array([0.5, -0.3, 3.0]) + rng.normal(0, 0.4, (33, 3))
    plane = points[:, :2] / points[:, 2:]
    bones = points[DIRECTED_BONES_BLAZEPOSE]
    along = bones[:, 1] - bones[:, 0]
    middle = plane[DIRECTED_BONES_BLAZEPOSE].sum(1)
    sight = np.c_[middle, np.full(len(middle), 2.0)]
    lengths = np.linalg.norm(along, axis=1) * np.linalg.norm(sight, axis=1)
    pixels = 500.0 * plane + 300.0
    limbs = LimbsSeen(pixels[BLAZEPOSE_LIMBS], (along * sight).sum(1) / lengths, SIGMA)
    return np.c_[pixels, np.ones(33)], plane, limbs, along[:, 2] / np.linalg.norm(along, axis=1)


def test_true_leans_along_lines_of_sight_become_true_ones_along_the_axis(person):
    keypoints, plane, limbs, expected = person
    found = aimed_leans(limbs, keypoints, plane)
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-9)
    assert np.isfinite(found[:, 1]).all() and (found[:, 1] > 0).all()
    wider = aimed_leans(replace(limbs, sigma=2 * SIGMA), keypoints, plane)
    assert (wider[:, 1] >= found[:, 1]).all() and (wider[4:, 1] > found[4:, 1]).all()


@pytest.mark.parametrize(("far", "near", "sign"), [("left", "right", -1), ("right", "left", 1)])
def test_little_is_said_of_the_arm_behind_the_trunk(person, far, near, sign):
    keypoints, plane, limbs, _ = person
    arms = {side: [DIRECTED_BONES.index((f"{side}_{a}", f"{side}_{b}")) for a, b in
                   (("shoulder", "elbow"), ("elbow", "wrist"))] for side in (far, near)}  # fmt: skip
    rest = [i for i in range(12) if i not in arms[far]]
    found = []
    for turn in (0.0, 0.2, 0.4, 0.9):
        sines = limbs.sines.copy()
        sines[DIRECTED_BONES.index(("left_shoulder", "right_shoulder"))] = sign * turn
        found.append(aimed_leans(replace(limbs, sines=sines), keypoints, plane)[:, 1])
    assert (np.diff([sigma[arms[far]] for sigma in found], axis=0) >= 0).all()
    assert (found[-1][arms[far]] > 1e3).all() and (found[0][arms[far]] < 1.0).all()
    np.testing.assert_array_equal(found[-1][rest], found[-2][rest])


def test_nothing_is_said_where_nobody_looked(person):
    keypoints, plane, *_ = person
    assert aimed_leans(None, keypoints, plane) is None


GROUPS = {"legs": ("hip", "knee", "ankle"), "arms": ("shoulder", "elbow", "wrist")}


@pytest.mark.parametrize("group", GROUPS)
def test_nothing_is_said_of_limbs_where_left_was_taken_for_right(person, group):
    keypoints, plane, limbs, _ = person
    joints = GROUPS[group]
    sides = [[BLAZEPOSE[f"{side}_{joint}"] for joint in joints] for side in ("left", "right")]
    changed = keypoints.copy()
    changed[sides[0]], changed[sides[1]] = keypoints[sides[1]], keypoints[sides[0]]
    theirs = [any(end.endswith(joints) for end in bone) for bone in DIRECTED_BONES]
    np.testing.assert_array_equal(np.isinf(aimed_leans(limbs, changed, plane)[:, 1]), theirs)
    rows = [LIMB_JOINTS.index(f"{side}_{joint}") for side in ("right", "left") for joint in joints]
    other = [LIMB_JOINTS.index(f"{side}_{joint}") for side in ("left", "right") for joint in joints]
    points = limbs.points_2d.copy()
    points[rows] = limbs.points_2d[other]
    assert np.isfinite(aimed_leans(replace(limbs, points_2d=points), changed, plane)).all()


def test_in_profile_neither_side_is_the_wrong_one(person):
    """Both legs and both arms on each other, and what the limb network sees a little to either side of them."""
    keypoints, plane, limbs, _ = person
    profile = keypoints.copy()
    for joints in GROUPS.values():
        for joint in joints:
            both = [BLAZEPOSE[f"{side}_{joint}"] for side in ("left", "right")]
            profile[both, :2] = profile[both, :2].mean(0)
    rng = np.random.default_rng(3)
    for _ in range(20):
        points = profile[BLAZEPOSE_LIMBS, :2] + rng.normal(0, 5, (12, 2))
        assert np.isfinite(aimed_leans(replace(limbs, points_2d=points), profile, plane)).all()


def test_evidence_holds_leans_in_the_axes_of_its_own_camera():
    """Two people off the image's middle, one of whom the image says nothing about."""
    rng = np.random.default_rng(5)
    points = np.array([1.1, -0.6, 3.0]) + rng.normal(0, 0.3, (33, 3))
    camera = Camera(np.array([[500.0, 0, 320], [0, 480.0, 240], [0, 0, 1]]), 640, 480)
    pixels = project(points, camera.K)
    ends = points[DIRECTED_BONES_BLAZEPOSE]
    along = ends[:, 1] - ends[:, 0]
    sight = np.c_[points[:, :2] / points[:, 2:], np.ones(33)][DIRECTED_BONES_BLAZEPOSE].sum(1)
    sines = (along * sight).sum(1) / np.linalg.norm(along, axis=1) / np.linalg.norm(sight, axis=1)
    limbs = LimbsSeen(pixels[BLAZEPOSE_LIMBS], sines, SIGMA)
    roi = Roi(np.zeros(2), 100.0, 0.0)
    keypoints = Keypoints(np.c_[pixels, np.ones(33)], points - points.mean(0), 0.9, roi, limbs=limbs)
    tracks = [
        Track(k, TrackingState.TRACKED, seen, np.zeros(4), np.full(12, np.nan))
        for k, seen in enumerate((keypoints, replace(keypoints, limbs=None)))
    ]
    evidence = EvidenceMaker(None)(Frame(0, 0, np.zeros((480, 640, 3), np.uint8), camera), tracks)
    aimed = along @ evidence[0].R_camera_aimed
    assert np.linalg.norm(evidence[0].R_camera_aimed - np.eye(3)) > 0.3
    world = [e.keypoints[:, 3:] for e in evidence]
    np.testing.assert_allclose(world[1], keypoints.keypoints_3d, atol=1e-9)
    np.testing.assert_allclose(world[0], leaning(world[1][None], evidence[0].leans[None])[0], atol=1e-12)
    assert np.abs(world[0] - world[1]).max() > 0.05
    np.testing.assert_allclose(evidence[0].leans[:, 0], aimed[:, 2] / np.linalg.norm(aimed, axis=1), atol=0.02)
    assert evidence[1].leans is None
    both = keypoints_of(evidence).leans
    np.testing.assert_array_equal(both[0], evidence[0].leans)
    assert np.isinf(both[1, :, 1]).all() and np.isfinite(both[1, :, 0]).all()
    assert keypoints_of(evidence[1:]).leans is None


TURNED = [k for k in KINDS if k not in ("upper_arm", "forearm")]


@pytest.fixture
def bent():
    """Two people's world landmarks, and as many with other leans of every bone."""
    rng = np.random.default_rng(7)
    landmarks, other = rng.normal(0, 0.4, (2, 2, 33, 3))
    return landmarks - landmarks[:, [23, 24]].mean(1, keepdims=True), sines_of(other)


def sines_of(landmarks):
    along = landmarks[:, DIRECTED_BONES_BLAZEPOSE[:, 1]] - landmarks[:, DIRECTED_BONES_BLAZEPOSE[:, 0]]
    return along[..., 2] / np.linalg.norm(along, axis=-1)


def test_legs_and_trunk_lean_as_the_image_says(bent):
    landmarks, sines = bent
    found = leaning(landmarks, np.stack([sines, np.zeros_like(sines)], -1))
    for a, b in (("hip", "knee"), ("knee", "ankle")):
        rows = [DIRECTED_BONES.index((f"{side}_{a}", f"{side}_{b}")) for side in ("left", "right")]
        np.testing.assert_allclose(sines_of(found)[:, rows], sines[:, rows], atol=1e-9)
    np.testing.assert_allclose(sines_of(found)[:, -2:], sines[:, -2:], atol=1e-9)  # shoulders and hips
    trunk = bones_of(found, "trunk")[:, 0]
    sides = [DIRECTED_BONES.index((f"{side}_hip", f"{side}_shoulder")) for side in ("left", "right")]
    np.testing.assert_allclose(trunk[:, 2] / np.linalg.norm(trunk, axis=1), sines[:, sides].mean(1), atol=1e-9)
    np.testing.assert_allclose(found[:, [23, 24]].mean(1), 0, atol=1e-12)


def test_lengths_directions_in_the_image_and_arms_stay(bent):
    landmarks, sines = bent
    found = leaning(landmarks, np.stack([sines, np.full_like(sines, 0.3)], -1))
    for kind in ("thigh", "shin", "hips", "shoulders", "trunk"):
        before, after = bones_of(landmarks, kind), bones_of(found, kind)
        np.testing.assert_allclose(np.linalg.norm(after, axis=-1), np.linalg.norm(before, axis=-1))
        across = before[..., 0] * after[..., 1] - before[..., 1] * after[..., 0]
        np.testing.assert_allclose(across, 0, atol=1e-12)
    for kind in ("upper_arm", "forearm"):
        np.testing.assert_allclose(bones_of(found, kind), bones_of(landmarks, kind), atol=1e-12)


def test_the_less_is_known_the_less_the_landmarks_turn(bent):
    landmarks, sines = bent
    moved = [
        np.linalg.norm(leaning(landmarks, np.stack([sines, np.full_like(sines, sigma)], -1)) - landmarks)
        for sigma in (0.0, 0.2, 0.5, 2.0)
    ]
    assert (np.diff(moved) < 0).all()
    unknown = np.stack([sines, np.full_like(sines, np.inf)], -1)
    straight = leaning(landmarks, unknown)
    for kind in TURNED:
        np.testing.assert_allclose(bones_of(straight, kind), bones_of(landmarks, kind), atol=1e-9)


def test_leans_that_the_landmarks_have_already_change_nothing(bent):
    landmarks, _ = bent
    known = np.stack([sines_of(landmarks), np.full((2, 12), 0.1)], -1)
    trunk = bones_of(landmarks, "trunk")
    for side in ("left", "right"):
        row = DIRECTED_BONES.index((f"{side}_hip", f"{side}_shoulder"))
        known[:, row, 0] = trunk[:, 0, 2] / np.linalg.norm(trunk[:, 0], axis=-1)
    np.testing.assert_allclose(leaning(landmarks, known), landmarks, atol=1e-9)


def test_a_bone_that_points_at_the_camera_or_has_no_length_stays(bent):
    landmarks, sines = bent
    landmarks[:, 25] = landmarks[:, 23] + [0.0, 0.0, 0.4]
    landmarks[:, 28] = landmarks[:, 26]
    found = leaning(landmarks, np.stack([sines, np.full_like(sines, 0.1)], -1))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[:, 25] - found[:, 23], [[0.0, 0.0, 0.4]] * 2, atol=1e-12)
    np.testing.assert_allclose(found[:, 28], found[:, 26], atol=1e-12)
