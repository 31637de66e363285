"""What the networks see does not depend on where in the image or how near the person is."""

import numpy as np

from hmr_ros.evidence.keypoints import aim, aimed_heat, aimed_plane, normalise, rays_of
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.geometry.rotations import matrix_from_axis_angle


def people(count=4, seed=0):
    rng = np.random.default_rng(seed)
    body = rng.normal(0, 0.4, (count, 33, 3)) + np.array([0, 0, 4.0])
    return body, rng.uniform(0.2, 1, (count, 33)), rng.normal(0, 0.4, (count, 33, 3))


def rays(xyz):
    return xyz[..., :2] / xyz[..., 2:]


def test_unit_size_and_centred_on_the_axis():
    body, confidence, world = people()
    seen = normalise(rays(body), confidence, world)
    weights = 0.1 + confidence
    spread = ((seen.points[..., :2] ** 2).sum(-1) * weights).sum(1) / weights.sum(1)
    np.testing.assert_allclose(spread, 1.0)
    np.testing.assert_allclose(seen.points[..., 2], confidence)
    np.testing.assert_allclose(seen.points[..., 3:], world)


def test_aim_points_the_axis_at_the_centre():
    center = np.array([[0.3, -0.2], [0.0, 0.0], [-1.0, 0.7]])
    R = aim(center)
    axis = R @ np.array([0.0, 0.0, 1.0])
    np.testing.assert_allclose(axis[:, :2] / axis[:, 2:], center, atol=1e-12)
    np.testing.assert_allclose(R @ np.swapaxes(R, 1, 2), np.tile(np.eye(3), (3, 1, 1)), atol=1e-12)


def test_aimed_rays_map_back_to_the_picture():
    body, confidence, world = people()
    seen = normalise(rays(body), confidence, world)
    plane = seen.points[..., :2] * seen.scale[:, None, None]
    back = np.concatenate([plane, np.ones_like(plane[..., :1])], -1) @ np.swapaxes(seen.R_camera_aimed, 1, 2)
    np.testing.assert_allclose(back[..., :2] / back[..., 2:], rays(body), atol=1e-9)


def test_nearly_the_same_after_the_camera_turns():
    body, confidence, world = people()
    turned = body @ matrix_from_axis_angle(np.array([0.0, 0.25, 0.0])).T
    a, b = (normalise(rays(x), confidence, world) for x in (body, turned))
    np.testing.assert_allclose(a.scale, b.scale, rtol=0.02)
    assert np.abs(a.points - b.points).max() < 0.12


def test_heat_is_seen_as_its_pixels_are():
    """Mean and covariance of a cloud of pixels, against those of the cloud after it is aimed and scaled."""
    rng = np.random.default_rng(0)
    camera = guess_camera(640, 480)
    body, confidence, world = people(2)
    seen = normalise(rays(body), confidence, world)
    means = body[..., :2] / body[..., 2:] @ camera.K[:2, :2].T + camera.K[:2, 2]
    cloud = means[:, :, None] + rng.normal(size=(2, 33, 500, 2)) @ np.array([[3.0, 1.0], [0.0, 2.0]])
    centred = cloud - cloud.mean(2, keepdims=True)
    xx, xy, yy = ((centred[..., a] * centred[..., b]).mean(2) for a, b in ((0, 0), (0, 1), (1, 1)))
    mass = rng.uniform(size=(2, 33))
    heat = np.stack([*np.moveaxis(cloud.mean(2), -1, 0), xx, xy, yy, mass], -1)
    found = aimed_heat(heat, camera, seen.R_camera_aimed, seen.scale)
    plane = aimed_plane(rays_of(cloud.reshape(2, -1, 2), camera), seen.R_camera_aimed).reshape(cloud.shape)
    plane = plane / seen.scale[:, None, None, None]
    np.testing.assert_allclose(found[..., :2], plane.mean(2), atol=2e-3)
    away = plane - plane.mean(2, keepdims=True)
    expected = [(away[..., a] * away[..., b]).mean(2) for a, b in ((0, 0), (0, 1), (1, 1))]
    np.testing.assert_allclose(found[..., 2:5], np.stack(expected, -1), rtol=0.05, atol=2e-5)
    np.testing.assert_array_equal(found[..., 5], mass)
