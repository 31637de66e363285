"""Bones move the rest shape to where the body is; the floor is under the feet."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.geometry.rigid import Rigid
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.types import GravitySource, WorldState
from hmr_ros.view.browser.scene import Floor, bones_of, contact_rings, four_weights, rest_shape, sigma_axes
from hmr_ros.world.feet import Soles
from hmr_ros.world.gravity import LEVEL


@pytest.fixture
def to_world():
    return Rigid(LEVEL @ matrix_from_axis_angle(np.array([0.3, -0.1, 0.2])), np.array([0.4, -1.0, 1.3]))


def test_bones_and_rest_shape_give_the_posed_surface(human, open_body, to_world):
    bones, rest = bones_of(human, open_body, to_world), rest_shape(open_body, human.betas)
    from_joints = rest.vertices[:, None] - rest.joints  # [V,24,3]
    moved = np.einsum("jab,vjb->vja", bones.rotations, from_joints) + bones.positions
    skinned = np.einsum("vj,vja->va", open_body.weights, moved)
    plain = replace(open_body, posedirs=None)
    expected = to_world(plain.vertices(human.global_orient, human.body_pose, human.betas, human.transl))
    np.testing.assert_allclose(skinned, expected, atol=1e-9)
    np.testing.assert_allclose(bones.positions, to_world(human.joints), atol=1e-9)


def test_four_weights_are_nearly_the_whole_skin(human, open_body):
    weights = four_weights(open_body.weights)
    np.testing.assert_allclose(weights.sum(1), 1)
    assert (np.count_nonzero(weights, axis=1) <= 4).all()
    arguments = human.global_orient, human.body_pose, human.betas, human.transl
    found, exact = replace(open_body, weights=weights).vertices(*arguments), open_body.vertices(*arguments)
    assert np.linalg.norm(found - exact, axis=1).max() < 0.01


def test_a_level_camera_has_up_above_it_and_forward_before_it():
    assert np.linalg.det(LEVEL) == pytest.approx(1)
    np.testing.assert_array_equal(LEVEL @ [0, -1, 0], [0, 0, 1])
    np.testing.assert_array_equal(LEVEL @ [0, 0, 1], [1, 0, 0])


def test_the_axes_of_one_sigma_make_up_the_covariance(human, to_world):
    covariance = np.diag([0.04, 0.01, 0.0025])
    packed = np.tile(covariance[np.triu_indices(3)], (24, 1))
    lines = sigma_axes(replace(human, joint_covariance=packed), to_world).reshape(24, 3, 2, 3)
    half = (lines[:, :, 1] - lines[:, :, 0]) / 2
    found = np.einsum("jka,jkb->jab", half, half)
    expected = to_world.rotation @ covariance @ to_world.rotation.T
    np.testing.assert_allclose(found, np.tile(expected, (24, 1, 1)), atol=1e-9)
    np.testing.assert_allclose(lines.mean((1, 2)), to_world(human.joints), atol=1e-9)


def test_rings_lie_around_the_soles_that_stand(human, open_body, to_world):
    bones, soles = bones_of(human, open_body, to_world), Soles(open_body)
    points = soles.placed(bones.rotations, bones.positions, human.betas)
    assert len(contact_rings(human, bones, soles, human.betas)) == 0  # nobody knows
    contacts = np.array([0.9, 0.1, 0.2, 0.8])
    world = WorldState(np.eye(3), np.zeros(3), np.zeros(3), np.zeros(3), contacts, GravitySource.LEVEL, 0.1)
    rings = contact_rings(replace(human, world=world), bones, soles, human.betas).reshape(2, -1, 2, 3)
    for ring, point in zip(rings, points[[0, 3]], strict=True):
        np.testing.assert_allclose(np.linalg.norm((ring - point)[..., :2], axis=-1), 0.06, atol=1e-9)
        np.testing.assert_allclose(ring[:, 1], np.roll(ring[:, 0], -1, axis=0))
        assert (ring - point)[..., 2].min() > 0 and (ring - point)[..., 2].max() < 0.02


def standing(human, body, height_m):
    """In the T-pose before a level camera so high over the floor."""
    orient, pose = np.array([np.pi, 0.0, 0.0]), np.zeros(69)
    transl = np.array([0.0, 0.0, 3.0])
    lowest = body.vertices(orient, pose, human.betas, transl)[:, 1].max()  # y points down
    transl[1] = height_m - lowest
    joints = body.joints(orient, pose, human.betas, transl)
    return replace(human, global_orient=orient, body_pose=pose, transl=transl, joints=joints)


def test_the_floor_is_under_the_soles_of_those_who_stand_and_not_of_those_who_jump(human, open_body):
    floor = Floor(open_body)
    for frame in range(100):
        floor.observe([standing(human, open_body, 0.9 if frame % 4 == 0 else 1.4)], LEVEL)
    assert floor.camera_height_m == pytest.approx(1.4, abs=0.01)


def test_without_anybody_the_camera_stands_over_the_floor(open_body, human):
    floor = Floor(open_body)
    floor.observe([replace(human, joints=np.full((24, 3), np.nan))], LEVEL)
    assert 0.5 < floor.camera_height_m < 2
