"""Landmarks of one crop."""

import cv2
import numpy as np
import pytest

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, BLAZEPOSE_MIRRORED, SMPL_LIMBS
from hmr_ros.errors import AssetError
from hmr_ros.geometry.crops import crop
from hmr_ros.io.model_store import blazepose_models, landmark_models
from hmr_ros.perception.landmarks import INPUT_PX, Landmarker
from hmr_ros.types import Roi

_WHOLE = Roi(np.full(2, INPUT_PX / 2), float(INPUT_PX), 0.0)  # the crop is the image


@pytest.fixture(scope="module")
def person(rendered):
    """A image that is its own crop, of somebody seen from the front."""
    images, truths, _ = rendered
    middle = truths[0].joints_2d.mean(0)
    return crop(images[0], Roi(middle, 1.4 * float(np.ptp(truths[0].joints_2d[:, 1])), 0.0), INPUT_PX)


def test_a_flip_test_knows_no_left_and_right(person):
    landmarker = Landmarker([blazepose_models().landmarks], 1, flip_test=True)
    seen = landmarker(person, _WHOLE)
    other = landmarker(np.ascontiguousarray(person[:, ::-1]), _WHOLE)
    assert min(seen.score, other.score) > 0.9
    back_2d = other.keypoints_2d[BLAZEPOSE_MIRRORED]
    back_2d[:, 0] = INPUT_PX - back_2d[:, 0]
    # not exactly: the window of heat around a landmark is made of whole cells
    np.testing.assert_allclose(seen.keypoints_2d, back_2d, atol=0.3)
    np.testing.assert_allclose(seen.keypoints_3d, other.keypoints_3d[BLAZEPOSE_MIRRORED] * [-1, 1, 1], atol=1e-5)


def test_a_flip_test_lies_between_its_two_looks(person):
    models = blazepose_models()
    once, twice = Landmarker([models.landmarks], 1), Landmarker([models.landmarks], 1, flip_test=True)
    direct, mirrored = once(person, _WHOLE), once(np.ascontiguousarray(person[:, ::-1]), _WHOLE)
    mean = (direct.keypoints_3d + mirrored.keypoints_3d[BLAZEPOSE_MIRRORED] * [-1, 1, 1]) / 2
    np.testing.assert_allclose(twice(person, _WHOLE).keypoints_3d, mean, atol=1e-6)
    assert np.abs(direct.keypoints_3d - mean).max() > 1e-4  # the network itself does tell left from right


def test_two_networks_say_their_mean(person):
    try:
        full, heavy = landmark_models("both")
    except AssetError as error:
        pytest.skip(str(error))
    seen = [Landmarker(models, 1)(person, _WHOLE) for models in ([full], [heavy], [full, heavy])]
    mean = (seen[0].keypoints_3d + seen[1].keypoints_3d) / 2
    np.testing.assert_allclose(seen[2].keypoints_3d, mean, atol=1e-6)
    assert np.abs(seen[0].keypoints_3d - mean).max() > 1e-3
    np.testing.assert_array_equal(seen[2].next_roi.center_px, seen[0].next_roi.center_px)


@pytest.fixture(scope="module")
def full_and_heavy():
    try:
        return landmark_models("both")
    except AssetError as error:
        pytest.skip(str(error))


def test_networks_that_disagree_are_less_sure(full_and_heavy):
    """Of noise, two networks make two different bodies."""
    alone, both = Landmarker(full_and_heavy[:1], 1), Landmarker(full_and_heavy, 1)
    doubted = 0
    for seed in range(6):
        noise = cv2.GaussianBlur(np.random.default_rng(seed).integers(0, 255, (256, 256, 3), np.uint8), (0, 0), 4)
        one, two = alone(noise, _WHOLE), both(noise, _WHOLE)
        assert one.disagreement == 0.0
        if two.disagreement > 0.04:
            doubted += 1
            sure = [k.keypoints_2d[:, 2].max() for k in (one, two)]
            assert sure[1] <= sure[0] or two.score < one.score
    assert doubted >= 3


def test_a_crop_in_which_they_disagree_is_left_for_a_better_one(full_and_heavy, rendered):
    """Looked at askew, they see the person where both agree, not the mean of two wrong answers."""
    images, truths, _ = rendered
    joints = truths[0].joints_2d
    middle, side = joints[:3].mean(0), 1.4 * float(np.ptp(joints[:, 1]))
    good, bad = Landmarker(full_and_heavy, 1), Landmarker(full_and_heavy[:1], 1)
    off = [[], []]
    for angle in (-1.1, -0.9, 0.9, 1.1):
        roi = Roi(middle + 0.15 * side, side, angle)
        for errors, landmarker in zip(off, (bad, good), strict=True):
            seen = landmarker(images[0], roi).keypoints_2d[BLAZEPOSE_LIMBS, :2]
            errors.append(np.linalg.norm(seen - joints[SMPL_LIMBS], axis=-1).mean() / side)
    assert np.mean(off[1]) < np.mean(off[0])
