"""Detectors by name."""

import sys

import cv2
import numpy as np
import pytest

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, SMPL_LIMBS
from hmr_ros.config import DetectorConfig
from hmr_ros.errors import AssetError
from hmr_ros.io.model_store import DETECTOR, model_file
from hmr_ros.perception.crop_check import COCO
from hmr_ros.perception.detector import Detector, Window
from hmr_ros.perception.finders import Both, Shrinking, build_finder, has_movenet, settled
from hmr_ros.perception.movenet import MoveNetDetector
from hmr_ros.perception.search import whole
from hmr_ros.types import Detection, Roi


class Fixed:
    """A finder that sees the same in every window."""

    def __init__(self, *places):
        self.min_score, self.places = 0.5, places

    def __call__(self, image, window):
        return [Detection(Roi(np.array([x, 0.0]), 250.0, 0.0), score) for x, score in self.places]


def test_the_second_one_looks_at_the_whole_image_only_and_nobody_comes_twice():
    both = Both(Fixed((0, 0.7), (300, 0.8)), Fixed((10, 0.9), (600, 0.6)))
    image = np.zeros((100, 200, 3), np.uint8)
    assert [d.score for d in both(image, whole(200, 100))] == [0.9, 0.8, 0.6]
    assert [d.score for d in both(image, Window(0, 0, 100))] == [0.7, 0.8]


def test_a_changed_score_reaches_both():
    first, second = Fixed(), Fixed()
    both = Both(first, second)
    both.min_score = 0.7
    assert (first.min_score, second.min_score, both.min_score) == (0.7, 0.7, 0.7)


def test_large_images_are_made_smaller_once_and_people_are_where_they_were(rendered):
    """Side by side with a detector that sees every window at full size."""
    large = np.tile(cv2.resize(rendered[0][0], (1920, 1440)), (2, 2, 1))
    detector = Detector(model_file(DETECTOR), 0.5, 1)
    seen = []

    def watched(image, window):
        seen.append(image)
        return detector(image, window)

    shrinking = Shrinking(watched)
    windows = [whole(3840, 2880), Window(0, 0, 1700), Window(1920, 1440, 1700), Window(-200, 900, 2000)]
    for window in windows:
        for a, b in zip(shrinking(large, window), detector(large, window), strict=True):
            assert np.linalg.norm(a.roi.center_px - b.roi.center_px) < 0.02 * b.roi.size_px
            assert a.roi.size_px == pytest.approx(b.roi.size_px, rel=0.03) and a.score == pytest.approx(
                b.score, abs=0.1
            )
    assert any(shrinking(large, w) for w in windows) and len({id(image) for image in seen}) == 1
    assert seen[0].shape == (1440, 1920, 3)
    other = large.copy()
    shrinking(other, windows[0])
    assert seen[-1] is not seen[0]
    small = rendered[0][0]
    shrinking(small, whole(480, 360))
    assert seen[-1] is small


@pytest.mark.skipif(not has_movenet(), reason="MoveNet is not installed")
@pytest.mark.parametrize("times", [2, 3])
def test_key_points_of_a_detection_lie_on_the_person_in_large_images_too(rendered, times):
    images, truths, _ = rendered
    finder = Shrinking(build_finder(DetectorConfig(kind="movenet"), 1))
    image = cv2.resize(images[0], (times * 1440, times * 1080))
    found = finder(image, whole(image.shape[1], image.shape[0]))
    true = truths[0].joints_2d * (image.shape[0] / images[0].shape[0])
    assert len(found) == 1
    rows = [COCO.tolist().index(k) for k in BLAZEPOSE_LIMBS]
    away = np.linalg.norm(found[0].points[rows, :2] - true[SMPL_LIMBS], axis=1)
    assert np.median(away) < 0.05 * np.ptp(true[:, 1])


@pytest.mark.parametrize(("kind", "expected"), [("movenet", MoveNetDetector), ("both", Both), ("blazepose", Detector)])
def test_names(kind, expected):
    if kind != "blazepose" and not has_movenet():
        pytest.skip("MoveNet is not installed")
    finder = build_finder(DetectorConfig(kind=kind, min_score=0.4), 1)
    assert isinstance(finder, expected) and finder.min_score == 0.4


def test_without_movenet_auto_is_blazepose_and_who_asks_for_it_is_told(tmp_path, monkeypatch):
    detector = model_file(DETECTOR).read_bytes()
    monkeypatch.setenv("HMR_CACHE", str(tmp_path))
    monkeypatch.setenv("AMENT_PREFIX_PATH", "")
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    (tmp_path / DETECTOR.name).write_bytes(detector)
    assert not has_movenet()
    assert isinstance(build_finder(DetectorConfig(), 1), Detector)
    assert settled(DetectorConfig()).tile_fractions == "0.6,0.4"
    for kind in ("movenet", "both"):
        with pytest.raises(AssetError, match=r"movenet-multipose\.json is not installed; run `hmr models fetch`"):
            build_finder(DetectorConfig(kind=kind), 1)


def test_a_litert_that_cannot_write_models_has_no_movenet(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.schema_py_generated", None)
    monkeypatch.delattr("ai_edge_litert.schema_py_generated", raising=False)
    assert not has_movenet() and settled(DetectorConfig()).kind == "blazepose"


def test_what_is_asked_for_stays():
    wanted = DetectorConfig(kind="both", tile_fractions="0.5")
    assert settled(wanted) == wanted
    assert settled(DetectorConfig(kind="movenet")).tile_fractions == "0.6"
