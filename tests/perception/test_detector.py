"""Detector: anchors, windows and people in rendered and real images."""

import numpy as np
import pytest

from hmr_ros.io.model_store import blazepose_models
from hmr_ros.perception.detector import Detector, Window, anchors, without_duplicates
from hmr_ros.perception.search import whole
from hmr_ros.types import Detection, Roi


@pytest.fixture(scope="module")
def detector():
    return Detector(blazepose_models().detector, 0.5, threads=2)


def test_anchors_match_the_network():
    points = anchors()
    assert points.shape == (2254, 2) and points.min() > 0 and points.max() < 1
    np.testing.assert_allclose(points[:2], 1 / 56)


def test_the_rendered_person_is_found_at_the_pelvis(detector, rendered):
    images, truths, camera = rendered
    found = detector(images[0], whole(camera.width, camera.height))
    assert len(found) == 1
    assert np.linalg.norm(found[0].roi.center_px - truths[0].joints_2d[:3].mean(0)) < 25


def test_a_window_answers_in_picture_coordinates(detector, rendered):
    images, truths, camera = rendered
    shifted = detector(images[0], Window(-60, -40, camera.width))
    assert np.linalg.norm(shifted[0].roi.center_px - truths[0].joints_2d[:3].mean(0)) < 25


@pytest.mark.parametrize("shape", [(480, 640), (2, 2), (30, 2000)])
def test_empty_pictures_hold_nobody(detector, shape):
    assert detector(np.zeros((*shape, 3), np.uint8), whole(shape[1], shape[0])) == []


def test_one_proposal_a_body():
    def at(x, score):
        return Detection(Roi(np.array([x, 0.0]), 250.0, 0.0), score)

    assert [d.score for d in without_duplicates([at(0, 0.6), at(20, 0.9), at(200, 0.7)])] == [0.9, 0.7]
