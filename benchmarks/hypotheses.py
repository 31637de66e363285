"""Diff-HMR's distribution on people that no network was trained on: its mean, its samples, its coverage.

`python benchmarks/hypotheses.py PAIRS [--weights FILE] [--temperature X] [--image FILE.png]`; PAIRS comes from
`hmr train pairs --plain` (the seven clips' kind of motion). Joints relative to the pelvis, camera axes. Coverage:
share of joints inside the 68 and 95 % ellipsoids; rank: Spearman's correlation of sigma with the error; best of n:
PA-MPJPE of 12 limb joints and MPJPE of 24; reprojection: the samples' against the mean's, from the true joints.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from hmr_ros.body.coarse import coarse_of, sparse_points
from hmr_ros.body.fitting import PointFitter
from hmr_ros.body.joints import JOINT_GROUPS, SMPL_LIMBS
from hmr_ros.body.loading import load_body
from hmr_ros.body.model import forward_kinematics
from hmr_ros.diffusion.skeleton import rotations_from_6d
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.evaluate.probabilistic import best_of, coverage, crps, rank
from hmr_ros.geometry.rotations import axis_angle_from_matrix
from hmr_ros.io.model_store import asset
from hmr_ros.methods.diffhmr.network import load_network
from hmr_ros.methods.diffhmr.recovery import mean_rotations, sampled_covariance
from hmr_ros.methods.diffhmr.sampling import Sampler
from hmr_ros.methods.posturehmr.graphs import torch_posture
from hmr_ros.methods.posturehmr.mesh2d import load_mesh2d
from hmr_ros.train.data.batches import Mix, PairBank
from hmr_ros.train.data.pairs import load_pairs
from hmr_ros.train.data.stills import StillBank, still_bank
from hmr_ros.train.data.windows import DECODER_STEPS
from hmr_ros.train.diffhmr import bones_of, drawn, recovered_sigma
from hmr_ros.types import Floats
from hmr_ros.view.raster import draw_mesh

COUNTS = (1, 5, 8, 10, 25)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--weights", type=Path, default=asset("diffhmr.safetensors"))
    parser.add_argument("--temperature", type=float, default=1.0, help="factor of the calibrated temperature")
    parser.add_argument("--count", type=int, default=8, help="samples that mean and covariance are made of")
    parser.add_argument("--image", type=Path)
    args = parser.parse_args()
    net, bank = load_network(args.weights), seen_alone(args.pairs)
    net.temperature.mul_(args.temperature)
    batch = bank.batch(np.arange(len(bank)))
    sampled = drawn(net, batch, max(args.count, 25), seed=3).double().numpy()
    rest, true = batch.rest.double().numpy(), joints_of(batch.rotations.double().numpy(), batch.rest.double().numpy())
    many = joints_of(sampled.reshape(-1, 24, 3, 3), np.repeat(rest, sampled.shape[1], 0)).reshape(*sampled.shape[:3], 3)
    answer = joints_of(np.array([mean_rotations(s[: args.count]) for s in sampled]), rest)
    pelvis = batch.pelvis.double().numpy()
    spread = net.spread.double().numpy()
    covariance = np.array([
        sampled_covariance(m[: args.count], sigma, spread, at)
        for m, sigma, at in zip(many, recovered_sigma(batch), answer + pelvis[:, None], strict=True)
    ])  # fmt: skip
    means(true, recovered=joints_of(rotations_from_6d(batch.poses).double().numpy(), rest), samples=answer)
    curve(many, answer, true)
    distribution(many, answer, true, covariance)
    print(f"reprojection of the samples {reprojection(many, answer, true, pelvis):.2f} times that of their mean")
    cost(net, bank)
    if args.image:
        draw(args.image, batch, sampled)


def seen_alone(folder: Path) -> StillBank:
    """The pairs as they are, through the posture networks and the fit."""
    body = load_body(None)
    mesh = coarse_of(body)
    landmarks = load_mesh2d(asset("mesh2d.safetensors")).landmarks.double().numpy()
    pairs = PairBank(load_pairs(folder), body, mesh, landmarks)
    fitter = PointFitter(sparse_points(body, mesh))
    return still_bank(
        pairs, body, torch_posture(DECODER_STEPS, {}), fitter, np.random.default_rng(0), Mix(augment=False)
    )


def joints_of(rotations: Floats, rest: Floats) -> Floats:
    """Joints [N,24,3] m relative to the pelvis."""
    joints = forward_kinematics(rotations, rest)[1]
    return joints - joints[:, :1]


def means(true: Floats, **found: Floats) -> None:
    """PA-MPJPE of the limb joints and MPJPE of point estimates."""
    for name, joints in found.items():
        aligned = procrustes_errors(joints[:, SMPL_LIMBS], true[:, SMPL_LIMBS]).mean()
        print(f"mean pose, {name:<10} PA-MPJPE {aligned:6.1f}, MPJPE {1e3 * away(joints - true).mean():6.1f} mm")


def curve(many: Floats, answer: Floats, true: Floats) -> None:
    """Best of n."""
    limbs = procrustes_errors(answer[:, SMPL_LIMBS], true[:, SMPL_LIMBS]).mean()
    whole = 1e3 * away(answer - true).mean()
    aligned = best_of(many[:, :, SMPL_LIMBS], true[:, SMPL_LIMBS], COUNTS)
    rooted = best_of(many, true, COUNTS, aligned=False)
    for n in COUNTS:
        print(f"best of {n:<3} PA-MPJPE {aligned[n]:6.1f} ({aligned[n] / limbs:.2f} of the mean's), "
              f"MPJPE {rooted[n]:6.1f} ({rooted[n] / whole:.2f})")  # fmt: skip


def distribution(many: Floats, answer: Floats, true: Floats, covariance: Floats) -> None:
    """Coverage, rank and CRPS by joint group."""
    print(f"{'joints':<12}{'mm':>7}{'68 %':>7}{'95 %':>7}{'rank':>7}{'CRPS':>7}")
    for group, joints in {**JOINT_GROUPS, "all": np.arange(24)}.items():
        rows = joints[joints > 0]
        e, C = (answer - true)[:, rows], covariance[:, rows]
        shares = [100 * coverage(e, C, share) for share in (0.68, 0.95)]
        score = crps(many[:, :, rows], true[:, rows])
        print(f"{group:<12}{1e3 * away(e).mean():7.1f}{shares[0]:7.1f}{shares[1]:7.1f}{rank(e, C):7.2f}{score:7.1f}")


def reprojection(many: Floats, answer: Floats, true: Floats, pelvis: Floats) -> float:
    """Distance from the true joints on the plane z = 1, limb joints: samples over mean."""

    def flat(joints: Floats, at: Floats) -> Floats:
        placed = joints[..., SMPL_LIMBS, :] + at
        return placed[..., :2] / np.maximum(placed[..., 2:], 0.3)

    there = flat(true, pelvis[:, None])
    off = away(flat(answer, pelvis[:, None]) - there).mean()
    return float(away(flat(many, pelvis[:, None, None]) - there[:, None]).mean() / off)


def away(errors: Floats) -> Floats:
    """Length of the last axis."""
    return np.linalg.norm(errors, axis=-1)


@torch.inference_mode()
def cost(net, bank: StillBank) -> None:
    """ms of eight samples of one person, torch, one thread."""
    torch.set_num_threads(1)
    one, sampler = bank.batch(np.zeros(8, int)), Sampler(net, 10)
    noise, bones = torch.zeros(8, net.size.numbers + 24), bones_of(one.rest)
    times = []
    for _ in range(50):
        start = time.perf_counter()
        sampler(one.features, one.poses, noise, bones, one.pelvis)
        times.append(time.perf_counter() - start)
    print(f"eight samples of one person: {1e3 * np.median(times):.1f} ms (torch, one thread)")


def draw(path: Path, batch, sampled: Floats, people: int = 4) -> None:
    """From the left: truth and four hypotheses of some people."""
    body = load_body(None)
    K = np.array([[480.0, 0, 120], [0, 480.0, 150], [0, 0, 1]])
    rows = []
    for i in range(0, len(sampled), max(1, len(sampled) // people))[:people]:
        cells = []
        for rotations in (batch.rotations[i].double().numpy(), *sampled[i, :4]):
            angles = axis_angle_from_matrix(rotations)
            vertices = body.vertices(angles[0], angles[1:].reshape(-1), np.zeros(10), np.zeros(3))
            vertices = vertices - vertices.mean(0) + [0, 0, 3.6]
            image = np.full((300, 240, 3), 255, np.uint8)
            cells.append(draw_mesh(image, vertices, body.faces, K, np.tile((200.0, 150.0, 90.0), (len(body.faces), 1))))
        rows.append(np.concatenate(cells, 1))
    cv2.imwrite(str(path), np.concatenate(rows))


if __name__ == "__main__":
    main()
