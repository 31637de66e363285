"""Rendered depth is that of the body and the floor, and its noise is that of a depth camera."""

import cv2
import numpy as np
import pytest

from hmr_ros.cli import main
from hmr_ros.errors import InputError
from hmr_ros.geometry.camera import guess_camera, project, unproject
from hmr_ros.io.depth import open_depth
from hmr_ros.io.results import load_humans, save_arrays
from hmr_ros.synth.depth import DepthFolder, depth_sigma, floor_height, measured_depth, millimetres, true_depth
from hmr_ros.synth.motion import demo_motion
from hmr_ros.synth.render import placed_in
from hmr_ros.synth.scene import look_at

CAMERA = guess_camera(320, 240)
VIEW = look_at(CAMERA, np.array([0.2, 1.3, 3.2]), np.array([0.2, 0.8, 0.0]))


@pytest.fixture(scope="module")
def scene(open_body):
    """Truth of one frame, its depth and the floor's height."""
    motion = demo_motion(5.0)
    truth = placed_in(VIEW, open_body, motion.poses[3], motion.trans[3], motion.betas)
    floor_y = floor_height(motion, open_body)
    return truth, true_depth([truth.vertices], open_body, VIEW, floor_y), floor_y


def in_world(depth):
    rows, columns = np.nonzero(np.isfinite(depth))
    points = unproject(np.stack([columns, rows], 1).astype(float), CAMERA.K) * depth[rows, columns, None]
    return (points - VIEW.t_camera_world) @ VIEW.R_camera_world


def test_every_point_lies_on_the_body_or_the_floor(scene):
    truth, depth, floor_y = scene
    points = in_world(depth)
    body = (truth.vertices - VIEW.t_camera_world) @ VIEW.R_camera_world
    above = points[points[:, 1] > floor_y + 1e-6]
    assert 3000 < len(above) < 30000 and len(points) > len(above) + 3000
    for point in above[::200]:
        assert np.linalg.norm(body - point, axis=1).min() < 0.03  # vertices are as dense as that
    np.testing.assert_allclose(points[points[:, 1] <= floor_y + 1e-6][:, 1], floor_y, atol=1e-6)


def test_the_front_of_the_body_is_seen(scene):
    """A vertex that nothing hides has its own depth at its pixel; none is nearer than what is seen there."""
    truth, depth, _ = scene
    px = np.round(project(truth.vertices, CAMERA.K)).astype(int)
    nearest = cv2.erode(np.nan_to_num(depth, nan=1e3), np.ones((3, 3), np.uint8))  # of the pixel and its neighbours
    assert (truth.vertices[:, 2] - nearest[px[:, 1], px[:, 0]]).min() > -0.01
    assert 0.2 < (np.abs(truth.vertices[:, 2] - depth[px[:, 1], px[:, 0]]) < 0.01).mean() < 0.6


def test_the_floor_is_where_the_lowest_foot_of_the_motion_is(open_body):
    motion = demo_motion(5.0)
    lowest = min(
        open_body.vertices(p[:3], p[3:], motion.betas, t)[:, 1].min()
        for p, t in zip(motion.poses, motion.trans, strict=True)
    )
    assert 0 <= floor_height(motion, open_body) - lowest < 0.02


def test_the_sky_above_the_horizon_is_unknown(scene):
    assert np.isnan(scene[1][:20]).all()


@pytest.mark.parametrize("z", [0.5, 1.0, 2.0, 4.0, 8.0])
def test_noise_has_the_cameras_standard_deviation(z):
    measured = measured_depth(np.full((240, 320), z), CAMERA.K, np.random.default_rng(0))
    expected = 1.2e-3 + 1.9e-3 * (z - 0.4) ** 2
    assert np.isfinite(measured).all()  # seen from straight ahead, without an edge
    assert measured.std() == pytest.approx(expected, rel=0.03) == depth_sigma(np.array(z))
    assert abs(measured.mean() - z) < 0.05 * expected
    error = measured - z
    assert (error[:, 1:] * error[:, :-1]).mean() > 0.5 * expected**2  # neighbours err alike


def plane(angle_deg):
    """Depth [240,320] of a plane 2 m ahead whose normal is turned by this angle."""
    x = (np.arange(320) - CAMERA.K[0, 2]) / CAMERA.K[0, 0]
    return np.tile(2 / (1 - np.tan(np.radians(angle_deg)) * x), (240, 1))


def test_holes_grow_with_the_angle():
    """At the centre, where the ray and the axis agree."""
    holes = []
    for angle in (0, 60, 75, 80, 86):
        measured = measured_depth(plane(angle), CAMERA.K, np.random.default_rng(0))
        holes.append(np.isnan(measured[:, 158:162]).mean())
    assert holes[0] == holes[1] == 0 and 0.1 < holes[2] < holes[3] < holes[4] and holes[4] > 0.8


def test_holes_at_edges():
    depth = np.full((240, 320), 2.0)
    depth[:, 160:] = 3.0
    holes = np.isnan(measured_depth(depth, CAMERA.K, np.random.default_rng(0)))
    assert holes[:, 159:161].mean() > 0.6 and not holes[:, :155].any() and not holes[:, 165:].any()
    depth[:, 160:] = np.nan
    holes = np.isnan(measured_depth(depth, CAMERA.K, np.random.default_rng(0)))
    assert holes[:, 159].mean() > 0.6 and holes[:, 160:].all() and not holes[:, :155].any()


def test_nothing_is_measured_out_of_range():
    for z in (0.2, 11.0):
        assert np.isnan(measured_depth(np.full((48, 64), z), CAMERA.K, np.random.default_rng(0))).all()


def test_millimetres_of_the_unknown_and_the_far_are_zero():
    mm = millimetres(np.array([np.nan, 0.0004, 1.2344, 65.535, 65.6, np.inf]))
    assert mm.dtype == np.uint16 and mm.tolist() == [0, 0, 1234, 65535, 0, 0]


def test_rendered_depth_feeds_a_run(tmp_path, open_body):
    motion = demo_motion(10.0)
    save_arrays(tmp_path / "m.npz", poses=motion.poses[:3], trans=motion.trans[:3])
    argv = ["render", str(tmp_path / "m.npz"), "--size", "320x240", "--fps", "10", "--seed", "4"]
    for name in ("a", "b"):
        out = [str(tmp_path / f"{name}.mp4"), "--truth", str(tmp_path / f"{name}.npz"), "--depth", str(tmp_path / name)]
        assert main([*argv, "--vertices", "--out", *out]) == 0
    truth, noisy = (list(open_depth(tmp_path / "a" / name)) for name in ("true", "noisy"))
    assert len(truth) == len(noisy) == 3
    table = load_humans(tmp_path / "a.npz")
    chest = np.round(table.joints_2d[:, 9]).astype(int)
    for i, (x, y) in enumerate(chest):
        assert abs(truth[i][y, x] - table.joints[i, 9, 2]) < 0.2
        assert 0 < abs(noisy[i][y, x] - truth[i][y, x]) < 0.1
        again = cv2.imread(str(tmp_path / f"b/noisy/{i:06d}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(millimetres(noisy[i]), again)  # one seed, one noise
    assert not np.array_equal(noisy[0] - truth[0], noisy[1] - truth[1], equal_nan=True)
    run = ["run", str(tmp_path / "a.mp4"), "--out", str(tmp_path / "o"), "--recover", "kinematic", "--no-overlay"]
    assert main([*run, "--depth", str(tmp_path / "a/noisy")]) == 0


def test_folders_that_cannot_be_used_are_explained(tmp_path):
    DepthFolder(tmp_path / "d", VIEW, 0).write(np.ones((240, 320)))
    with pytest.raises(InputError, match="true is not empty; remove it or choose another folder for --depth"):
        DepthFolder(tmp_path / "d", VIEW, 0)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="choose another folder"):
        DepthFolder(tmp_path / "file", VIEW, 0)
