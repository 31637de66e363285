"""Do heat maps say how wrong a landmark is? Held-back pairs, rank correlation with the landmark's 2D error.

`python benchmarks/heatmaps.py PAIRS`; PAIRS comes from `hmr train pairs --plain` on motion of people that were not
trained on. Spearman's coefficient of what is known of a landmark with its distance from where its mixture of body
points is seen, in sizes of the person: the spread of the heat (root of the mean of the covariance's eigenvalues), its
mass, the confidence. One line a group of landmarks; "all" mixes them, which asks more. The second table is the error
by confidence, as `hmdiff/prior.py` uses it.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from hmr_ros.body.coarse import coarse_of
from hmr_ros.body.joints import BLAZEPOSE_LANDMARKS
from hmr_ros.body.loading import load_body
from hmr_ros.io.model_store import asset
from hmr_ros.methods.posturehmr.mesh2d import load_mesh2d
from hmr_ros.train.data.batches import PairBank
from hmr_ros.train.data.pairs import PairSet, load_pairs
from hmr_ros.types import Floats

GROUPS = {
    "face": ("nose", "eye", "ear", "mouth"), "shoulders": ("shoulder",), "elbows": ("elbow",), "wrists": ("wrist",),
    "hands": ("pinky", "index", "thumb"), "hips": ("hip",), "knees": ("knee",), "ankles": ("ankle",),
    "feet": ("heel", "foot"),
}  # fmt: skip
CONFIDENCES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 1.001)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path, nargs="+")
    args = parser.parse_args()
    pairs = load_pairs(*args.pairs)
    body = load_body(None)
    landmarks = load_mesh2d(asset("mesh2d.safetensors")).landmarks.double().numpy()
    bank = PairBank(pairs, body, coarse_of(body), landmarks)
    heat = spread_and_mass(pairs, bank)
    error = np.linalg.norm(bank.residual_2d, axis=-1)
    known = {"spread": heat[0], "mass": -heat[1], "confidence": -bank.points[..., 2]}
    print(f"{len(bank)} people; {'landmarks':<12} {'error':>7} " + " ".join(f"{n:>11}" for n in known))
    for name, rows in members().items():
        there = np.isfinite(heat[0][:, rows])
        ranks = [float(spearmanr(k[:, rows][there], error[:, rows][there])[0]) for k in known.values()]
        print(f"{name:<23} {np.median(error[:, rows]):7.3f} " + " ".join(f"{r:11.2f}" for r in ranks))
    print("\nroot of the mean square of the error an axis, by confidence\n" + " " * 23
          + " ".join(f"{low:6.2f}" for low in CONFIDENCES[:-1]))  # fmt: skip
    for name, rows in members().items():
        print(f"{name:<23}" + " ".join(f"{s:6.3f}" for s in by_confidence(bank, rows)))


def members() -> dict[str, list[int]]:
    """Indices of each group's landmarks, and of all."""
    groups = {
        group: [i for i, name in enumerate(BLAZEPOSE_LANDMARKS) if any(_is(name, p) for p in parts)]
        for group, parts in GROUPS.items()
    }
    return groups | {"all": list(range(len(BLAZEPOSE_LANDMARKS)))}


def _is(name: str, part: str) -> bool:
    return part in name and not (part == "index" and "foot" in name)


def spread_and_mass(pairs: PairSet, bank: PairBank) -> tuple[Floats, Floats]:
    """[N,33] of the people in the bank: spread in sizes of the person, and mass."""
    keep = pairs.score > 0.5
    heat = pairs.heat[keep].astype(float)
    focal = np.sqrt(pairs.K[keep, 0, 0] * pairs.K[keep, 1, 1]).astype(float)
    size_px = (bank.scale * focal)[:, None]
    return np.sqrt((heat[..., 2] + heat[..., 4]) / 2) / size_px, heat[..., 5]


def by_confidence(bank: PairBank, rows: list[int]) -> list[float]:
    """Error an axis of the landmarks `rows` in each class of confidence; NaN where it is rare."""
    error, confidence = bank.residual_2d[:, rows].reshape(-1, 2), bank.points[:, rows, 2].reshape(-1)
    found = []
    for low, high in pairwise(CONFIDENCES):
        inside = (confidence >= low) & (confidence < high)
        found.append(float(np.sqrt((error[inside] ** 2).mean())) if inside.sum() > 30 else np.nan)
    return found


if __name__ == "__main__":
    main()
