"""Fit the weights of the crop check anew: `python benchmarks/fit_crop_check.py DATA [--networks both] [--draws 3]`.

DATA holds the images of `detector_people.csv`. Boxes as in `crops.py`, drawn several times: of each marked person as
marked, in another size, turned and shifted, and where nobody is; of each what `CropCheck.settle` finds out, right = the
answer's crop lies on a marked person. A logistic function of `CropEvidence.features` with a little shrinkage. Prints
the weights beside those that ship, and for both how many right and wrong answers they accept at 0.6; those of the new
weights are of images that they were not fitted to (ten folds). What ships was fitted once to 1024 crops judged by eye,
half of them of images that may not be passed on (docs/results.md), so weights differ: what is compared is the decision.
"""

import argparse
from pathlib import Path

import numpy as np
from crops import boxes, right
from detector import read_scenes
from scipy.optimize import minimize
from tqdm import tqdm

from hmr_ros.config import DetectorConfig
from hmr_ros.io.model_store import landmark_models
from hmr_ros.perception import crop_check
from hmr_ros.perception.crop_check import CropCheck
from hmr_ros.perception.finders import build_finder
from hmr_ros.perception.landmarks import Landmarker

ACCEPTED, FOLDS, SHRINK = 0.6, 10, 0.01
NAMES = ("1", "landmark score", "certainty", "apart", "disagreement", "wandered")


def main() -> None:
    """Gather, fit, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--networks", choices=("full", "both"), default="full")
    parser.add_argument("--draws", type=int, default=3)
    args = parser.parse_args()
    check = CropCheck(build_finder(DetectorConfig(), 1), Landmarker(landmark_models(args.networks), 1))
    features, good, image = gathered(check, list(read_scenes(args.data)), args.draws)
    weights = fitted(features, good)
    print(f"{len(good)} answers, {good.sum()} of them right")
    for name, ours, new in zip(NAMES, crop_check._WEIGHTS, weights, strict=True):
        print(f"{name:<15} ships {ours:8.2f}   fitted {new:8.2f}")
    report("ships", features @ crop_check._WEIGHTS, good)
    report("fitted, other images", cross_validated(features, good, image), good)


def gathered(check, scenes, draws):
    """Features [N,6] of all answers, which of them are right [N], and of which image they are [N]."""
    rng, rows = np.random.default_rng(0), []
    for number, (_, image, people) in enumerate(tqdm(scenes, unit="image")):
        for _ in range(draws):
            for _, proposal in boxes(image, people, rng):
                found = check.settle(image, proposal)
                if found is not None:
                    rows.append((found[1].features(), right(found[0].next_roi, people), number))
    features, good, image = zip(*rows, strict=True)
    return np.array(features), np.array(good), np.array(image)


def fitted(features, good):
    """Weights [6] of the logistic function: the most likely ones, slopes shrunk in units of their spread."""
    scale = np.r_[1.0, np.maximum(features[:, 1:].std(0), 1e-6)]
    middle = np.r_[0.0, features[:, 1:].mean(0)]
    x, sign = (features - middle) / scale, np.where(good, 1.0, -1.0)

    def loss(w):
        return np.logaddexp(0.0, -sign * (x @ w)).mean() + SHRINK * (w[1:] ** 2).sum()

    w = minimize(loss, np.zeros(x.shape[1])).x / scale
    w[0] -= w[1:] @ middle[1:]
    return w


def cross_validated(features, good, image):
    """Log odds [N], each from weights that saw nothing of its image."""
    odds = np.zeros(len(good))
    for fold in range(FOLDS):
        held = image % FOLDS == fold
        if held.any():
            odds[held] = features[held] @ fitted(features[~held], good[~held])
    return odds


def report(name, odds, good):
    """What is accepted at 0.6."""
    taken = odds > np.log(ACCEPTED / (1 - ACCEPTED))
    print(f"{name:<21} accepts {taken[good].mean():.3f} of right answers, {taken[~good].mean():.3f} of wrong ones")


if __name__ == "__main__":
    main()
