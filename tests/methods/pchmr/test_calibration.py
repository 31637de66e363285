"""The equations of PC-HMR's calibration: bones, their rest, and the points that follow."""

import numpy as np
import pytest

from hmr_ros.body.coarse import coarse_of, sparse_points
from hmr_ros.body.joints import SMPL, SMPL_LIMBS, SMPL_PARENTS
from hmr_ros.body.model import forward_kinematics
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.methods.pchmr.blend import blend_of
from hmr_ros.methods.pchmr.calibration import bone_motion, calibrated, rigid_motion, rotations_between
from hmr_ros.synth.motion import demo_motion

AWAY = np.array([0.2, -0.1, 3.0])
KNEE, ANKLE, FOOT = SMPL["left_knee"], SMPL["left_ankle"], SMPL["left_foot"]


@pytest.fixture(scope="module")
def sparse(open_body):
    return sparse_points(open_body, coarse_of(open_body))


@pytest.fixture(scope="module")
def person(sparse):
    """Joints [1,24,3] and points [1,P,3] m of one person."""
    rotations = matrix_from_axis_angle(demo_motion().poses[7].reshape(24, 3))
    rest = sparse.rest(np.zeros(10))[1]
    joints = forward_kinematics(rotations, rest)[1]
    return (joints + AWAY)[None], (sparse.posed(rotations, np.zeros(10)) + AWAY)[None]


def limbs_only(joints):
    targets = np.full_like(joints, np.nan)
    targets[:, SMPL_LIMBS] = joints[:, SMPL_LIMBS]
    return targets


def unit(v):
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def test_rotations_take_one_direction_to_the_other():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(50, 3)), rng.normal(size=(50, 3)) * 4
    R = rotations_between(a, b)
    np.testing.assert_allclose((R @ unit(a)[..., None])[..., 0], unit(b), atol=1e-12)
    np.testing.assert_allclose(R @ np.swapaxes(R, 1, 2), np.tile(np.eye(3), (50, 1, 1)), atol=1e-12)
    cosine = (np.trace(R, axis1=1, axis2=2) - 1) / 2  # the shortest of all: its angle is the one between them
    np.testing.assert_allclose(cosine, (unit(a) * unit(b)).sum(1), atol=1e-12)


def test_rotations_at_nothing_and_at_half_a_turn():
    a = np.concatenate([np.eye(3), unit(np.random.default_rng(0).normal(size=(20, 3)))])
    np.testing.assert_array_equal(rotations_between(a, 2 * a)[:3], np.tile(np.eye(3), (3, 1, 1)))
    np.testing.assert_allclose(rotations_between(a, a), np.tile(np.eye(3), (23, 1, 1)), atol=1e-12)
    for nearly in (0.0, 1e-12, 1e-8, 1e-5):
        R = rotations_between(a, -a + nearly * np.roll(a, 1, axis=1))
        np.testing.assert_allclose((R @ a[..., None])[..., 0], -a, atol=2e-5)
        np.testing.assert_allclose(R @ np.swapaxes(R, 1, 2), np.tile(np.eye(3), (23, 1, 1)), atol=1e-9)
        np.testing.assert_allclose(np.linalg.det(R), 1.0)


def test_a_bone_of_no_length_is_not_turned():
    R = rotations_between(np.zeros((1, 3)), np.ones((1, 3)))
    np.testing.assert_array_equal(R[0], np.eye(3))


def test_a_rigid_motion_is_reproduced(person, sparse):
    """About any axis, along the bones too: the twist comes from the trunk."""
    joints, points = person
    for seed in range(5):
        rng = np.random.default_rng(seed)
        R, t = matrix_from_axis_angle(rng.normal(0, 1.5, 3)), rng.normal(size=3)
        motion = bone_motion(joints, limbs_only(joints @ R.T + t))
        np.testing.assert_allclose(motion.rest, 0, atol=1e-7)
        moved = calibrated(points, motion, blend_of(sparse))
        np.testing.assert_allclose(moved, points @ R.T + t, atol=1e-6)


def test_the_rest_stretches_a_bone_to_its_target(person, sparse):
    """Eq. 8-11: parent on its target by the translation, child by the whole rest, what lies between in proportion."""
    joints, points = person
    targets = limbs_only(joints)
    along = joints[0, ANKLE] - joints[0, KNEE]
    targets[0, ANKLE] = joints[0, KNEE] + 1.25 * along
    motion, blend = bone_motion(joints, targets), blend_of(sparse)
    np.testing.assert_allclose(motion.rest[0, ANKLE], 0.25 * along, atol=2e-4)
    names = range(17)
    knee, ankle = (next(p for p in names if sparse.weights[p].argmax() == j) for j in (KNEE, ANKLE))
    for rigid, reached in ((False, 1.25), (True, 1.25)):  # a joint rides on the bone that starts there
        moved = calibrated(points, motion, blend, rigid)
        np.testing.assert_allclose(moved[0, knee], joints[0, KNEE], atol=1e-3)
        np.testing.assert_allclose(moved[0, ankle], joints[0, KNEE] + reached * along, atol=1e-3)
    shank = np.flatnonzero(sparse.weights[:, KNEE] > 0.95)
    shank = shank[shank != knee]
    assert len(shank)
    stretch = calibrated(points, motion, blend)[0, shank] - calibrated(points, motion, blend, True)[0, shank]
    share = blend.W[shank, ANKLE]
    assert 0.1 < share.min() < share.max() < 0.95
    np.testing.assert_allclose(stretch, 0.25 * share[:, None] * along * blend.A[shank, ANKLE, None], atol=1e-3)


def test_a_turned_limb_carries_what_has_no_target(person):
    joints, _ = person
    targets = limbs_only(joints)
    R = matrix_from_axis_angle(np.array([0.9, 0.0, 0.0]))
    targets[0, ANKLE] = joints[0, KNEE] + R @ (joints[0, ANKLE] - joints[0, KNEE])
    motion = bone_motion(joints, targets)
    turned = motion.rotation[0, ANKLE] @ (joints[0, FOOT] - joints[0, ANKLE])
    np.testing.assert_allclose(motion.joints[0, FOOT], targets[0, ANKLE] + turned, atol=1e-3)
    length = np.linalg.norm(joints[0, FOOT] - joints[0, ANKLE])
    assert np.linalg.norm(motion.joints[0, FOOT] - motion.joints[0, ANKLE]) == pytest.approx(length)


def test_a_limb_without_targets_moves_with_its_parent(person):
    joints, _ = person
    R, t = matrix_from_axis_angle(np.array([0.2, 0.5, -0.3])), np.array([0.1, 0.3, -0.5])
    targets = limbs_only(joints @ R.T + t)
    targets[0, [KNEE, ANKLE]] = np.nan
    motion = bone_motion(joints, targets)
    np.testing.assert_allclose(motion.joints, joints @ R.T + t, atol=2e-3)
    targets[:] = np.nan  # nothing known: nothing moves
    np.testing.assert_allclose(bone_motion(joints, targets).joints, joints, atol=1e-9)


def test_rigid_motion_of_few_points():
    rng = np.random.default_rng(0)
    source = rng.normal(size=(1, 4, 3))
    target = source + np.array([1.0, 2.0, 3.0])
    target[0, 2:] = np.nan
    R, t = rigid_motion(source, target)
    np.testing.assert_array_equal(R[0], np.eye(3))
    np.testing.assert_allclose(t[0], [1.0, 2.0, 3.0])


def test_blend_is_a_partition(sparse):
    blend = blend_of(sparse)
    np.testing.assert_allclose(blend.A.sum(1), 1.0, atol=1e-9)
    assert blend.A.min() >= 0
    assert blend.W.min() >= 0
    assert blend.W.max() <= 1
    for bone in range(1, 24):  # a joint of the skeleton lies at the start of its bones, and at the end of its own
        at = np.flatnonzero((np.abs(sparse.template - sparse.J_template[bone]) < 1e-9).all(1))
        assert (blend.W[at, bone] > 1 - 1e-9).all()
        at = np.flatnonzero((np.abs(sparse.template - sparse.J_template[SMPL_PARENTS[bone]]) < 1e-9).all(1))
        assert (blend.W[at, bone] < 1e-9).all()
