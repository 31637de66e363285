"""What the limb network says travels with the landmarks of the crop that it saw, and is read by the fit."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, DIRECTED_BONES_SMPL
from hmr_ros.config import HmrConfig, TrackerConfig
from hmr_ros.errors import AssetError
from hmr_ros.factory import build_pipeline, choose_engine, offline
from hmr_ros.geometry.crops import crop
from hmr_ros.io.model_store import blazepose_models, landmark_models
from hmr_ros.perception.landmarks import INPUT_PX, Landmarker
from hmr_ros.perception.limbs import LimbReader
from hmr_ros.perception.person import Person
from hmr_ros.train.data.features import sines_of
from hmr_ros.types import Frame, Roi

ONE = HmrConfig(threads=1)


@pytest.fixture(scope="module")
def reader():
    return LimbReader(choose_engine(ONE, "limbs").engine)


@pytest.fixture(scope="module")
def seen(rendered, reader):
    """Landmarks of rendered people with what the limb network says, and the truth."""
    images, truths, _ = rendered
    landmarker = Landmarker([blazepose_models().landmarks], 1, limbs=reader)
    found = []
    for image, truth in zip(images, truths, strict=True):
        span = float(np.ptp(truth.joints_2d[:, 1]))
        found.append(landmarker(image, Roi(truth.joints_2d.mean(0), 1.4 * span, 0.3)))
    return found, truths


def test_it_sees_the_limbs_where_the_landmarks_are(seen):
    """In pixels of the image, however the crop is turned."""
    for keypoints, truth in zip(*seen, strict=True):
        away = np.linalg.norm(keypoints.limbs.points_2d - keypoints.keypoints_2d[BLAZEPOSE_LIMBS, :2], axis=1)
        assert np.median(away) < 0.05 * np.ptp(truth.joints_2d[:, 1])


def test_bones_lean_as_it_says(seen):
    said = np.array([k.limbs.sines for k in seen[0]])
    true = sines_of(np.array([t.joints for t in seen[1]]), DIRECTED_BONES_SMPL)
    sigma = np.array([k.limbs.sigma for k in seen[0]])
    assert np.abs(said - true).mean() < 0.25
    assert np.abs(said - true).mean() < 0.8 * np.abs(true).mean()  # better than the mean of everybody
    assert sigma.min() > 0.02 and sigma.max() < 1.5


def test_the_landmarks_themselves_do_not_change(rendered, seen):
    image, truth = rendered[0][0], rendered[1][0]
    roi = Roi(truth.joints_2d.mean(0), 1.4 * float(np.ptp(truth.joints_2d[:, 1])), 0.3)
    plain = Landmarker([blazepose_models().landmarks], 1)(image, roi)
    assert plain.limbs is None
    np.testing.assert_array_equal(plain.keypoints_3d, seen[0][0].keypoints_3d)


def test_heavy_has_no_such_features(reader):
    try:
        heavy = landmark_models("heavy")
    except AssetError as error:
        pytest.skip(str(error))
    noise = np.random.default_rng(0).integers(0, 255, (INPUT_PX, INPUT_PX, 3), np.uint8)
    whole = Roi(np.full(2, INPUT_PX / 2), float(INPUT_PX), 0.0)
    assert Landmarker(heavy, 1, limbs=reader)(crop(noise, whole, INPUT_PX), whole).limbs is None


def test_of_a_person_out_of_sight_it_says_nothing(seen):
    keypoints = seen[0][0]
    assert keypoints.limbs is not None and Person(0, keypoints).expected().limbs is None


@pytest.mark.parametrize("tracker", [TrackerConfig(), TrackerConfig(limbs=False), TrackerConfig(flip_test=True)])
def test_the_evidence_of_the_default_holds_leans_that_can_be_left_out(rendered, tracker):
    images, _, camera = rendered
    pipeline = build_pipeline(offline(replace(ONE, tracker=tracker), as_live=True))
    people = pipeline.observe(Frame(0, 0, images[0], camera))
    assert people
    for person in people:
        assert (person.evidence.leans is not None) == tracker.limbs
