"""Velocity, covariance and the people out of sight."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.axes import between_hips, moved
from hmr_ros.geometry.camera import guess_camera, project
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.perception.pelvis import PelvisMemory, position_noise
from hmr_ros.types import ScaleSource, TrackingState

CAMERA = guess_camera(640, 480)
FRAME_NS = 33_333_333
SPEED = np.array([0.6, 0.0, -0.4])  # m/s


@pytest.fixture
def person(human):
    keypoints = human.keypoints_2d.copy()
    keypoints[:, 2] = 0.9
    return replace(human, keypoints_2d=keypoints, scale=ScaleSource.INTRINSICS)


def at(human, seconds, speed=SPEED):
    joints = human.joints + seconds * speed
    return replace(human, joints=joints, transl=human.transl + seconds * speed, joints_2d=project(joints, CAMERA.K))


def walk(memory, human, frames, start=0):
    for i in range(start, start + frames):
        answer = memory((i + 1) * FRAME_NS, [at(human, i * FRAME_NS * 1e-9)], CAMERA)
    return answer


def test_a_steady_walk_has_its_velocity(person):
    (walker,) = walk(PelvisMemory(), person, 40)
    np.testing.assert_allclose(walker.pelvis.velocity[:3], SPEED, atol=0.03)
    np.testing.assert_allclose(walker.pelvis.velocity[3:], 0, atol=1e-6)
    np.testing.assert_allclose(walker.pelvis.position, between_hips(walker), atol=1e-12)
    sigma = np.sqrt(np.diag(walker.pelvis.velocity_covariance)[:3])
    assert (np.abs(walker.pelvis.velocity[:3] - SPEED) < 3 * sigma).all() and sigma.max() < 1


def test_a_steady_turn_has_its_rate(person):
    memory, rate = PelvisMemory(), np.array([0.0, 1.2, 0.0])
    for i in range(40):
        pelvis = Rigid(translation=between_hips(person))
        spin = pelvis @ Rigid(matrix_from_axis_angle(rate * i * FRAME_NS * 1e-9)) @ pelvis.inverse
        (answer,) = memory((i + 1) * FRAME_NS, [moved(person, spin)], CAMERA)
    np.testing.assert_allclose(answer.pelvis.velocity[3:], rate, atol=0.05)


@pytest.mark.parametrize("matrix", ["pose_covariance", "velocity_covariance"])
def test_covariances_are_symmetric_and_positive(person, matrix):
    (walker,) = walk(PelvisMemory(), person, 5)
    P = getattr(walker.pelvis, matrix)
    np.testing.assert_allclose(P, P.T)
    assert np.linalg.eigvalsh(P).min() > 0


def test_the_distance_is_the_least_certain_and_the_source_of_scale_says_how(person):
    sigmas = []
    for scale in (ScaleSource.DEPTH, ScaleSource.INTRINSICS, ScaleSource.GUESS):
        (one,) = walk(PelvisMemory(), replace(person, scale=scale), 1)
        values, vectors = np.linalg.eigh(one.pelvis.pose_covariance[:3, :3])
        ray = one.pelvis.position / np.linalg.norm(one.pelvis.position)
        assert abs(vectors[:, -1] @ ray) > 0.99
        sigmas.append(np.sqrt(values[-1]) / np.linalg.norm(one.pelvis.position))
    assert sigmas == sorted(sigmas) and sigmas[0] < 0.05 and sigmas[-1] > 0.25


def test_without_hips_the_distance_is_hardly_known(person):
    keypoints = person.keypoints_2d.copy()
    keypoints[23:, 2] = 0.1
    (head,) = walk(PelvisMemory(), replace(person, keypoints_2d=keypoints), 1)
    ray = head.pelvis.position
    sigma = np.sqrt(ray @ head.pelvis.pose_covariance[:3, :3] @ ray) / (ray @ ray)
    assert sigma > 0.4


def test_out_of_sight_a_person_walks_on_for_half_a_second(person):
    memory = PelvisMemory(0.5)
    walk(memory, person, 40)
    uncertain = 0.0
    for i in range(40, 70):
        people = memory((i + 1) * FRAME_NS, [], CAMERA)
        passed_s = (i - 39) * FRAME_NS * 1e-9
        if passed_s > 0.51:
            assert not people
            continue
        if passed_s > 0.49:
            continue
        (ghost,) = people
        truth = at(person, i * FRAME_NS * 1e-9)
        assert ghost.state == TrackingState.SEARCHING and ghost.track_id == person.track_id
        assert ghost.stamp_ns == (i + 1) * FRAME_NS
        np.testing.assert_allclose(ghost.joints, truth.joints, atol=0.05)
        np.testing.assert_allclose(ghost.joints_2d, truth.joints_2d, atol=10)
        np.testing.assert_allclose(ghost.joints[0] - ghost.transl, person.joints[0] - person.transl, atol=1e-9)
        assert (ghost.keypoints_2d[:, 2] == 0).all() and (ghost.joint_sigma > person.joint_sigma).all()
        grown = np.trace(ghost.pelvis.pose_covariance[:3, :3])
        assert grown > uncertain
        uncertain = grown
        np.testing.assert_allclose(ghost.pelvis.position, between_hips(ghost), atol=1e-9)
    assert uncertain > 0  # somebody was searched for


def test_who_comes_back_is_seen_again(person):
    memory = PelvisMemory()
    walk(memory, person, 20)
    assert memory(21 * FRAME_NS, [], CAMERA)[0].state == TrackingState.SEARCHING
    (back,) = walk(memory, person, 1, start=21)
    assert back.state == person.state
    np.testing.assert_allclose(back.pelvis.velocity[:3], SPEED, atol=0.1)


def test_nobody_is_searched_where_somebody_else_stands(person):
    memory = PelvisMemory()
    walk(memory, person, 20)
    other = replace(at(person, 20 * FRAME_NS * 1e-9), track_id=99)
    assert [h.track_id for h in memory(21 * FRAME_NS, [other], CAMERA)] == [99]


def test_who_was_seen_once_is_not_missed(person):
    memory = PelvisMemory()
    walk(memory, person, 2)
    assert not memory(3 * FRAME_NS, [], CAMERA)


@pytest.mark.parametrize("stamp", [FRAME_NS, 10**12])
def test_a_jump_in_the_stamps_is_another_scene(person, stamp):
    memory = PelvisMemory()
    walk(memory, person, 20)
    assert not memory(stamp, [], CAMERA)


def test_in_another_frame_the_motion_is_the_same(person):
    view = Rigid(matrix_from_axis_angle(np.array([1.2, -1.2, 1.0])), np.array([4.0, 1.0, 0.5]))
    here, there = PelvisMemory(), PelvisMemory()
    for i in range(30):
        human = at(person, i * FRAME_NS * 1e-9)
        (a,) = here((i + 1) * FRAME_NS, [human], CAMERA)
        (b,) = there((i + 1) * FRAME_NS, [moved(human, view)], CAMERA, view)
    R = view.rotation
    np.testing.assert_allclose(b.pelvis.position, view(a.pelvis.position), atol=1e-9)
    np.testing.assert_allclose(b.pelvis.velocity[:3], R @ a.pelvis.velocity[:3], atol=1e-6)
    P = a.pelvis.pose_covariance[:3, :3]
    np.testing.assert_allclose(b.pelvis.pose_covariance[:3, :3], R @ P @ R.T, atol=1e-9)
    (ghost,), (twin,) = (m(31 * FRAME_NS, [], CAMERA, *v) for m, v in ((here, ()), (there, (view,))))
    np.testing.assert_allclose(twin.joints_2d, ghost.joints_2d, atol=1e-6)
    np.testing.assert_allclose(twin.joints, view(ghost.joints), atol=1e-6)


def test_two_cameras_at_right_angles_know_the_place_better_than_one(person):
    """Each is sure across its own line of sight."""
    here = Rigid()
    beside = Rigid(np.eye(3), between_hips(person) + np.array([3.0, 0.0, 0.0]))
    one, both = (position_noise(person, views) for views in ((here,), (here, beside)))
    assert np.linalg.eigvalsh(one - both).min() > -1e-12
    assert np.sqrt(np.linalg.eigvalsh(both).max()) < 0.3 * np.sqrt(np.linalg.eigvalsh(one).max())
    np.testing.assert_allclose(position_noise(person, (here, here)), one / 2, rtol=1e-6)
