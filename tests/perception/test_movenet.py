"""MoveNet: its maps read as people, and people in rendered and real images from every side."""

import cv2
import numpy as np
import pytest

from hmr_ros.io.model_store import MULTIPOSE, find_model, model_file
from hmr_ros.perception.detector import BODY_SCALE, Window
from hmr_ros.perception.movenet import NUM_KEYPOINTS, MoveNetDetector, people
from hmr_ros.perception.search import whole


@pytest.fixture(scope="module")
def detector():
    if any(find_model(model) is None for model in MULTIPOSE):
        pytest.skip("MoveNet is not installed")
    return MoveNetDetector(*map(model_file, MULTIPOSE), 0.5, threads=1)


def maps(centres):
    """Everybody's key points lie on the centres, and are seen everywhere."""
    size = len(centres)
    return (
        np.asarray(centres, np.float32),
        np.zeros((size, size, 2 * NUM_KEYPOINTS), np.float32),
        np.ones((size, size, NUM_KEYPOINTS), np.float32),
    )


def test_people_are_the_peaks_of_the_map():
    centres, points, heat = maps(np.zeros((20, 20)))
    centres[5, 7], centres[5, 9], centres[15, 3], centres[12, 12] = 0.9, 0.8, 0.6, 0.2
    points[5, 7, :2] = 2, -3  # y, x from the centre to the nose
    scores, found = people(centres, points, heat, 0.5)
    assert found.shape == (2, NUM_KEYPOINTS, 3) and scores[0] > scores[1] > 0.5  # the near one is part of the first
    np.testing.assert_allclose(found[0, 0], [7 - 3, 5 + 2, 1.0])  # seen for certain
    np.testing.assert_allclose(found[1], np.broadcast_to([3.0, 15.0, 1.0], (NUM_KEYPOINTS, 3)))


def test_who_shows_no_key_point_is_nobody():
    centres, points, heat = maps(np.zeros((20, 20)))
    centres[4, 4] = centres[4, 14] = 0.9
    heat[:, 8:] = 0.05
    _, found = people(centres, points, heat, 0.5)
    np.testing.assert_allclose(found[:, 0], [[4.0, 4.0, 1.0]])


@pytest.mark.parametrize("score", [0.2, 0.5, 0.8])
def test_a_lower_bar_lets_more_through(score):
    noise = maps(np.random.default_rng(0).random((30, 30)) ** 30)  # peaks of every height
    scores, found = people(*noise, score)
    everybody, _ = people(*noise, 0.0)
    assert (scores >= score).all() and 0 < len(scores) == len(found) == (everybody >= score).sum() < len(everybody)


@pytest.mark.parametrize("turns", range(4))
def test_the_rendered_person_is_found_in_every_turn(detector, rendered, turns):
    images, truths, _ = rendered
    image, (x, y) = images[0], truths[0].joints_2d[:3].mean(0)
    head = truths[0].joints_2d[15]
    for _ in range(turns):
        (x, y), head = (image.shape[0] - 1 - y, x), np.array([image.shape[0] - 1 - head[1], head[0]])
        image = cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE)
    best = detector(image, whole(image.shape[1], image.shape[0]))[0].roi
    assert np.linalg.norm(best.center_px - [x, y]) < 30
    up = np.array([np.sin(best.angle_rad), -np.cos(best.angle_rad)])
    body = head - [x, y]
    assert up @ body > 0.8 * np.linalg.norm(body)
    assert 1 < best.size_px / (2 * BODY_SCALE) / np.linalg.norm(body) < 2


def test_a_window_answers_in_picture_coordinates(detector, rendered):
    images, truths, camera = rendered
    shifted = detector(images[0], Window(-60, -40, camera.width))
    assert np.linalg.norm(shifted[0].roi.center_px - truths[0].joints_2d[:3].mean(0)) < 30


@pytest.mark.parametrize("shape", [(480, 640), (2, 2), (30, 2000)])
def test_empty_pictures_and_noise_hold_nobody(detector, shape):
    rng = np.random.default_rng(0)
    for image in (np.zeros((*shape, 3), np.uint8), rng.integers(0, 256, (*shape, 3), np.uint8)):
        assert detector(image, whole(shape[1], shape[0])) == []


def test_the_masked_bystander_is_found(detector, shared):
    video = cv2.VideoCapture(str(shared / "balance/cam01.mp4"))
    image = video.read()[1]
    found = detector(image, Window(0, 0, 1080))
    assert any(np.linalg.norm(d.roi.center_px - [57, 512]) < 60 for d in found)
