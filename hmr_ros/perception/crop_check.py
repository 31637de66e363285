"""Whether the crop that a detector proposes shows a person, and shows them right.

The landmark network says 0.99 to many a wrong crop. So it is asked where the crop should lie until the answer stays
where it is, and what it sees there is compared with what the detector sees in a window of its own around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from hmr_ros.body.joints import BLAZEPOSE
from hmr_ros.geometry.crops import crop_matrix, invert_affine, smooth_crop, transform_points
from hmr_ros.perception.detector import BODY_SCALE, Finder, Window
from hmr_ros.perception.landmarks import Landmarker, looked
from hmr_ros.perception.likeness import same_body
from hmr_ros.perception.movenet import best_seen
from hmr_ros.types import Detection, Floats, Image, Keypoints, Roi

_FACE = ("eye", "ear")
_PARTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_SIDES = ("left", "right")
COCO = np.array([BLAZEPOSE["nose"]] + [BLAZEPOSE[f"{s}_{p}"] for p in _FACE + _PARTS for s in _SIDES])
_SWAPPED = np.array([0] + [i + (1 if i % 2 else -1) for i in range(1, 17)])
_GROUPS = (slice(5, 11), slice(11, 17))  # arms, legs: each may be the wrong way round in one of the two
_FIRST_LOOK = 0.3  # landmark score in the detector's own, rough crop that is worth a second look
_LEAST_SCORE = 0.2  # over all looks: below it the landmark network rules a person out
_STEPS, _STILL = 3, 0.03  # looks until the crop stands still, and what standing still is
_WANDERS = 0.35  # from one look to the next a crop that shows a person changes by less (from the second look on)
_DOUBTFUL = 0.6  # probability below which a crop is looked at from others
_SIZES, _TURNS = (0.8, 1.25), (-0.4, 0.4)  # of these, times its own and rad
_WINDOWS = (4.0, 3.0)  # sides of the detector's own windows, in radii of the body (its crop has a side of 2.5)
_TURNED, _UPRIGHT_PX = 0.8, 256  # rad from which a crop is turned upright for the detector, and to how many pixels
_NO_POINTS = 0.5  # certainty of a detector that has no key points
_FARTHEST = 0.12  # median distance, in sides of the crop, from which the two see different bodies


@dataclass(frozen=True)
class CropEvidence:
    """What speaks for and against a body in a crop."""

    score: float  # of the landmark network, over all looks
    certainty: float  # of the detector's key points in its own look, 0 where it sees nobody like this
    apart: float  # median distance of the limbs that detector and landmark network see, sides of the crop
    disagreement: float  # of the landmark networks
    wandered: float  # change of the crop in the last look

    def features(self) -> Floats:
        """[6] as the calibration takes them, 1 first."""
        disagreement = self.disagreement or _ONE_NETWORK
        return np.array([
            1.0, _logit(self.score), np.log(max(self.certainty, 0.1)), min(self.apart, _FARTHEST),
            min(disagreement, 0.15), min(self.wandered, 0.3),
        ])  # fmt: skip


# of `CropEvidence.features`: fitted on 1024 crops of 63 images and clips, a half of them wrong at first
# (docs/experiments.md); benchmarks/crops.py says how often they are right
_WEIGHTS = np.array([6.34, 0.195, 2.05, -52.1, -29.1, -5.12])
_ONE_NETWORK = 0.02  # disagreement that is taken for granted where one network looks


_Settled: TypeAlias = tuple[Keypoints, CropEvidence]


class CropCheck:
    """Stateless: proposal -> landmarks in the crop that they give themselves."""

    def __init__(self, finder: Finder, landmarker: Landmarker) -> None:
        self._finder, self._landmarker = finder, landmarker

    def __call__(self, image: Image, proposal: Detection, *, thorough: bool = True) -> Keypoints | None:
        """Landmarks whose score is the probability that they are right; None where no crop stands still.

        `thorough`: as many looks as it takes, in doubt from other crops too; otherwise one in the landmarks' own crop.
        """
        steps = _STEPS if thorough else 1
        found = self.settle(image, proposal, steps)
        if found is None:
            return None
        sure = probability(found[1])
        if thorough and sure < _DOUBTFUL:
            found, sure = self._from_other_crops(image, proposal, found)
        return replace(found[0], score=sure)

    def _from_other_crops(self, image: Image, proposal: Detection, first: _Settled) -> tuple[_Settled, float]:
        """The best answer that starts from the crop in other sizes and turns, and how likely it is right: half way
        between what is said of it and what most answers say, for one of many crops may look good by chance."""
        looks = [first]
        for roi in _varied(proposal.roi):
            found = self.settle(image, replace(proposal, roi=roi), _STEPS)
            if found is not None and same_body(found[0], first[0]):
                looks.append(found)
        sure = [probability(evidence) for _, evidence in looks]
        usual = np.median(sure + [0.0] * (1 + len(_SIZES) + len(_TURNS) - len(sure)))
        best = int(np.argmax(sure))
        return looks[best], float(sure[best] + usual) / 2

    def settle(self, image: Image, proposal: Detection, steps: int = _STEPS) -> _Settled | None:
        """Landmarks with what speaks for them."""
        roi, wandered = proposal.roi, np.inf
        scores: list[float] = []  # log odds of the landmark network
        while True:
            last = len(scores) == steps or wandered < _STILL
            keypoints = looked(self._landmarker if last else self._landmarker.first, image, roi)
            if keypoints is None or (not scores and keypoints.score < _FIRST_LOOK):
                return None
            scores.append(_logit(keypoints.score))
            wandered = change(roi, keypoints.next_roi)
            if len(scores) > 1 and wandered > _WANDERS:
                return None
            if last:
                break
            roi = keypoints.next_roi
        score = _sigmoid(float(np.mean(scores)))
        if score < _LEAST_SCORE:
            return None
        again = self._seen_again(image, roi, keypoints, proposal)
        return keypoints, CropEvidence(score, *again, keypoints.disagreement, wandered)

    def _seen_again(self, image: Image, roi: Roi, keypoints: Keypoints, proposal: Detection) -> tuple[float, float]:
        """Certainty and distance of whom the detector sees in a window around the crop, as `CropEvidence`."""
        nearest = min(_apart(proposal, keypoints, roi), _FARTHEST)
        for seen in self._windows(image, roi):
            alike = [(d.score, _apart(d, keypoints, roi), d) for d in seen]
            alike = [k for k in alike if k[1] < _FARTHEST]
            if alike:
                _, apart, best = max(alike, key=lambda k: k[0])
                certainty = _NO_POINTS if best.points is None else float(best_seen(best.points[:, 2]))
                return certainty, min(nearest, apart)
        return 0.0, nearest

    def _windows(self, image: Image, roi: Roi) -> Iterator[list[Detection]]:
        """Who is seen in windows around the crop; of somebody who lies or hangs in one that is turned upright, too."""
        for radii in _WINDOWS:
            side = round(radii * roi.size_px / (2 * BODY_SCALE))
            left, top = np.round(roi.center_px - side / 2).astype(int).tolist()
            yield self._finder(image, Window(left, top, side))
        if abs((roi.angle_rad + np.pi) % (2 * np.pi) - np.pi) > _TURNED:
            around = Roi(roi.center_px, _WINDOWS[0] * roi.size_px / (2 * BODY_SCALE), roi.angle_rad)
            upright = smooth_crop(image, around, _UPRIGHT_PX)
            back = invert_affine(crop_matrix(around, _UPRIGHT_PX))
            yield [_turned(d, back, around) for d in self._finder(upright, Window(0, 0, _UPRIGHT_PX))]


def probability(evidence: CropEvidence) -> float:
    """0..1 that the landmarks lie on a person, and right."""
    return _sigmoid(float(_WEIGHTS @ evidence.features()))


def change(before: Roi, after: Roi) -> float:
    """How far one crop is from another: distance of the centres in sides, log size and a third of the turn (rad)."""
    centre = float(np.linalg.norm(after.center_px - before.center_px)) / before.size_px
    size = abs(float(np.log(after.size_px / before.size_px)))
    turn = abs((after.angle_rad - before.angle_rad + np.pi) % (2 * np.pi) - np.pi)
    return centre + size + float(turn) / 3


def _varied(roi: Roi) -> list[Roi]:
    """The crop in another size, and turned."""
    sizes = [Roi(roi.center_px, roi.size_px * s, roi.angle_rad) for s in _SIZES]
    return sizes + [Roi(roi.center_px, roi.size_px, roi.angle_rad + t) for t in _TURNS]


def _turned(seen: Detection, to_image: Floats, crop: Roi) -> Detection:
    """What was seen in an upright crop, in the image."""
    centre = transform_points(to_image, seen.roi.center_px)
    roi = Roi(centre, seen.roi.size_px * crop.size_px / _UPRIGHT_PX, seen.roi.angle_rad + crop.angle_rad)
    if seen.points is None:
        return replace(seen, roi=roi)
    return replace(seen, roi=roi, points=np.c_[transform_points(to_image, seen.points[:, :2]), seen.points[:, 2]])


def _apart(seen: Detection, keypoints: Keypoints, roi: Roi) -> float:
    if seen.points is None:
        return change(roi, seen.roi) / 3
    return limb_distance(seen.points, keypoints, roi.size_px)


def limb_distance(points: Floats, keypoints: Keypoints, size_px: float) -> float:
    """Median distance of COCO's limbs [17,3] from BlazePose's, in sides of the crop; whichever side is called left."""
    ours = keypoints.keypoints_2d[COCO, :2]
    both = np.stack([np.linalg.norm(points[order, :2] - ours, axis=-1) for order in (np.arange(17), _SWAPPED)])
    limbs = [both[both[:, g].sum(1).argmin(), g] for g in _GROUPS]
    return float(np.median(np.concatenate(limbs))) / size_px


def _logit(p: float) -> float:
    p = min(max(p, 0.02), 0.995)
    return float(np.log(p / (1.0 - p)))


def _sigmoid(x: float) -> float:
    return float(1.0 / (1.0 + np.exp(-x)))
