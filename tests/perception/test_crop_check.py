"""A proposal becomes a person where its crop stands still and detector and landmarks see the same body."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.joints import SMPL
from hmr_ros.io.model_store import MULTIPOSE, blazepose_models, find_model, model_file
from hmr_ros.perception.crop_check import COCO, CropCheck, CropEvidence, change, limb_distance, probability
from hmr_ros.perception.landmarks import Landmarker
from hmr_ros.perception.movenet import MoveNetDetector
from hmr_ros.perception.search import whole
from hmr_ros.types import Detection, Keypoints, Roi

LIKELY = 0.6  # tracker.min_landmark_score


@pytest.fixture(scope="module")
def finder():
    if any(find_model(model) is None for model in MULTIPOSE):
        pytest.skip("MoveNet is not installed")
    return MoveNetDetector(*map(model_file, MULTIPOSE), 0.5, threads=1)


@pytest.fixture(scope="module")
def check(finder):
    return CropCheck(finder, Landmarker([blazepose_models().landmarks], 1))


@pytest.fixture(scope="module")
def proposal(finder, rendered):
    image = rendered[0][0]
    return finder(image, whole(image.shape[1], image.shape[0]))[0]


def error(keypoints, truth):
    """Distance of the limbs from the truth in crop sides; which side is called left is settled over time."""
    points = np.zeros((17, 3))
    parts = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    points[5:, :2] = truth.joints_2d[[SMPL[f"{side}_{part}"] for part in parts for side in ("left", "right")]]
    return limb_distance(points, keypoints, keypoints.next_roi.size_px)


WRONG = [
    (shift, scale, turn) for shift in (-0.25, 0.0, 0.25) for scale in (0.6, 1.0, 1.7) for turn in (-1.2, 0.0, 1.2)
]  # crop sides, times, rad


def test_a_wrong_crop_is_put_right_or_refused(check, proposal, rendered):
    image, truth = rendered[0][0], rendered[1][0]
    kept = 0
    for shift, scale, turn in WRONG:
        roi = proposal.roi
        wrong = Roi(roi.center_px + shift * roi.size_px, scale * roi.size_px, roi.angle_rad + turn)
        seen = check(image, replace(proposal, roi=wrong))
        if seen is not None and seen.score >= LIKELY:
            kept += 1
            assert error(seen, truth) < 0.08, (shift, scale, turn)
    assert kept > len(WRONG) / 2


def test_the_answer_is_a_fixed_point(check, proposal, rendered):
    image = rendered[0][0]
    seen = check(image, proposal)
    again = check(image, replace(proposal, roi=seen.next_roi))
    assert seen.score > 0.9 and change(seen.next_roi, again.next_roi) < 0.05


def test_where_the_detector_sees_nobody_the_landmark_network_is_not_believed(check, proposal, rendered):
    image = rendered[0][0]
    blind = MoveNetDetector(*map(model_file, MULTIPOSE), 1.0, threads=1)
    unseen = CropCheck(blind, Landmarker([blazepose_models().landmarks], 1))
    nowhere = np.concatenate([np.zeros((17, 2)), np.ones((17, 1))], 1)  # nor does the proposal fit
    seen = unseen(image, replace(proposal, points=nowhere))
    assert seen is None or seen.score < LIKELY < check(image, proposal).score


def test_things_are_nobody(check, rendered):
    image = rendered[0][0]
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, image.shape, np.uint8)
    for shown in (noise, np.full_like(image, 128), np.roll(image[:, ::-1], 200, 0)[:60].repeat(6, 0)[: len(image)]):
        for x, size in ((100.0, 150.0), (240.0, 300.0)):
            nobody = Detection(Roi(np.array([x, 180.0]), size, 0.0), 0.9, points=np.full((17, 3), 100.0))
            seen = check(shown, nobody)
            assert seen is None or seen.score < LIKELY


GOOD = CropEvidence(score=0.99, certainty=0.6, apart=0.03, disagreement=0.01, wandered=0.02)


@pytest.mark.parametrize(
    ("field", "worse"), [("score", 0.3), ("certainty", 0.15), ("apart", 0.1), ("disagreement", 0.1), ("wandered", 0.3)]
)
def test_every_evidence_against_a_body_makes_it_less_likely(field, worse):
    assert probability(replace(GOOD, **{field: worse})) < probability(GOOD)
    assert probability(GOOD) > 0.95


def test_limbs_are_compared_in_crop_sides_whichever_side_is_called_left():
    rng = np.random.default_rng(1)
    landmarks = np.c_[rng.uniform(0, 100, (33, 2)), np.ones(33)]
    roi = Roi(np.full(2, 50.0), 100.0, 0.0)
    keypoints = Keypoints(landmarks, np.zeros((33, 3)), 1.0, roi)
    points = landmarks[COCO]
    assert limb_distance(points, keypoints, 100.0) == 0.0
    swapped = points[[0, *(i + (1 if i % 2 else -1) for i in range(1, 17))]]
    assert limb_distance(swapped, keypoints, 100.0) == 0.0
    right, far = np.array([10.0, 0.0, 0.0]), np.array([0.0, 300.0, 0.0])
    assert limb_distance(points + right, keypoints, 100.0) == pytest.approx(0.1, abs=0.05)
    assert limb_distance(points + far, keypoints, 50.0) == 2 * limb_distance(points + far, keypoints, 100.0)


def test_a_crop_is_no_way_from_itself():
    roi = Roi(np.array([3.0, 4.0]), 50.0, 0.3)
    assert change(roi, roi) == 0.0
    assert change(roi, Roi(roi.center_px, 50.0, 0.3 + 2 * np.pi)) == pytest.approx(0.0)
    assert change(roi, Roi(roi.center_px + np.array([50.0, 0.0]), 50.0, 0.3)) == pytest.approx(1.0)
