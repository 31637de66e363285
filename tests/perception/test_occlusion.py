"""People before others are painted out, and only they."""

import numpy as np
import pytest

from hmr_ros.body.joints import BLAZEPOSE
from hmr_ros.perception.occlusion import doubted, hidden, painted_out, px_per_metre, shown_share
from hmr_ros.types import Keypoints, Roi


def standing(x, scale=100.0):
    """Somebody upright, `scale` px a metre, hips at (x, 240)."""
    body = np.zeros((33, 3))
    body[:11] = [0.0, -0.7, 0.0]
    heights = {"shoulder": -0.5, "elbow": -0.25, "wrist": 0.0, "hip": 0.0, "knee": 0.4, "ankle": 0.8}
    for side, sign in (("left", 1), ("right", -1)):
        for name, y in heights.items():
            body[BLAZEPOSE[f"{side}_{name}"]] = [sign * (0.25 if name in ("elbow", "wrist") else 0.15), y, 0.0]
        for name, near in (
            ("pinky", "wrist"),
            ("index", "wrist"),
            ("thumb", "wrist"),
            ("heel", "ankle"),
            ("foot_index", "ankle"),
        ):
            body[BLAZEPOSE[f"{side}_{name}"]] = body[BLAZEPOSE[f"{side}_{near}"]]
    points = np.c_[body[:, :2] * scale + [x, 240.0], np.ones(33)]
    return Keypoints(points, body, 1.0, Roi(np.array([x, 240.0]), 2.5 * scale, 0.0))


@pytest.mark.parametrize("scale", [30.0, 120.0])
def test_the_nearer_is_larger_in_any_place(scale):
    assert px_per_metre(standing(300.0, scale)) == pytest.approx(scale)


def test_a_body_is_painted_out_and_what_is_beside_stays():
    image = np.full((480, 640, 3), 200, np.uint8)
    image[192:318, 285:315] = 0  # the trunk and the legs of somebody
    body = standing(300.0)
    out = painted_out(image, [body], body.next_roi)
    assert out[200, 300].min() > 150 and (out[:, 400:] == image[:, 400:]).all()
    assert image[200, 300].max() == 0  # the frame itself is left alone


@pytest.mark.parametrize(("scale", "inside"), [(1000.0, 9.0), (4000.0, 9.0), (4000.0, 200.0)])
def test_a_large_body_at_the_edge_is_painted_out(scale, inside):
    """Its crop hardly touches the image."""
    image = np.full((1200, 1600, 3), 200, np.uint8)
    body = standing(1600.0, scale)
    reach = 0.5 * body.next_roi.size_px
    out = painted_out(image, [body], Roi(np.array([1600.0 + reach - inside, 240.0]), 2 * reach, 0.0))
    assert out.shape == image.shape


def test_nobody_is_painted_out_where_nobody_is_nor_where_the_own_body_should_be():
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    body = standing(300.0)
    assert painted_out(image, [], body.next_roi) is image
    assert painted_out(image, [standing(600.0, 40.0)], standing(100.0, 40.0).next_roi) is image
    assert painted_out(image, [], body.next_roi, [body], body) is image
    assert (painted_out(image, [], body.next_roi, [body], standing(500.0, 40.0)) != image).any()


def test_joints_behind_a_body_are_doubted():
    front, back = standing(300.0), standing(315.0, 80.0)
    covered = hidden(back, [front])
    assert covered[BLAZEPOSE["left_hip"]] and 0.2 < shown_share(covered) < 0.8
    said = doubted(back, covered).keypoints_2d
    assert (said[covered, 2] < 0.5).all() and (said[~covered, 2] == 1.0).all()
    assert (said[:, :2] == back.keypoints_2d[:, :2]).all()
    away = hidden(standing(500.0), [front])
    assert not away.any() and shown_share(away) == 1.0
