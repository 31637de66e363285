"""Uncertainty in the image: ellipses to first order, hypotheses as faint skeletons."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.joints import SMPL_LIMBS
from hmr_ros.geometry.camera import project
from hmr_ros.geometry.covariance import packed
from hmr_ros.types import Hypotheses
from hmr_ros.view.overlay import draw_humans
from hmr_ros.view.skeleton import draw_ellipses, draw_hypotheses, image_covariances

BLANK = np.full((480, 640, 3), 90, np.uint8)


def test_pixels_scatter_as_the_covariance_says(human):
    rng = np.random.default_rng(0)
    A = rng.normal(0, 0.02, (24, 3, 3))
    C = A @ np.swapaxes(A, 1, 2)
    scattered = human.joints + np.einsum(
        "jab,njb->nja", np.linalg.cholesky(C + 1e-9 * np.eye(3)), rng.normal(size=(20000, 24, 3))
    )
    pixels = project(scattered.reshape(-1, 3), human.K).reshape(-1, 24, 2)
    for joint, expected in enumerate(image_covariances(human.joints, C, human.K)):
        np.testing.assert_allclose(np.cov(pixels[:, joint].T), expected, atol=0.05 * np.trace(expected))


def test_what_lies_behind_the_camera_has_no_pixels(human):
    joints = human.joints * [1, 1, -1]
    assert np.isnan(image_covariances(joints, np.tile(np.eye(3), (24, 1, 1)), human.K)).all()


@pytest.mark.parametrize("sigma", [0.03, 0.08])
def test_an_ellipse_is_centred_at_its_joint_and_holds_95_percent(human, sigma):
    joint = SMPL_LIMBS[0]
    covariance = np.tile(1e-12 * np.eye(3), (24, 1, 1))
    covariance[joint] = sigma**2 * np.eye(3)
    image = BLANK.copy()
    draw_ellipses(image, replace(human, joint_covariance=packed(covariance)))
    rows, columns = np.nonzero((image != 90).any(-1))
    off = np.stack([columns, rows], -1) - human.joints_2d[joint]
    away = np.linalg.norm(off, axis=-1)
    radius = 2.4477 * sigma * human.K[0, 0] / human.joints[joint, 2]
    ring = np.abs(away - radius) < 4
    assert ring.sum() > 4 * radius  # most of the way round
    assert np.abs(off[ring].mean(0)).max() < 3


def test_hypotheses_are_drawn_where_they_are(human):
    shifted = human.joints + np.array([0.4, 0, 0])
    several = replace(human, hypotheses=Hypotheses(shifted[None], np.tile(np.eye(3), (1, 24, 1, 1)), np.ones(1)))
    drawn = (draw_hypotheses(BLANK, several) != 90).any(-1)
    columns = np.flatnonzero(drawn.any(0))
    expected = project(shifted, human.K)[:, 0]
    assert abs(columns.min() - expected.min()) < 6 and abs(columns.max() - expected.max()) < 6
    assert draw_hypotheses(BLANK, human) is BLANK


def test_the_overlay_shows_what_is_asked_for(human):
    several = replace(
        human, hypotheses=Hypotheses(human.joints[None] + 0.1, np.tile(np.eye(3), (1, 24, 1, 1)), np.ones(1))
    )
    shown = {
        kind: draw_humans(BLANK, [several], None, mesh=False, uncertainty=kind)
        for kind in ("none", "ellipses", "hypotheses")
    }
    assert (shown["none"] != shown["ellipses"]).any() and (shown["none"] != shown["hypotheses"]).any()
