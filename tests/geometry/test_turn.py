"""Turning an image and its camera changes nothing of what is seen."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.model import forward_kinematics
from hmr_ros.errors import ConfigError, InputError
from hmr_ros.geometry.camera import distort_points, guess_camera, project
from hmr_ros.geometry.covariance import packed, unpacked
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.geometry.turn import Turn
from hmr_ros.types import Camera, Frame, Hypotheses

RNG = np.random.default_rng(0)
K = np.array([[600.0, 0, 310], [0, 590, 250], [0, 0, 1]])
LENSES = {
    "none": (None, False), "plumb_bob": ([-0.2, 0.05, 0.01, -0.02, 0.01], False),
    "thin prism": ([-0.2, 0.05, 0.01, -0.02, 0.01, 0.1, 0.02, 0.01, 0.03, 0.01, -0.02, 0.02], False),
    "fisheye": ([0.02, -0.01, 0.001, 0.0], True),
}  # fmt: skip
TURNS = [0, 90, 180, 270]


def camera(lens):
    D, fisheye = LENSES[lens]
    return Camera(K, 640, 480, None if D is None else np.array(D), fisheye)


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("degrees", TURNS)
def test_a_turned_camera_sees_turned_points_at_turned_pixels(lens, degrees):
    turn, seen = Turn(degrees), camera(lens)
    points = RNG.uniform([-1, -0.8, 2], [1, 0.8, 5], (50, 3))
    px = distort_points(project(points, K), seen)
    turned = turn.camera(seen)
    np.testing.assert_allclose(
        distort_points(project(points @ turn.matrix.T, turned.K), turned), turn.pixels(px, 640, 480), atol=1e-9
    )
    assert (turned.width, turned.height) == ((640, 480) if degrees % 180 == 0 else (480, 640))


@pytest.mark.parametrize("degrees", TURNS)
def test_pixels_carry_their_colour_and_depth(degrees):
    turn = Turn(degrees)
    image, depth = RNG.integers(0, 255, (48, 64, 3), np.uint8), RNG.uniform(1, 5, (48, 64)).astype(np.float32)
    boxes = np.array([[3.0, 5, 20, 40, 0.7], [0, 0, 63, 47, 0.2]])
    frame = Frame(0, 0, image, guess_camera(64, 48), depth=depth, boxes=boxes)
    turned = turn.frame(frame)
    xy = RNG.integers([0, 0], [64, 48], (30, 2))
    x, y = turn.pixels(xy.astype(float), 64, 48).astype(int).T
    np.testing.assert_array_equal(turned.image[y, x], image[xy[:, 1], xy[:, 0]])
    np.testing.assert_array_equal(turned.depth[y, x], depth[xy[:, 1], xy[:, 0]])
    assert turned.camera.guessed and turned.image.flags["C_CONTIGUOUS"]
    np.testing.assert_allclose(turn.back.frame(turned).boxes, boxes)
    (x0, y0, x1, y1), again = turned.boxes[1, :4], np.array(turned.image.shape[1::-1]) - 1
    assert (x0, y0) == (0, 0) and (x1, y1) == tuple(again) and turned.boxes[1, 4] == 0.2


@pytest.mark.parametrize("lens", LENSES)
@pytest.mark.parametrize("degrees", TURNS)
def test_a_turn_back_is_none(lens, degrees, human):
    turn, seen = Turn(degrees), camera(lens)
    turned = turn.camera(seen)
    again = turn.back.camera(turned)
    np.testing.assert_allclose(again.K, K, atol=1e-9)
    assert (again.width, again.height) == (640, 480)
    if seen.distortion is not None:
        np.testing.assert_allclose(again.distortion, seen.distortion, atol=1e-12)
    back = turn.back.human(turn.human(human, seen), turned)
    for name in ("transl", "joints", "joints_2d", "keypoints_2d", "boxes_xyxy"):
        np.testing.assert_allclose(getattr(back, name), getattr(human, name), atol=1e-9)


@pytest.mark.parametrize("degrees", TURNS)
def test_a_turned_person_has_the_parameters_of_turned_joints(degrees, human, open_body):
    seen = Camera(human.K, 640, 480)
    turned = Turn(degrees).human(human, seen)
    posed = open_body.joints(turned.global_orient, turned.body_pose, turned.betas, turned.transl)
    np.testing.assert_allclose(posed, turned.joints, atol=1e-9)
    np.testing.assert_allclose(project(turned.joints, turned.K), turned.joints_2d, atol=1e-6)
    assert (turned.boxes_xyxy[:2] <= turned.boxes_xyxy[2:]).all()
    np.testing.assert_array_equal(turned.body_pose, human.body_pose)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_uncertainty_turns_with_the_person(degrees, human, open_body):
    """Hypotheses and covariance belong to the turned joints: scattered joints turn into those scattered alike."""
    seen = guess_camera(640, 480)
    rng = np.random.default_rng(0)
    A = rng.normal(0, 0.05, (24, 3, 3))
    rotations = matrix_from_axis_angle(rng.normal(0, 0.3, (3, 24, 3)))
    rest = np.tile(open_body.rest_joints(human.betas), (3, 1, 1))
    joints = forward_kinematics(rotations, rest)[1] + human.transl
    sure = replace(
        human, joint_covariance=packed(A @ np.swapaxes(A, 1, 2)),
        hypotheses=Hypotheses(joints, rotations, np.ones(3) / 3),
    )  # fmt: skip
    turn = Turn(degrees)
    turned = turn.human(sure, seen)
    B = turn.matrix @ A
    np.testing.assert_allclose(unpacked(turned.joint_covariance), B @ np.swapaxes(B, 1, 2), atol=1e-12)
    posed = forward_kinematics(turned.hypotheses.rotations, rest)[1]
    relative = turned.hypotheses.joints - turned.hypotheses.joints[:, :1]
    np.testing.assert_allclose(posed - posed[:, :1], relative, atol=1e-9)
    back = turn.back.human(turned, turn.camera(seen))
    np.testing.assert_allclose(back.hypotheses.joints, joints, atol=1e-9)


def test_what_cannot_be_turned_is_refused():
    with pytest.raises(ConfigError, match=r"input.rotate is 45; give 0, 90, 180 or 270"):
        Turn(45)
    tilted = Camera(K, 640, 480, np.array([0.0] * 12 + [0.1, 0.0]))
    with pytest.raises(InputError, match="tilted sensor"):
        Turn(90).camera(tilted)
