"""BlazePose landmark network: one crop in, 33 landmarks and the next crop out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

import cv2
import numpy as np

from hmr_ros.body.joints import BLAZEPOSE, BLAZEPOSE_LIMBS, BLAZEPOSE_MIRRORED
from hmr_ros.geometry.crops import crop, crop_axes, crop_matrix, invert_affine, roi_from_points, transform_points
from hmr_ros.perception.detector import BODY_SCALE
from hmr_ros.perception.heatmaps import HEATMAP_PX, moments, moved, refine, sigmoid
from hmr_ros.perception.limbs import LIMBS, LimbReader
from hmr_ros.perception.sides import SIDES, side_distances
from hmr_ros.runtime.litert import LiteRtModel
from hmr_ros.types import Floats, Image, Ints, Keypoints, Roi

INPUT_PX = 256
NUM_LANDMARKS = 33
_CELLS_PER_PX = HEATMAP_PX / INPUT_PX
FEATURE_MAP = "model_1/model/add_1/add"  # the map [32,32,32] of `full` that the limb network goes on from
_FEATURES = int(np.prod(LIMBS.inputs["features"]))  # heavy has a map of that name too, of another size
_SEGMENTATION = "Identity_2"  # a third of the network's time, and nothing here reads it
_NOISE, _MORE_LOOKS = 0.04, 2  # disagreement of networks that see the same body, and looks spent on a larger one
_SAME_PERSON, _MAX_GROWTH = 0.3, 2.0  # how far, and how much larger, another crop of the same person may be
_MIN_ROI_PX = 12.0  # smaller people show nothing that landmarks could use
_MAX_ROI = 20  # sides of the image
_LIMBS = np.asarray(BLAZEPOSE_LIMBS)
_SURE, _LEAST_SURE = 0.5, 4  # confidence of a limb joint that networks are compared by, and how many there must be
_LEVELS = np.arange(256, dtype=np.float32) / 255.0  # of a pixel as the network wants them
_MIRRORED = np.r_[BLAZEPOSE_MIRRORED, NUM_LANDMARKS:39]


class Landmarker:
    """Stateless: crop -> Keypoints.

    Every network of `models` sees the crop, with `flip_test` its mirror image too (test-time augmentation), and the
    answers are averaged landmark by landmark; the confidences, the score and the next crop are the first network's.
    Networks that disagree by more than their noise are not averaged: they look again in the crops that they ask for.
    Should they disagree there too, the one that changes its mind less is believed, and confidences fall.
    """

    def __init__(
        self, models: Sequence[Path], threads: int, flip_test: bool = False, limbs: LimbReader | None = None
    ) -> None:
        """`limbs` reads the features of the first network, where that is `full`."""
        first, *others = models
        cut = frozenset({_SEGMENTATION})
        self._models = [feature_network(first, threads) if limbs else LiteRtModel(first, threads, cut)]
        self._models += [LiteRtModel(model, threads, cut) for model in others]
        self._flip_test, self._limbs = flip_test, limbs

    @property
    def networks(self) -> int:
        """How many look."""
        return len(self._models)

    def __call__(self, image: Image, roi: Roi) -> Keypoints:
        """Landmarks of the person in `roi` of the BGR image [H,W,3]; check `score` before trusting them."""
        return self.settled(self.glance(image, roi))[0]

    def first(self, image: Image, roi: Roi) -> Keypoints:
        """The same by the first network alone: enough to see where the next crop lies."""
        return self.glance(image, roi).keypoints

    def glance(self, image: Image, roi: Roi) -> Glance:
        """What the first network sees; `settled` lets the others look too."""
        rgb = network_input(image, roi)
        return Glance(image, roi, rgb, _answer(self._models[0](rgb)))

    def with_limbs(self, keypoints: Keypoints, glance: Glance) -> Keypoints:
        """The same with what the limb network sees in the glance."""
        return self._with_limbs(keypoints, glance.roi, glance.answer)

    def settled(self, glance: Glance) -> tuple[Keypoints, bool]:
        """What all networks see, and whether they agreed at once."""
        image, look = glance.image, self._look(glance)
        looks = [look]
        # where networks disagree the crop is wrong more often than one of them
        while look.disagreement > _NOISE and len(looks) <= _MORE_LOOKS:
            own = _keypoints(image, look.roi, look.mean).next_roi
            if not _near(own, glance.roi):
                break
            look = self._look(self.glance(image, own))
            looks.append(look)
        best = min(looks, key=lambda k: k.disagreement)
        agreed = best.disagreement <= _NOISE
        keypoints = _keypoints(image, best.roi, best.mean if agreed else best.steadiest(looks))
        if not agreed:
            keypoints = _doubted(keypoints, _NOISE / best.disagreement)
        return self._with_limbs(keypoints, best.roi, best.answers[0]), agreed and len(looks) == 1

    def _with_limbs(self, keypoints: Keypoints, roi: Roi, first: _Answer) -> Keypoints:
        if self._limbs is None or first.features is None:
            return keypoints
        return replace(keypoints, limbs=self._limbs(first.features, roi))

    def _look(self, glance: Glance) -> _Look:
        answers = [glance.answer, *(_answer(model(glance.rgb)) for model in self._models[1:])]
        if self._flip_test:
            answers += [_mirrored(_answer(model(glance.rgb[:, :, ::-1]))) for model in self._models]
        mean = _averaged(answers, len(self._models)) if len(answers) > 1 else answers[0]
        return _Look(glance.roi, answers, mean)


def network_input(image: Image, roi: Roi) -> Floats:
    """The crop of the BGR image [H,W,3] as the networks take it: RGB [1,256,256,3], 0..1."""
    return np.asarray(cv2.LUT(cv2.cvtColor(crop(image, roi, INPUT_PX), cv2.COLOR_BGR2RGB), _LEVELS)[None])


def feature_network(model: Path, threads: int) -> LiteRtModel:
    """A landmark network that also gives its `FEATURE_MAP`, where it is `full`."""
    return LiteRtModel(model, threads, frozenset({_SEGMENTATION}), inner=frozenset({FEATURE_MAP}))


def looked(look: Callable[[Image, Roi], Keypoints], image: Image, roi: Roi) -> Keypoints | None:
    """What `look` sees in `roi`, or None where a crop of that size shows nothing or the answer is no body."""
    if not _MIN_ROI_PX <= roi.size_px <= _MAX_ROI * max(image.shape[:2]):
        return None
    keypoints = look(image, roi)
    usable = np.isfinite(keypoints.keypoints_2d).all() and keypoints.next_roi.size_px >= _MIN_ROI_PX
    return keypoints if usable else None


def _keypoints(image: Image, roi: Roi, seen: _Answer) -> Keypoints:
    raw = seen.landmarks
    # the two points that place the next crop stay as they are: refined, they made the world landmarks worse
    own = seen.heatmaps[..., :NUM_LANDMARKS]
    refined = refine(raw[:NUM_LANDMARKS, :2], own, _CELLS_PER_PX)
    in_crop = np.concatenate([refined, raw[NUM_LANDMARKS:, :2]])
    to_image = invert_affine(crop_matrix(roi, INPUT_PX))
    points = transform_points(to_image, in_crop)
    confidence = _confidence(raw) * _inside(points[:NUM_LANDMARKS], image.shape[1], image.shape[0])
    return Keypoints(
        keypoints_2d=np.c_[points[:NUM_LANDMARKS], confidence],
        keypoints_3d=_camera_axes(seen.world[:NUM_LANDMARKS], roi.angle_rad),
        score=seen.score,
        next_roi=roi_from_points(points[33], points[34], BODY_SCALE),
        heat=moved(moments(in_crop[:NUM_LANDMARKS], own, _CELLS_PER_PX), to_image),
        disagreement=seen.disagreement,
    )


@dataclass(frozen=True)
class _Answer:
    """The network's outputs; rows 33 to 38 are auxiliary points, the first two of which place the next crop."""

    landmarks: Floats  # [39,5] px from the crop's corner, depth, logits of visibility and presence
    score: float
    heatmaps: Floats  # [64,64,39] logits
    world: Floats  # [39,3] m
    disagreement: float = 0.0  # of several networks, see `Keypoints`
    features: Floats | None = None  # [32,32,32] of `full`, where the limb network reads them


@dataclass(frozen=True)
class Glance:
    """What the first network sees in a crop."""

    image: Image
    roi: Roi
    rgb: Floats  # [1,256,256,3] 0..1, the crop
    answer: _Answer

    @property
    def keypoints(self) -> Keypoints:
        """Its landmarks."""
        return _keypoints(self.image, self.roi, self.answer)


@dataclass(frozen=True)
class _Look:
    """What all networks say of one crop."""

    roi: Roi
    answers: list[_Answer]  # of each network in turn, then, with a flip test, of each again
    mean: _Answer

    @property
    def disagreement(self) -> float:
        """Of the networks, see `Keypoints`."""
        return self.mean.disagreement

    def steadiest(self, looks: list[_Look]) -> _Answer:
        """The answer of the network whose limbs keep their place best from crop to crop. Where the next crop lies, and
        who is there, remains the first one's to say."""
        networks = range(len(self.answers)) if len(looks) > 1 else range(1)
        places = [np.stack([_limbs_in_image(k.roi, k.answers[n]) for k in looks]) for n in networks]
        moved = [np.linalg.norm(p - p.mean(0), axis=-1).mean() for p in places]
        chosen, first = self.answers[int(np.argmin(moved))], self.answers[0].landmarks
        rows = chosen.landmarks.copy()
        rows[:, 3:], rows[NUM_LANDMARKS:] = first[:, 3:], first[NUM_LANDMARKS:]
        return replace(chosen, landmarks=rows, score=self.answers[0].score, disagreement=self.disagreement)


def _limbs_in_image(roi: Roi, answer: _Answer) -> Floats:
    return transform_points(invert_affine(crop_matrix(roi, INPUT_PX)), answer.landmarks[_LIMBS, :2])


def _near(crop: Roi, other: Roi) -> bool:
    """Whether two crops show the same person, as far as they can tell."""
    side = min(crop.size_px, other.size_px)
    apart = float(np.linalg.norm(crop.center_px - other.center_px))
    return side >= _MIN_ROI_PX and apart < _SAME_PERSON * side and crop.size_px < _MAX_GROWTH * other.size_px


def _doubted(keypoints: Keypoints, trust: float) -> Keypoints:
    """The same, less certain: confidences times `trust` (0..1), the score half as much less."""
    points = keypoints.keypoints_2d * [1.0, 1.0, trust]
    return replace(keypoints, keypoints_2d=points, score=keypoints.score * (1.0 + trust) / 2)


def _answer(outputs: dict[str, Floats]) -> _Answer:
    """Sort the outputs by their size."""
    by_size = {o.size: o for o in outputs.values()}
    return _Answer(
        landmarks=by_size[39 * 5].reshape(39, 5).astype(np.float64),
        score=float(by_size[1].item()),
        heatmaps=by_size[HEATMAP_PX * HEATMAP_PX * 39].reshape(HEATMAP_PX, HEATMAP_PX, 39),
        world=by_size[39 * 3].reshape(39, 3).astype(np.float64),
        features=by_size[_FEATURES].reshape(LIMBS.inputs["features"]) if _FEATURES in by_size else None,
    )


def _mirrored(seen: _Answer) -> _Answer:
    """What is said of a crop's mirror image, as if said of the crop."""
    landmarks = seen.landmarks * [-1, 1, 1, 1, 1] + [INPUT_PX, 0, 0, 0, 0]
    # a point x pixels from the crop's edge peaks in column x / 4, so column 0 mirrors none: its neighbour does
    heatmaps = np.concatenate([seen.heatmaps[:, -1:], seen.heatmaps[:, :0:-1]], 1)
    return _reordered(_Answer(landmarks, seen.score, heatmaps, seen.world * [-1.0, 1.0, 1.0]), _MIRRORED)


def _reordered(seen: _Answer, order: Ints) -> _Answer:
    """The same points in another order [39]."""
    if (order[1:] > order[:-1]).all():
        return seen
    return _Answer(seen.landmarks[order], seen.score, seen.heatmaps[..., order], seen.world[order])


def _averaged(answers: list[_Answer], networks: int) -> _Answer:
    """The mean of several answers, of so many networks in turn; the auxiliary points and the score keep to the first
    answer, visibility and presence to the first network, for each means something else by them.

    Where one takes left for right, which of them is right is for the memory of sides to find out
    (`perception.sides`): the others' limbs are taken as those of the first that they lie on.
    """
    first = answers[0]
    answers = [first, *(_reordered(other, _order(other, first)) for other in answers[1:])]
    landmarks = np.mean([a.landmarks for a in answers], 0)
    landmarks[:, 3:] = np.mean([a.landmarks[:, 3:] for a in answers[::networks]], 0)
    landmarks[NUM_LANDMARKS:] = first.landmarks[NUM_LANDMARKS:]
    heatmaps = reduce(np.add, (a.heatmaps for a in answers)) / np.float32(len(answers))  # faster than np.mean
    world = np.mean([a.world for a in answers], 0)
    return _Answer(landmarks, first.score, heatmaps, world, _disagreement(answers[:networks]))


def _disagreement(answers: list[_Answer]) -> float:
    """Median distance, in sides of the crop, of the limbs that the first answer is sure of in the others."""
    first = answers[0].landmarks
    sure = _LIMBS[_confidence(first)[_LIMBS] > _SURE]
    limbs = sure if len(sure) >= _LEAST_SURE else _LIMBS
    apart = [np.linalg.norm(a.landmarks[limbs, :2] - first[limbs, :2], axis=-1) for a in answers[1:]]
    return float(np.median(apart)) / INPUT_PX if apart else 0.0


def _confidence(landmarks: Floats) -> Floats:
    """[33] of the network's rows [39,5]."""
    confidence: Floats = sigmoid(landmarks[:NUM_LANDMARKS, 3]) * sigmoid(landmarks[:NUM_LANDMARKS, 4])
    return confidence


def _order(other: _Answer, first: _Answer) -> Ints:
    """[39] which landmark of `other` each landmark of `first` is, by place."""
    order = np.arange(len(_MIRRORED))
    for name, (left, right) in SIDES.items():
        straight, swapped = side_distances(other.landmarks[:, :2], first.landmarks[:, :2], name)
        if swapped < straight:
            order[left], order[right] = order[right], order[left]
    return order


def _camera_axes(world: Floats, angle_rad: float) -> Floats:
    """World landmarks [N,3] of the upright crop turned back to the axes of the image, origin at the mid hip."""
    turned = world @ crop_axes(angle_rad)
    return turned - (turned[BLAZEPOSE["left_hip"]] + turned[BLAZEPOSE["right_hip"]]) / 2


def _inside(points: Floats, width: int, height: int) -> Floats:
    """1 inside the image, 0 outside; points [N,2] px."""
    x, y = points[:, 0], points[:, 1]
    return ((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)).astype(np.float64)
