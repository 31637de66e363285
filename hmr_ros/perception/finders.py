"""The detectors by name (`detector.kind`), alone or side by side."""

from __future__ import annotations

from collections.abc import Sequence

from hmr_ros.io.model_store import MULTIPOSE_GRAPH, MULTIPOSE_WEIGHTS, blazepose_models, find_model, model_file
from hmr_ros.perception.detector import Detector, Finder, Window, without_duplicates
from hmr_ros.perception.movenet import MoveNetDetector
from hmr_ros.types import Detection, Image


class Together:
    """Several `Finder`s as one: where two mean the same body, the more certain proposal stays."""

    def __init__(self, finders: Sequence[Finder]) -> None:
        self._finders = finders

    @property
    def min_score(self) -> float:
        """Proposals below it are left out."""
        return self._finders[0].min_score

    @min_score.setter
    def min_score(self, value: float) -> None:
        for finder in self._finders:
            finder.min_score = value

    def __call__(self, image: Image, window: Window) -> list[Detection]:
        """People in `window` of the BGR image [H,W,3], best first, in image coordinates."""
        return without_duplicates([d for finder in self._finders for d in finder(image, window)])


def build_finder(kind: str, min_score: float, threads: int) -> Finder:
    """The detector named `kind`; AssetError names the cure where a model of it is missing."""
    if kind == "auto":
        kind = "movenet" if has_movenet() else "blazepose"
    finders: list[Finder] = []
    if kind in ("movenet", "both"):
        graph, weights = model_file(MULTIPOSE_GRAPH), model_file(MULTIPOSE_WEIGHTS)
        finders.append(MoveNetDetector(graph, weights, min_score, threads))
    if kind in ("blazepose", "both"):
        finders.append(Detector(blazepose_models().detector, min_score, threads))
    return finders[0] if len(finders) == 1 else Together(finders)


def has_movenet() -> bool:
    """Whether MoveNet's files are installed; everything runs without them too."""
    return all(find_model(model) is not None for model in (MULTIPOSE_GRAPH, MULTIPOSE_WEIGHTS))
