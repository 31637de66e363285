"""How the landmark network errs on real people, for training on people that were never photographed.

Rendered people mislead BlazePose: it takes their limbs' depth for the wrong sign three times as often as that of real
ones. `RealErrors` says what it does on real people, bone by bone, as fitted to calibrated clips with a 3D reference
(`benchmarks/landmark_errors.py`), and draws 3D landmarks with such errors for any body.

A bone of length L leaves the image plane by its lean, arcsin(dz / L), towards the back where positive. What is said
about it: length * L long, at the lean s * gain * lean + bias + noise (s = -1 for a share `flip` of the bones) and
turned in the image plane. A part of the noise stays with a person from frame to frame, the rest is new in each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtri

from hmr_ros.body.joints import BLAZEPOSE
from hmr_ros.body.landmark_bones import KINDS, LANDMARK_BONES, bones_of, landmark_end, rebuilt
from hmr_ros.errors import AssetError
from hmr_ros.io.model_store import asset
from hmr_ros.types import Bools, Floats

SIGN_RAD = np.radians(17.0)  # the sign of a smaller lean is not counted
_LEAST_CLUSTER = 12  # frames of a bone in a view that say something about its kind
_GAIN, _GAIN_RIDGE = 0.8, 0.2  # what a gain is held to, and how firmly: variance of leans [rad^2] times clusters
_MOST_FLIPS = 0.15
_SIZE_SD = 0.08  # of the log of what all lengths have in common
_LEAST_LASTING_DEG = 5.0  # few people are known


@dataclass(frozen=True)
class BoneErrors:
    """What is said about bones of one kind; angles in degrees."""

    gain: float
    bias: float
    lasting: float  # standard deviation of the lean's noise that stays with the person
    passing: float  # and of that which does not
    flip: float  # share of bones seen with the other sign
    turn: float  # standard deviation of the direction in the image plane
    length: float  # mean ratio of what is said to the truth
    length_sd: float


_UNSEEN = BoneErrors(_GAIN, 0.0, 8.0, 5.0, 0.05, 6.0, 0.95, 0.05)  # of kinds that no view shows


@dataclass(frozen=True)
class RealErrors:
    """Errors on real people."""

    bones: dict[str, BoneErrors]  # by kind
    pixels: float  # median error of the limb landmarks in the image, in sizes of the person
    persistence: float  # correlation of the passing noise from one 1/30 s to the next

    def world(self, landmarks: Floats, rng: np.random.Generator, steps: int = 1) -> Floats:
        """3D landmarks [N,T,33,3] m as they would be said, axes of a camera aimed at each, from the mid hip.

        `landmarks` [N,T,33,3] m are the true ones of N people over T frames, which are `steps` / 30 s apart. Lengths
        of all bones have a factor in common, for the network knows nobody's size.
        """
        count = len(landmarks)
        drawn = {k: self._drawn(landmarks, k, rng, steps) for k in KINDS}
        size = np.exp(rng.normal(0.0, _SIZE_SD, (count, 1, 1, 1)))
        return np.asarray(rebuilt(landmarks, drawn) * size)

    def _drawn(self, landmarks: Floats, kind: str, rng: np.random.Generator, steps: int) -> Floats:
        """Bones [N,T,S,3] of one kind as they are said."""
        e, (count, frames) = self.bones[kind], landmarks.shape[:2]
        bones = bones_of(landmarks, kind)
        length, lean, turn = lean_of(bones)
        shape = count, 1, bones.shape[-2]
        passing = _walk(count, frames, bones.shape[-2], self.persistence**steps, rng)
        noise = np.radians(e.lasting) * rng.normal(size=shape) + np.radians(e.passing) * passing
        # a flip lasts: it is the person's pose that misleads
        sign = np.where(_walk(count, frames, bones.shape[-2], 0.5 + self.persistence**steps / 2, rng)
                        < ndtri(e.flip), -1.0, 1.0)  # fmt: skip
        lean = np.clip(sign * e.gain * lean + np.radians(e.bias) + noise, -np.pi / 2, np.pi / 2)
        turn = turn + np.radians(e.turn) * rng.normal(size=shape)
        length = length * np.maximum(e.length + e.length_sd * rng.normal(size=shape), 0.3)
        flat = length * np.cos(lean)
        return np.stack([flat * np.cos(turn), flat * np.sin(turn), length * np.sin(lean)], -1)


@dataclass(frozen=True)
class Cluster:
    """One bone in one view: F frames of the truth and of what is said, and how good the truth is."""

    kind: str
    true: Floats  # [F,3] m, axes of a camera aimed at the person
    said: Floats  # [F,3] m
    reference_m: float  # standard deviation an axis of the true bone


def clusters(true: Floats, said: Floats, reliable: Floats, reference_m: float) -> list[Cluster]:
    """Every bone of a view with enough frames; `true`, `said` [F,33,3] m as in `Cluster`, `reliable` [F,33]."""
    found = []
    for kind, bones in LANDMARK_BONES.items():
        for parent, child in bones:
            good = _both(reliable, parent) & _both(reliable, child)
            if good.sum() >= _LEAST_CLUSTER:
                bone, heard = (landmark_end(a[good], child) - landmark_end(a[good], parent) for a in (true, said))
                found.append(Cluster(kind, bone, heard, reference_m))
    return found


def fit_errors(views: Iterable[Cluster], pixels: float, persistence: float) -> RealErrors:
    """The table from all bones of all views."""
    by_kind: dict[str, list[Cluster]] = {}
    for cluster in views:
        by_kind.setdefault(cluster.kind, []).append(cluster)
    bones = {kind: _fitted(by_kind[kind]) if kind in by_kind else _UNSEEN for kind in KINDS}
    for kind in ("hips", "shoulders"):  # from left to right: what is a bias here is the other way round in a mirror
        e = bones[kind]
        bones[kind] = replace(e, bias=0.0, lasting=round(float(np.hypot(e.lasting, e.bias)), 2))
    return RealErrors(bones, pixels, persistence)


def _fitted(seen: list[Cluster]) -> BoneErrors:
    pairs = [(lean_of(c.true), lean_of(c.said)) for c in seen]
    flips = [np.abs(t[1]) > SIGN_RAD for t, _ in pairs]
    wrong = [f & (t[1] * s[1] < 0) & (np.abs(s[1]) > SIGN_RAD / 2) for f, (t, s) in zip(flips, pairs, strict=True)]
    flip = min(sum(w.sum() for w in wrong) / max(sum(f.sum() for f in flips), 1), _MOST_FLIPS)
    leans = [(t[1][~w], s[1][~w]) for w, (t, s) in zip(wrong, pairs, strict=True) if (~w).any()]
    # every bone of every view counts the same, however many frames it has
    mean = np.array([[t.mean(), s.mean(), np.mean(t * t), np.mean(t * s)] for t, s in leans])
    n = len(mean)
    A = np.array([[mean[:, 2].mean() + _GAIN_RIDGE / n, mean[:, 0].mean()], [mean[:, 0].mean(), 1.0]])
    gain, bias = np.linalg.solve(A, [mean[:, 3].mean() + _GAIN * _GAIN_RIDGE / n, mean[:, 1].mean()])
    rest = [s - gain * t - bias for t, s in leans]
    reference = np.mean([c.reference_m / np.median(t[0]) for c, (t, _) in zip(seen, pairs, strict=True)])
    passing = _less(np.mean([1.48 * np.median(np.abs(r - np.median(r))) for r in rest]), reference)
    lasting = float(np.sqrt(np.mean([np.median(r) ** 2 for r in rest])))
    ratio = [np.median(s[0] / t[0]) for t, s in pairs]
    turns = [np.median(_wrapped(s[2] - t[2])[np.abs(t[1]) < np.pi / 4]) for t, s in pairs
             if (np.abs(t[1]) < np.pi / 4).any()]  # fmt: skip
    turn = float(np.sqrt(np.mean(np.square(turns)))) if turns else reference
    return BoneErrors(
        gain=round(float(gain), 3), bias=_deg(bias), lasting=max(_deg(lasting), _LEAST_LASTING_DEG),
        passing=_deg(passing), flip=round(float(flip), 3), turn=_deg(turn), length=round(float(np.mean(ratio)), 3),
        length_sd=round(max(float(np.std(ratio)), 0.04), 3),
    )  # fmt: skip


def lean_of(bones: Floats) -> tuple[Floats, Floats, Floats]:
    """Length m, lean rad (positive = away from the camera) and direction in the image plane rad of bones [...,3]."""
    length = np.maximum(np.linalg.norm(bones, axis=-1), 1e-6)
    return length, np.arcsin(np.clip(bones[..., 2] / length, -1, 1)), np.arctan2(bones[..., 1], bones[..., 0])


def save_errors(path: Path, errors: RealErrors, notes: dict[str, Any]) -> None:
    """As JSON; `notes` say what it was fitted to."""
    path.write_text(json.dumps(asdict(errors) | {"notes": notes}, indent=1) + "\n", encoding="utf-8")


def load_errors(path: Path | None = None) -> RealErrors:
    """Of a file of `save_errors`; None: the shipped table."""
    path = path or asset("landmark_errors.json")
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        bones = {kind: BoneErrors(**tree["bones"][kind]) for kind in KINDS}
        return RealErrors(bones, float(tree["pixels"]), float(tree["persistence"]))
    except OSError as error:
        raise AssetError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise AssetError(
            f"{path} is no table of landmark errors; make one with benchmarks/landmark_errors.py"
        ) from error


def _both(reliable: Floats, name: str) -> Bools:
    sides = (name,) if name in BLAZEPOSE else (f"left_{name[:-1]}", f"right_{name[:-1]}")
    return np.asarray(reliable[:, [BLAZEPOSE[side] for side in sides]].min(1) > 0)


def _walk(count: int, frames: int, bones: int, correlation: float, rng: np.random.Generator) -> Floats:
    """Noise [N,T,S] of variance one, correlated over time."""
    noise = rng.normal(size=(count, frames, bones))
    for t in range(1, frames):
        noise[:, t] = correlation * noise[:, t - 1] + np.sqrt(1 - correlation**2) * noise[:, t]
    return noise


def _wrapped(angle: Floats) -> Floats:
    return np.asarray((angle + np.pi) % (2 * np.pi) - np.pi)


def _less(spread: Any, part: Any) -> float:
    """What is left of a standard deviation without an independent part; at least a quarter."""
    return float(np.sqrt(max(float(spread) ** 2 - float(part) ** 2, (float(spread) / 4) ** 2)))


def _deg(angle: Any) -> float:
    return round(float(np.degrees(angle)), 2)
