"""Random people stand whole before their cameras, and what is said of them is one person."""

import numpy as np
import pytest

from hmr_ros.geometry.camera import project
from hmr_ros.geometry.crops import crop_matrix, transform_points
from hmr_ros.synth.people import random_motion, random_person, view_rotation
from hmr_ros.synth.poses import PoseSampler, load_recorded


def sampled(motion_file, seed=0):
    rng = np.random.default_rng(seed)
    return PoseSampler(load_recorded(motion_file), rng), rng


@pytest.mark.parametrize("plain", [True, False])
def test_parameters_vertices_and_joints_are_one_person(open_body, motion_file, plain):
    sampler, rng = sampled(motion_file)
    for _ in range(5):
        p = random_person(open_body, sampler, rng, plain)
        np.testing.assert_allclose(open_body.joints(p.pose[:3], p.pose[3:], p.betas, p.transl), p.joints, atol=1e-9)
        np.testing.assert_allclose(open_body.vertices(p.pose[:3], p.pose[3:], p.betas, p.transl), p.vertices, atol=1e-9)
        assert p.vertices[:, 2].min() > 0.3


def test_the_roi_holds_the_person_upright(open_body, motion_file):
    sampler, rng = sampled(motion_file)
    for _ in range(20):
        person = random_person(open_body, sampler, rng, plain=True)
        inside = transform_points(crop_matrix(person.roi, 1), project(person.vertices, person.K))
        assert ((inside > 0) & (inside < 1)).all(-1).mean() > 0.95
        hip, shoulder = (project(person.joints[rows], person.K).mean(0) for rows in ([1, 2], [16, 17]))
        up = transform_points(crop_matrix(person.roi, 1), np.array([hip, shoulder]))
        trunk = up[1] - up[0]
        assert abs(np.degrees(np.arctan2(trunk[0], -trunk[1]))) < 25
        width, height = person.size
        assert 0 <= person.roi.center_px[0] <= width and 0 <= person.roi.center_px[1] <= height


def test_moving_people_share_camera_and_shape(open_body, motion_file):
    sampler, rng = sampled(motion_file)
    furthest = []
    for _ in range(6):
        people, seconds = random_motion(open_body, sampler, rng, True, 6)
        assert len(people) == 6 and seconds in (1 / 30, 2 / 30)
        assert all((p.K == people[0].K).all() and (p.betas == people[0].betas).all() for p in people)
        furthest.append(np.linalg.norm(np.diff([p.joints for p in people], axis=0), axis=-1).max())
    assert 0.01 < max(furthest) < 0.5


def test_plain_cameras_are_nearly_level():
    rng = np.random.default_rng(0)
    R = np.array([view_rotation(rng, plain=True) for _ in range(300)])
    np.testing.assert_allclose(R @ np.swapaxes(R, 1, 2), np.tile(np.eye(3), (300, 1, 1)), atol=1e-9)
    down = R @ np.array([0.0, -1.0, 0.0])  # of the world, in camera axes
    tilt = np.degrees(np.arccos(down[:, 1]))
    assert np.median(tilt) < 10 and tilt.max() < 40
    ahead = R[:, 2]
    assert np.histogram(np.arctan2(ahead[:, 0], ahead[:, 2]), 4, (-np.pi, np.pi))[0].min() > 40  # from every side
