"""The overlay draws whoever can be drawn, and never fails."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.loading import load_body
from hmr_ros.geometry.camera import project
from hmr_ros.view.overlay import draw_humans

BLANK = np.full((480, 640, 3), 90, np.uint8)


def moved(human, shift):
    joints = human.joints + shift
    return replace(human, transl=human.transl + shift, joints=joints, joints_2d=project(joints, human.K))


def drawn(humans, **options):
    with np.errstate(invalid="raise"):
        return (draw_humans(BLANK, humans, load_body(), **options) != 90).any(-1)


def test_a_person_partly_behind_the_camera_is_drawn(human):
    # lying on the back below the camera: the feet are behind it, the head is in front
    orient, transl = np.array([np.pi / 2, 0, 0]), np.array([0, 0.3, 0.5])
    joints = load_body().joints(orient, human.body_pose, human.betas, transl)
    lying = replace(
        human, global_orient=orient, transl=transl, joints=joints, joints_2d=project(joints, human.K),
        boxes_xyxy=np.full(4, np.nan),
    )  # fmt: skip
    hidden = int(np.isnan(lying.joints_2d).any(1).sum())
    assert 0 < hidden < 24 and drawn([lying]).sum() > 2000 and drawn([lying], mesh=False).any()


def test_a_person_behind_the_camera_is_not_drawn(human):
    assert not drawn([moved(human, [0, 0, -9])]).any()


def test_a_person_half_outside_fills_the_border(human):
    left = drawn([replace(moved(human, [-1.6, 0, 0]), boxes_xyxy=np.full(4, np.nan))])
    assert left[:, 0].any() and not left[:, 500:].any()


@pytest.mark.parametrize("name", ["joints", "global_orient", "body_pose", "betas", "transl", "K"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_people_that_are_not_finite_are_left_out(human, name, value):
    bad = replace(human, **{name: np.full_like(getattr(human, name), value)})
    np.testing.assert_array_equal(drawn([bad, human]), drawn([human]))


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e12])
def test_odd_boxes_do_not_stop_the_drawing(human, value):
    assert drawn([replace(human, boxes_xyxy=np.array([0.0, 0, 1, value]))]).sum() > 2000


def test_options_add_and_take_away(human):
    human = replace(human, keypoints_2d=np.tile([600.0, 40.0, 0.9], (33, 1)))
    plain = drawn([human], mesh=False, boxes=False)
    assert plain.sum() < drawn([human], mesh=False).sum() < drawn([human]).sum()
    assert not plain[40, 600] and drawn([human], landmarks=True)[40, 600]
    unseen = replace(human, keypoints_2d=np.tile([600.0, 40.0, 0.1], (33, 1)))
    assert not drawn([unseen], landmarks=True)[40, 600]


def test_the_nearer_person_covers_the_farther(human):
    far, near = replace(moved(human, [0, 0, 1.0]), track_id=1), replace(human, track_id=2)
    body = load_body()
    np.testing.assert_array_equal(draw_humans(BLANK, [far, near], body), draw_humans(BLANK, [near, far], body))
