"""Laws of linear blend skinning."""

from __future__ import annotations

import numpy as np
import pytest

from hmr_ros.body.joints import SMPL_PARENTS
from hmr_ros.body.model import BodyModel, forward_kinematics
from hmr_ros.errors import BodyModelError
from hmr_ros.geometry.rotations import matrix_from_axis_angle

REST = {"global_orient": np.zeros(3), "body_pose": np.zeros(69), "betas": np.zeros(10), "transl": np.zeros(3)}


def bone_lengths(joints):
    return np.linalg.norm(joints[..., 1:, :] - joints[..., SMPL_PARENTS[1:], :], axis=-1)


def test_rest_pose_is_the_template(body):
    np.testing.assert_allclose(body.vertices(**REST), body.v_template, atol=1e-12)
    np.testing.assert_allclose(body.joints(**REST), body.J_regressor @ body.v_template, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_posing_keeps_bone_lengths(body, random_person, seed):
    person = random_person(seed)
    np.testing.assert_allclose(
        bone_lengths(body.joints(**person)), bone_lengths(body.rest_joints(person["betas"])), atol=1e-12
    )


def test_root_rotation_is_rigid_about_the_root_joint(body, random_person):
    person = random_person(3)
    still = person | {"global_orient": np.zeros(3), "transl": np.zeros(3)}
    root = body.rest_joints(person["betas"])[0]
    R = matrix_from_axis_angle(person["global_orient"])
    for method in (body.vertices, body.joints):
        np.testing.assert_allclose(
            method(**person), (method(**still) - root) @ R.T + root + person["transl"], atol=1e-12
        )


@pytest.mark.parametrize("shape", [(), (5,), (2, 3)])
def test_kinematics_follow_the_tree_joint_by_joint(shape):
    rng = np.random.default_rng(0)
    local, rest = matrix_from_axis_angle(rng.normal(size=(*shape, 24, 3))), rng.normal(size=(24, 3))
    world, posed = forward_kinematics(local, rest)
    np.testing.assert_array_equal(world[..., 0, :, :], local[..., 0, :, :])
    np.testing.assert_array_equal(posed[..., 0, :], np.broadcast_to(rest[0], (*shape, 3)))
    for joint in range(1, 24):
        up = SMPL_PARENTS[joint]
        np.testing.assert_allclose(world[..., joint, :, :], world[..., up, :, :] @ local[..., joint, :, :], atol=1e-13)
        bone = world[..., up, :, :] @ (rest[joint] - rest[up])
        np.testing.assert_allclose(posed[..., joint, :], posed[..., up, :] + bone, atol=1e-12)


def test_root_joint_ends_at_rest_plus_transl(body, random_person):
    person = random_person(4)
    np.testing.assert_allclose(body.joints(**person)[0], body.rest_joints(person["betas"])[0] + person["transl"])


def test_joints_of_a_batch_equal_single_ones(body, random_person):
    people = [random_person(seed) for seed in range(6)]
    batch = {key: np.stack([p[key] for p in people]) for key in people[0]}
    single = np.stack([body.joints(**p) for p in people])
    np.testing.assert_allclose(body.joints(**batch), single, atol=1e-12)
    grid = {key: value.reshape(2, 3, -1) for key, value in batch.items()}
    np.testing.assert_allclose(body.joints(**grid), single.reshape(2, 3, 24, 3), atol=1e-12)


def test_one_shape_serves_many_poses(open_body, random_person):
    people = [random_person(seed) for seed in range(4)]
    batch = {key: np.stack([p[key] for p in people]) for key in people[0]} | {"betas": people[0]["betas"]}
    single = np.stack([open_body.joints(**(p | {"betas": people[0]["betas"]})) for p in people])
    np.testing.assert_allclose(open_body.joints(**batch), single, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_smplx(body, random_person, save_smpl_pkl, seed):
    smplx = pytest.importorskip("smplx")
    torch = pytest.importorskip("torch")
    ids = dict.fromkeys(smplx.vertex_ids.vertex_ids["smplh"], 0)  # its extra joints are SMPL's own vertices
    theirs = smplx.SMPL(str(save_smpl_pkl(body)), vertex_ids=ids, dtype=torch.float64)
    person = random_person(seed)
    with torch.no_grad():
        out = theirs(**{key: torch.tensor(value)[None] for key, value in person.items()})
    np.testing.assert_allclose(body.vertices(**person), out.vertices[0].numpy(), atol=1e-5)
    np.testing.assert_allclose(body.joints(**person), out.joints[0, :24].numpy(), atol=1e-5)


def test_wrong_shapes_are_named(synthetic_body):
    with pytest.raises(BodyModelError, match="weights"):
        BodyModel("bad", synthetic_body.v_template, synthetic_body.shapedirs, None, synthetic_body.J_regressor,
                  synthetic_body.weights[:, :23], synthetic_body.faces)  # fmt: skip
