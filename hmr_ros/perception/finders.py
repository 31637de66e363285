"""The detectors by name (`detector.kind`), alone or side by side."""

from __future__ import annotations

import weakref
from dataclasses import astuple, replace

import cv2
import numpy as np

from hmr_ros.config import DetectorConfig
from hmr_ros.io.model_store import DETECTOR, MULTIPOSE_GRAPH, MULTIPOSE_WEIGHTS, find_model, model_file
from hmr_ros.perception.detector import Detector, Finder, Window, without_duplicates
from hmr_ros.perception.external import ExternalFinder
from hmr_ros.perception.movenet import MoveNetDetector
from hmr_ros.perception.search import BLAZEPOSE_TILES
from hmr_ros.runtime.tfjs import can_convert
from hmr_ros.types import Detection, Image, Roi

_ENOUGH_PX = 1080  # lines of an image whose smallest tile has nearly twice the pixels of a detector's input
_MOVENET_TILES = "0.6"  # in which it sees people of 60 px in 1080, and smaller tiles show it no more


class Both:
    """MoveNet in every window, BlazePose's detector beside it on the whole image, where people lie, hang or stand on
    their hands: it knows every turn. In tiles it is the one that sees people in things."""

    def __init__(self, everywhere: Finder, whole: Finder) -> None:
        self._everywhere, self._whole = everywhere, whole

    @property
    def min_score(self) -> float:
        """Proposals below it are left out."""
        return self._everywhere.min_score

    @min_score.setter
    def min_score(self, value: float) -> None:
        self._everywhere.min_score = self._whole.min_score = value

    def __call__(self, image: Image, window: Window) -> list[Detection]:
        """People in `window` of the BGR image [H,W,3], best first, in image coordinates."""
        found = self._everywhere(image, window)
        if window.size_px < max(image.shape[:2]):
            return found
        return without_duplicates(found + self._whole(image, window))


class Shrinking:
    """A finder for images of any size: large ones are made smaller once, and not anew for every window."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._large: weakref.ref[Image] | None = None
        self._small: Image = np.zeros((0, 0, 3), np.uint8)

    @property
    def min_score(self) -> float:
        """Proposals below it are left out."""
        return self._finder.min_score

    @min_score.setter
    def min_score(self, value: float) -> None:
        self._finder.min_score = value

    def __call__(self, image: Image, window: Window) -> list[Detection]:
        """People in `window` of the BGR image [H,W,3], best first, in image coordinates."""
        times = min(image.shape[:2]) // _ENOUGH_PX
        if times < 2:
            return self._finder(image, window)
        if self._large is None or self._large() is not image:
            size = image.shape[1] // times, image.shape[0] // times
            self._small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
            self._large = weakref.ref(image)
        scale = image.shape[0] / self._small.shape[0]
        found = self._finder(self._small, Window(*(round(v / scale) for v in astuple(window))))
        return [_enlarged(d, scale) for d in found]


def _enlarged(seen: Detection, scale: float) -> Detection:
    """The same in an image that is `scale` times as large."""
    roi = Roi(seen.roi.center_px * scale, seen.roi.size_px * scale, seen.roi.angle_rad)
    points = None if seen.points is None else seen.points * [scale, scale, 1.0]
    return replace(seen, roi=roi, points=points)


def settled(config: DetectorConfig) -> DetectorConfig:
    """The same with names in place of each "auto"."""
    kind = config.kind
    if kind == "auto":
        kind = "movenet" if has_movenet() else "blazepose"
    fractions = config.tile_fractions
    if kind == "external":
        fractions = ""
    elif fractions == "auto":
        fractions = BLAZEPOSE_TILES if kind == "blazepose" else _MOVENET_TILES
    return replace(config, kind=kind, tile_fractions=fractions)


def build_finder(config: DetectorConfig, threads: int) -> Finder:
    """The detector that `config` names; AssetError names the cure where a model of it is missing."""
    kind, score = settled(config).kind, config.min_score
    if kind == "external":
        return ExternalFinder(score)
    if kind == "blazepose":
        return Detector(model_file(DETECTOR), score, threads)
    movenet = MoveNetDetector(model_file(MULTIPOSE_GRAPH), model_file(MULTIPOSE_WEIGHTS), score, threads)
    return movenet if kind == "movenet" else Both(movenet, Detector(model_file(DETECTOR), score, threads))


def has_movenet() -> bool:
    """Whether MoveNet's files are installed and can be loaded; everything runs without it too."""
    return can_convert() and all(find_model(model) is not None for model in (MULTIPOSE_GRAPH, MULTIPOSE_WEIGHTS))
