"""Landmarks of one crop."""

import numpy as np
import pytest

from hmr_ros.body.joints import BLAZEPOSE_MIRRORED
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
