"""The diffusion prior on held-back motion: noise loss, samples given the evidence, inversion and back.

`python benchmarks/prior.py PAIRS [--prior FILE] [--image FILE.png]`; PAIRS comes from `hmr train pairs --frames 12
--plain` on motion of people that were not trained on. The image shows four people: truth, what was recovered, the
mean that the evidence speaks for, and three samples.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from hmr_ros.body.joints import SMPL_LIMBS
from hmr_ros.body.loading import load_body
from hmr_ros.body.model import BodyModel
from hmr_ros.diffusion.sampler import invert, noised, sample
from hmr_ros.diffusion.skeleton import rotations_from_6d
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.geometry.rotations import axis_angle_from_matrix
from hmr_ros.methods.scorehmr.prior import load_prior
from hmr_ros.networks.kinematics import kinematics
from hmr_ros.train.data.pairs import load_pairs
from hmr_ros.train.data.windows import TARGETS, window_bank
from hmr_ros.types import Floats
from hmr_ros.view.raster import draw_mesh

LEVELS = (50, 100, 200, 400, 600, 800, 1000)
SAMPLES = 8
SAMPLING = [*range(1000, 0, -40), 0]
FINE = list(range(0, 52, 2))


@torch.inference_mode()
def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--prior", type=Path)
    parser.add_argument("--image", type=Path)
    args = parser.parse_args()
    prior, rng = load_prior(args.prior), np.random.default_rng(0)
    torch.manual_seed(0)
    bank = window_bank(load_pairs(args.pairs), prior.size, None, 0, rng)
    last = bank.features.shape[1] - TARGETS
    batch = bank.batch(np.arange(len(bank)), rng, first=last, past=None, future=0, turn=False)
    expected = prior.expect(batch.window, batch.poses, batch.present)
    x0, conditioning = batch.x0, expected.conditioning
    rest = batch.rest.repeat_interleave(TARGETS, 0)
    print(f"{len(x0)} poses of {len(bank)} people")
    for t in LEVELS:
        noise = torch.randn_like(x0)
        wrong = prior.noise(noised(x0, noise, t), t, conditioning) - noise
        print(f"noise loss at t = {t:<5} {wrong.square().mean():.4f}")

    def denoise(x: Tensor, t: int) -> Tensor:
        return prior.noise(x, t, conditioning)

    for name, times, corrections in (
        ("25 steps of 2", FINE, 0), ("50 steps of 1", list(range(51)), 0), ("25 steps of 2, corrected once", FINE, 1),
        ("1 step of 50", [0, 50], 0),
    ):  # fmt: skip
        back = sample(invert(x0, denoise, times, corrections), denoise, times[::-1])
        print(f"inversion to 50 and back, {name}: {(back - x0).abs().mean():.2e} a dimension")
    drawn = [sample(torch.randn_like(x0), denoise, SAMPLING, bound=1.0) for _ in range(SAMPLES)]
    own = batch.poses[:, prior.size.past - 1]
    true = limbs(x0, rest)
    errors = np.array([procrustes_errors(limbs(d, rest), true).mean(1) for d in drawn])
    print(f"PA-MPJPE: recovered {error(own, rest, true):.1f}, mean {error(expected.pose, rest, true):.1f} mm")
    print(f"samples: one {errors.mean():.1f}, best of {SAMPLES} {errors.min(0).mean():.1f} mm")
    deviation = np.std([limbs(d, rest) for d in drawn], axis=0)
    print(f"standard deviation of the samples {1e3 * np.linalg.norm(deviation, axis=-1).mean():.1f} mm a limb joint")
    if args.image:
        rows = np.linspace(0, len(x0) - 1, 4).astype(int)
        columns = [x0, own, expected.pose, *drawn[:3]]
        cv2.imwrite(str(args.image), drawn_people(columns, rows, load_body(None)))
        print(f"image in {args.image}")


def limbs(pose: Tensor, rest: Tensor) -> Floats:
    """Limb joints [N,12,3] m."""
    placed: Floats = kinematics(rotations_from_6d(pose), rest)[1][:, SMPL_LIMBS].double().numpy()
    return placed


def error(pose: Tensor, rest: Tensor, true: Floats) -> float:
    """PA-MPJPE mm."""
    return float(procrustes_errors(limbs(pose, rest), true).mean())


def drawn_people(columns: list[Tensor], rows: np.ndarray, body: BodyModel) -> np.ndarray:
    """Bodies from the front, one person a row."""
    size = 220
    K = np.array([[300.0, 0, size / 2], [0, 300.0, size / 2], [0, 0, 1]])
    colors = np.tile([200.0, 180.0, 160.0], (len(body.faces), 1))
    out = []
    for row in rows:
        strip = []
        for column in columns:
            pose = axis_angle_from_matrix(rotations_from_6d(column[row]).double().numpy())
            vertices = body.vertices(pose[0], pose[1:].reshape(-1), np.zeros(10), np.zeros(3))
            vertices = vertices - vertices.mean(0) + [0.0, 0.0, 3.2]
            strip.append(draw_mesh(np.full((size, size, 3), 40, np.uint8), vertices, body.faces, K, colors))
        out.append(np.hstack(strip))
    return np.vstack(out)


if __name__ == "__main__":
    main()
