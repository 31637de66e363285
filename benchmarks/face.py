"""Where neck and head lie in the image, as mixtures of nose, middle of the ears and middle of the shoulders.

`python benchmarks/face.py PAIRS...`: least squares over rendered people whose five landmarks are clear (weights of the
three, which sum to one), and the error of the recovery's own mixture in percent of the person's
extent in the image.
"""

import argparse
from pathlib import Path

import numpy as np

from hmr_ros.body.joints import SMPL
from hmr_ros.body.loading import load_body
from hmr_ros.geometry.camera import project
from hmr_ros.methods.posturehmr.recovery import FACE, FACE_MIXTURE
from hmr_ros.train.data.pairs import load_pairs
from hmr_ros.types import Floats

_CLEAR = 0.8
_ROUNDS = 10  # of reweighting: long errors count by their length, not by its square


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path, nargs="+")
    pairs, body = load_pairs(*parser.parse_args().pairs), load_body(None)
    clear = pairs.keypoints_2d[:, np.concatenate(FACE), 2].min(1) > _CLEAR
    rows = np.flatnonzero(clear & (pairs.score > _CLEAR))
    pose = pairs.pose.astype(np.float64)
    true, size = np.empty((len(rows), 24, 2)), np.empty((len(rows), 1))
    for i, k in enumerate(rows):
        joints = body.joints(pose[k, :3], pose[k, 3:], pairs.betas[k].astype(np.float64), pairs.transl[k])
        true[i] = project(joints, pairs.K[k].astype(np.float64))
        size[i] = np.ptp(true[i], axis=0).max()
    points = np.array([pairs.keypoints_2d[rows][:, part, :2].mean(1) for part in FACE], np.float64) / size  # [3,N,2]
    for name, own in zip(("neck", "head"), FACE_MIXTURE, strict=True):
        wanted = true[:, SMPL[name]] / size
        found = mixture(points, wanted)
        error = 100 * np.linalg.norm(np.einsum("p,pnc->nc", own, points) - wanted, axis=-1)
        print(
            f"{name}: nose, ears, shoulders {np.round(found, 2)}; own {own} off by {error.mean():.2f} % mean, "
            f"{np.median(error):.2f} % median, {len(rows)} people"
        )


def mixture(points: Floats, wanted: Floats) -> Floats:
    """Weights [3] with sum 1 for which the mean distance of the mixture of `points` [3,N,2] from `wanted` is least."""
    A = (points[:2] - points[2]).reshape(2, -1).T
    b = (wanted - points[2]).reshape(-1)
    weight = np.ones(len(b))
    for _ in range(_ROUNDS):
        x = np.linalg.lstsq(A * weight[:, None], b * weight, rcond=None)[0]
        length = np.linalg.norm((A @ x - b).reshape(-1, 2), axis=1)
        weight = np.repeat(1 / np.sqrt(np.maximum(length, 1e-3)), 2)
    return np.array([*x, 1 - x.sum()])


if __name__ == "__main__":
    main()
