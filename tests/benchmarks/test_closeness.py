"""What benchmarks/closeness.py counts."""

import numpy as np
import pytest
from closeness import SEGMENTS, Seen, depth_signs, projected, together

from hmr_ros.body.joints import LIMB_JOINTS
from hmr_ros.geometry.camera import project
from hmr_ros.types import Camera


def limbs(**leaning):
    """A body in the image plane but for segments that lean by so many metres of depth."""
    points = np.zeros((12, 3))
    points[:, 1] = np.arange(12) * 0.3
    points[:, 0] = np.arange(12) % 2
    for name, depth in leaning.items():
        points[SEGMENTS[name][1], 2] += depth
    return points


def test_only_segments_that_leave_the_plane_count():
    assert len(depth_signs(limbs(), limbs())) == 0
    true = limbs(left_forearm=0.4, right_shin=-0.4, left_shin=0.05)
    assert depth_signs(true, true).tolist() == [True, True]
    assert sorted(depth_signs(limbs(left_forearm=0.1, right_shin=0.1), true)) == [False, True]


def test_unknown_joints_leave_their_segments_out():
    true = limbs(left_forearm=0.4, right_shin=-0.4)
    known = np.array(["ankle" not in name for name in LIMB_JOINTS])
    assert depth_signs(true, true, known).tolist() == [True]


def test_projection_bends_as_the_lens_does():
    K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
    points = np.random.default_rng(0).uniform(-1, 1, (20, 3)) + np.array([0, 0, 4])
    np.testing.assert_allclose(projected(points, Camera(K, 640, 480)), project(points, K), atol=1e-9)
    bent = projected(points, Camera(K, 640, 480, np.array([-0.3, 0.1, 0, 0, 0])))
    middle = np.array([320.0, 240.0])
    assert (np.linalg.norm(bent - middle, axis=1) < np.linalg.norm(project(points, K) - middle, axis=1)).all()


def test_clips_are_joined_frame_by_frame():
    one = Seen(3, np.ones(2), np.zeros(2), np.array([10.0, 20.0]), np.array([True]))
    both = together([one, Seen(1, np.ones(1), np.zeros(1), np.array([60.0]), np.array([False, False]))])
    assert both.frames == 4 and both.error_mm.mean() == pytest.approx(30) and both.signs.mean() == pytest.approx(1 / 3)
