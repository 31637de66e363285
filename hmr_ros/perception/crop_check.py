"""Whether the crop that a detector proposes shows a person, and shows them right.

The landmark network says 0.99 to many a wrong crop. So it is asked where the crop should lie until the answer stays
where it is, and what it sees there is compared with what the detector sees in a window of its own around it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hmr_ros.body.joints import BLAZEPOSE
from hmr_ros.perception.detector import BODY_SCALE, Finder, Window
from hmr_ros.perception.landmarks import Landmarker, looked
from hmr_ros.perception.movenet import best_seen
from hmr_ros.types import Detection, Floats, Image, Keypoints, Roi

_FACE = ("eye", "ear")
_PARTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_SIDES = ("left", "right")
COCO = np.array([BLAZEPOSE["nose"]] + [BLAZEPOSE[f"{s}_{p}"] for p in _FACE + _PARTS for s in _SIDES])
_SWAPPED = np.array([0] + [i + (1 if i % 2 else -1) for i in range(1, 17)])
_GROUPS = (slice(5, 11), slice(11, 17))  # arms, legs: each may be the wrong way round in one of the two
_FIRST_LOOK = 0.3  # landmark score in the detector's own, rough crop that is worth a second look
_STEPS, _STILL = 3, 0.03  # looks until the crop stands still, and what standing still is
_WANDERS = 0.35  # from one look to the next a crop that shows a person changes by less (from the second look on)
_WINDOWS = (4.0, 3.0)  # sides of the detector's own windows, in radii of the body (its crop has a side of 2.5)
_FARTHEST = 0.12  # median distance, in sides of the crop, from which the two see different bodies


@dataclass(frozen=True)
class CropEvidence:
    """What speaks for and against a body in a crop."""

    score: float  # of the landmark network, over all looks
    seen_again: float  # score of the detector's own look, 0 where it sees nobody like this
    certainty: float  # how certainly that look sees its key points
    apart: float  # median distance of the limbs in both, sides of the crop
    disagreement: float  # of the landmark networks
    wandered: float  # change of the crop in the last look

    def features(self) -> Floats:
        """[6] as the calibration takes them."""
        return np.array([
            _logit(self.score), _logit(max(self.seen_again, 0.1)), min(self.certainty, 0.6), min(self.apart, _FARTHEST),
            min(self.disagreement, 0.15), min(self.wandered, 0.2),
        ])  # fmt: skip


# benchmarks/crops.py fits them: 1 and `CropEvidence.features`
_WEIGHTS = np.array([3.12, 0.19, 0.07, 3.84, -59.1, -26.9, -1.83])


class CropCheck:
    """Stateless: proposal -> landmarks in the crop that they give themselves."""

    def __init__(self, finder: Finder, landmarker: Landmarker) -> None:
        self._finder, self._landmarker = finder, landmarker

    def __call__(self, image: Image, proposal: Detection, steps: int = _STEPS) -> Keypoints | None:
        """Landmarks whose score is the probability that they are right, after at most so many `steps` from the proposed
        crop; None where no crop stands still."""
        found = self.settle(image, proposal, steps)
        if found is None:
            return None
        keypoints, evidence = found
        return replace(keypoints, score=probability(evidence))

    def settle(self, image: Image, proposal: Detection, steps: int = _STEPS) -> tuple[Keypoints, CropEvidence] | None:
        """Landmarks with what speaks for them."""
        roi, scores, wandered = proposal.roi, [], np.inf
        for step in range(steps + 1):
            last = step == steps or wandered < _STILL
            keypoints = looked(self._landmarker if last else self._landmarker.first, image, roi)
            if keypoints is None or (step == 0 and keypoints.score < _FIRST_LOOK):
                return None
            scores.append(_logit(keypoints.score))
            wandered = change(roi, keypoints.next_roi)
            if step > 0 and wandered > _WANDERS:
                return None
            if last:
                break
            roi = keypoints.next_roi
        again = self._seen_again(image, roi, keypoints, proposal)
        return keypoints, CropEvidence(_sigmoid(float(np.mean(scores))), *again, keypoints.disagreement, wandered)

    def _seen_again(
        self, image: Image, roi: Roi, keypoints: Keypoints, proposal: Detection
    ) -> tuple[float, float, float]:
        """Score, certainty and distance of whom the detector sees in a window around the crop, as `CropEvidence`."""
        score, certainty, apart = 0.0, 0.0, min(_apart(proposal, keypoints, roi), _FARTHEST)
        for radii in _WINDOWS:
            side = round(radii * roi.size_px / (2 * BODY_SCALE))
            left, top = np.round(roi.center_px - side / 2).astype(int).tolist()
            for d in self._finder(image, Window(left, top, side)):
                distance = _apart(d, keypoints, roi)
                if distance < _FARTHEST and d.score > score:
                    score, apart = d.score, min(apart, distance)
                    certainty = 0.5 if d.points is None else float(best_seen(d.points[:, 2]))
            if score:
                break
        return score, certainty, apart


def probability(evidence: CropEvidence) -> float:
    """0..1 that the landmarks lie on a person, and right."""
    return _sigmoid(float(_WEIGHTS[0] + _WEIGHTS[1:] @ evidence.features()))


def change(before: Roi, after: Roi) -> float:
    """How far one crop is from another: distance of the centres in sides, log size and a third of the turn (rad)."""
    centre = float(np.linalg.norm(after.center_px - before.center_px)) / before.size_px
    size = abs(float(np.log(after.size_px / before.size_px)))
    turn = abs((after.angle_rad - before.angle_rad + np.pi) % (2 * np.pi) - np.pi)
    return centre + size + float(turn) / 3


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
