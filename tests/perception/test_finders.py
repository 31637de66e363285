"""Detectors by name."""

import sys

import numpy as np
import pytest

from hmr_ros.config import DetectorConfig
from hmr_ros.errors import AssetError
from hmr_ros.io.model_store import DETECTOR, model_file
from hmr_ros.perception.detector import Detector, Window
from hmr_ros.perception.finders import Both, build_finder, has_movenet, settled
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
