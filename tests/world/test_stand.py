"""Feet that stand stay, and nothing else is held."""

from dataclasses import replace

import numpy as np
import pytest
from tilted_camera import CAMERA, PITCH, ROLL

from hmr_ros.body.model import forward_kinematics, pose_matrices
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.types import Hypotheses
from hmr_ros.world.contact import true_contacts
from hmr_ros.world.feet import Soles
from hmr_ros.world.floor import scaled_betas
from hmr_ros.world.gravity import rotation_of_tilt
from hmr_ros.world.stand import pelvis_way, runs, settled
from hmr_ros.world.walk import changed, human_at, walk_of

R = rotation_of_tilt(PITCH, ROLL)


def walk_in_world(humans, soles):
    return walk_of(humans, np.broadcast_to(R, (len(humans), 3, 3)), soles)


def noisy(walk, soles):
    """The pelvis as one camera recovers it: good across the line of sight, poor along it."""
    rng = np.random.default_rng(0)
    ray = walk.pelvis / np.linalg.norm(walk.pelvis, axis=1, keepdims=True)
    wander = np.cumsum(rng.normal(0, 0.01, len(walk)))[:, None] * ray
    return changed(walk, soles, pelvis=walk.pelvis + wander + rng.normal(0, 0.002, (len(walk), 3)))


def slides(walk, contacts):
    out = []
    for k in range(4):
        for rows in runs(contacts[:, k] > 0.5):
            if rows.stop - rows.start > 5:
                out.append(np.linalg.norm(walk.points[rows, k] - walk.points[rows, k].mean(0), axis=1).max())
    return np.array(out)


def test_standing_feet_do_not_slide(standing, open_body):
    soles = Soles(open_body)
    truth = walk_in_world(standing, soles)
    contacts = true_contacts(truth.points, 30.0).astype(float)
    seen = noisy(truth, soles)
    held = settled(seen, contacts, soles)
    assert np.median(slides(seen, contacts)) > 0.02
    assert np.median(slides(held, contacts)) < 0.005
    before, after = (np.linalg.norm(np.diff(w.pelvis - truth.pelvis, axis=0), axis=1).mean() for w in (seen, held))
    assert after < before  # and the pelvis goes as it went


def test_without_contact_nothing_is_moved(walking, open_body):
    """No floor is forced on anybody: a jump, a chair, a swim."""
    soles = Soles(open_body)
    walk = walk_in_world(walking, soles)
    held = settled(walk, np.zeros((len(walk), 4)), soles)
    np.testing.assert_allclose(held.pelvis, walk.pelvis, atol=1e-9)
    np.testing.assert_allclose(held.rotations, walk.rotations, atol=1e-12)


def test_a_foot_in_the_air_is_left_alone(walking, open_body):
    """Only the left heel stands, in some frames; the right leg is not turned."""
    soles = Soles(open_body)
    walk = noisy(walk_in_world(walking, soles), soles)
    contacts = np.zeros((len(walk), 4))
    contacts[20:30, 0] = 1.0
    held = settled(walk, contacts, soles)
    right = [2, 5, 8, 11]
    np.testing.assert_allclose(held.rotations[:, right], walk.rotations[:, right], atol=1e-12)
    away = np.r_[:10, 45 : len(walk)]  # and long before and after, no leg is
    np.testing.assert_allclose(held.rotations[away], walk.rotations[away], atol=1e-12)


def test_a_foothold_on_a_step_stays_at_its_height(walking, open_body):
    soles = Soles(open_body)
    walk = walk_in_world(walking, soles)
    contacts = true_contacts(walk.points, 30.0).astype(float)
    higher = walk.pelvis + np.array([0, 0, 0.4])
    raised = changed(walk, soles, pelvis=higher)
    held = settled(raised, contacts, soles)
    assert np.abs(held.points[..., 2] - walk.points[..., 2] - 0.4).max() < 0.05


def test_the_way_is_the_least_squares_answer(standing, open_body):
    """Against the same normal equations solved densely for one axis, where all weights are isotropic."""
    soles = Soles(open_body)
    walk = noisy(walk_in_world(standing, soles), soles)
    contacts = np.ones((len(walk), 4))
    way = pelvis_way(walk, contacts)
    steps = np.diff(way + (walk.points - walk.pelvis[:, None])[:, 0], axis=0)
    assert np.abs(steps).max() < 0.006
    np.testing.assert_allclose(way.mean(0), walk.pelvis.mean(0), atol=0.01)  # it stays where it was seen


def test_people_go_there_and_back(walking, open_body):
    soles = Soles(open_body)
    walk = walk_in_world(walking, soles)
    for row in (0, 33):
        back = human_at(walking[row], walk, row, R, open_body, CAMERA)
        np.testing.assert_allclose(back.joints, walking[row].joints, atol=1e-9)
        np.testing.assert_allclose(back.joints_2d, walking[row].joints_2d, atol=1e-6)
        again = open_body.joints(back.global_orient, back.body_pose, back.betas, back.transl)
        np.testing.assert_allclose(again, back.joints, atol=1e-6)


def test_what_is_said_of_the_joints_grows_with_the_body(walking, open_body):
    soles = Soles(open_body)
    rotations = np.tile(pose_matrices(walking[5].global_orient, walking[5].body_pose), (3, 1, 1, 1))
    rotations[1:, 18] = matrix_from_axis_angle(np.array([[0, 0.7, 0], [0, 0, -0.7]]))  # an elbow that nobody sees
    told = replace(walking[5], hypotheses=hypotheses_at(open_body, rotations, walking[5].betas, walking[5].joints[0]))
    walk = walk_in_world([told], soles)
    same = human_at(told, walk, 0, R, open_body, CAMERA)
    np.testing.assert_allclose(same.hypotheses.joints, told.hypotheses.joints, atol=1e-6)
    np.testing.assert_array_equal(same.joint_covariance, told.joint_covariance)
    betas = scaled_betas(open_body, walk.betas[0], 1.1)
    larger = changed(walk, soles, betas=betas[None], pelvis=1.1 * walk.pelvis)
    found = human_at(told, larger, 0, R, open_body, CAMERA)
    expected = hypotheses_at(open_body, rotations, betas, found.joints[0])
    np.testing.assert_allclose(found.hypotheses.joints, expected.joints, atol=1e-9)
    np.testing.assert_allclose(found.hypotheses.joints[0], found.joints, atol=1e-6)  # the answer's own pose
    np.testing.assert_allclose(found.joint_covariance, 1.1**2 * told.joint_covariance, rtol=0.05)  # bones, not joints


def hypotheses_at(body, rotations, betas, pelvis):
    rest = np.broadcast_to(body.rest_joints(betas), (len(rotations), 24, 3))
    joints = forward_kinematics(rotations, rest)[1]
    return Hypotheses(joints - joints[:, :1] + pelvis, rotations, np.full(len(rotations), 1 / len(rotations)))


@pytest.mark.parametrize("count", [1, 2])
def test_short_walks(walking, open_body, count):
    soles = Soles(open_body)
    walk = walk_in_world(walking[:count], soles)
    assert np.isfinite(settled(replace(walk), np.ones((count, 4)), soles).pelvis).all()
