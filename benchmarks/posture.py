"""The posture networks on held-back pairs: PA-MPJPE of the 12 limb joints with BlazePose's and with true key points.

`python benchmarks/posture.py PAIRS [--m2p FILE] [--mesh2d FILE]`; PAIRS comes from `hmr train pairs --plain` on motion
of people that were not trained on. Rows: step counts 1, 2, 4, 10, before and after the SMPL fit. "true 2D" gives the
networks the projections of the body points that the landmarks stand for and no depth at all. With `--motion NPZ`
instead of BlazePose: frames of that motion from any side, cameras nearly level, true 2D points. With `--facing` the
decoder's error in 2 steps by the side from which people are seen.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from hmr_ros.body.coarse import SPARSE_LIMBS, coarse_of, sparse_points
from hmr_ros.body.fitting import Observed, PointFitter
from hmr_ros.body.joints import BLAZEPOSE_LIMBS
from hmr_ros.body.loading import load_body
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.evidence.keypoints import Normalised, normalise
from hmr_ros.evidence.record import Posture
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.io.model_store import asset
from hmr_ros.methods.posturehmr.graphs import torch_posture
from hmr_ros.methods.posturehmr.mesh2d import load_mesh2d
from hmr_ros.methods.posturehmr.process import fk_state
from hmr_ros.methods.posturehmr.recovery import evidence_2d
from hmr_ros.methods.posturehmr.sources import PostureNetwork
from hmr_ros.synth.poses import load_recorded
from hmr_ros.train.data.batches import Batch, Mix, PairBank, upright_views, with_true_keypoints
from hmr_ros.train.data.pairs import load_pairs
from hmr_ros.types import Floats

CHUNK = 200


def main() -> None:
    """Print one line a kind of input, step count and stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--m2p", type=Path, default=asset("m2p.safetensors"))
    parser.add_argument("--mesh2d", type=Path, default=asset("mesh2d.safetensors"))
    parser.add_argument("--motion", type=Path, help="true 2D points of this motion instead of the pairs' images")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--facing", action="store_true")
    args = parser.parse_args()
    body, weights = load_body(None), {"mesh2d": args.mesh2d, "m2p": args.m2p}
    sparse = sparse_points(body, coarse_of(body))
    landmarks = load_mesh2d(args.mesh2d).landmarks.double().numpy()
    bank = PairBank(load_pairs(args.pairs), body, coarse_of(body), landmarks)
    if args.motion:
        batch = unrendered(bank, load_recorded(args.motion).poses, args.count, np.random.default_rng(0))
        network = torch_posture(2, weights)
        posture = network(batch.points.double().numpy(), batch.log_scale.double().numpy())
        true = true_limbs(batch, bank)
        report("true 2D, 2 steps", posture.points[:, SPARSE_LIMBS], true)
        report_fits("true 2D, 2 steps", PointFitter(sparse), posture, batch, true)
        return
    index = np.arange(min(len(bank), args.count))
    blazepose = bank.batch(index, np.random.default_rng(0), Mix(augment=False))
    true_2d = with_true_keypoints(bank, index, depth=False)
    truth = true_limbs(blazepose, bank)
    if args.facing:
        for name, batch in (("BlazePose", blazepose), ("true 2D", true_2d)):
            by_facing(name, torch_posture(2, weights), batch, true_limbs(batch, bank))
        return
    report("BlazePose's 3D landmarks", blazepose.points[:, BLAZEPOSE_LIMBS, 3:].double().numpy(), truth)
    no_depth = replace(blazepose, points=torch.cat([blazepose.points[..., :3], 0 * blazepose.points[..., 3:]], -1))
    for name, batch in (("BlazePose", blazepose), ("BlazePose, no depth", no_depth), ("true 2D", true_2d)):
        true = true_limbs(batch, bank)
        for steps in (1, 2, 4, 10):
            network = torch_posture(steps, weights)
            posture = network(batch.points.double().numpy(), batch.log_scale.double().numpy())
            report(f"{name}, {steps} steps", posture.points[:, SPARSE_LIMBS], true)
            if steps == 2:
                report_fits(f"{name}, {steps} steps", PointFitter(sparse), posture, batch, true)


def by_facing(name: str, network: PostureNetwork, batch: Batch, true: Floats) -> None:
    """One line a side; the angle is that between where the chest points and the way to the camera."""
    found = network(batch.points.double().numpy(), batch.log_scale.double().numpy()).points[:, SPARSE_LIMBS]
    front = matrix_from_axis_angle(batch.pose[:, 0].double().numpy())[:, 2, 2]
    angle = np.degrees(np.arccos(np.clip(front, -1, 1)))
    for side, low, high in (("from the front", 0, 60), ("from the side", 60, 120), ("from behind", 120, 181)):
        rows = (angle >= low) & (angle < high)
        report(f"{name}, {side} ({rows.sum()})", found[rows], true[rows])


def unrendered(bank: PairBank, poses: Floats, count: int, rng: np.random.Generator) -> Batch:
    """People in `poses` [F,24,3] before cameras that are nearly level, with the true projections of the landmarks."""
    assert bank.landmarks is not None
    pose = poses[rng.choice(len(poses), count)].copy()
    root = upright_views(matrix_from_axis_angle(pose[:, 0]), rng)
    betas = rng.normal(0, 0.7, (count, 10))
    pelvis = np.stack([rng.normal(0, 0.4, count), rng.normal(0, 0.2, count), rng.uniform(2.5, 6, count)], 1)
    placed = bank.landmarks @ bank.truth(pose, root, betas) + pelvis[:, None]
    seen = normalise(placed[..., :2] / placed[..., 2:], np.ones(placed.shape[:2]), 0 * placed)
    aimed = np.swapaxes(seen.R_camera_aimed, 1, 2)
    pose[:, 0] = axis_angle_from_matrix(np.diag([1.0, -1.0, -1.0]) @ aimed @ root)
    arrays = (seen.points, np.log(seen.scale), pose, betas, np.einsum("nab,nb->na", aimed, pelvis), seen.scale)
    return Batch(*(torch.as_tensor(a, dtype=torch.float32) for a in arrays))


def true_limbs(batch: Batch, bank: PairBank) -> Floats:
    """True limb joints [N,12,3] in the axes of the batch's cameras."""
    with torch.no_grad():
        return fk_state(bank.posed, batch.pose, batch.betas, 0 * batch.scale).double().numpy()[:, SPARSE_LIMBS]


def report_fits(name: str, fitter: PointFitter, posture: Posture, batch: Batch, true: Floats) -> None:
    """As `recover: posture` fits, which takes landmarks for the limb joints, and to the 2D mesh alone, which
    knows that they are other points of the body."""
    size = batch.scale.double().numpy()[:, None]
    people = Normalised(batch.points.double().numpy(), size[:, 0], np.tile(np.eye(3), (len(size), 1, 1)))
    report(f"{name}, fitted", fit(fitter, posture, *evidence_2d(people, posture))[:, SPARSE_LIMBS], true)
    mesh = posture.points_2d * size[..., None], posture.sigma_2d * size
    report(f"{name}, fitted to the 2D mesh", fit(fitter, posture, *mesh)[:, SPARSE_LIMBS], true)


def fit(fitter: PointFitter, posture: Posture, rays: Floats, sigma: Floats) -> Floats:
    """Points [N,81,3] of the SMPL bodies fitted to 3D points and `rays` [N,81,2] with `sigma` [N,81]."""
    count = len(rays)
    wanted = Observed(posture.points, posture.sigma, rays, sigma, np.zeros((count, 10)), np.ones(count))
    given = [array for array in vars(wanted).values() if array is not None]
    parts = [Observed(*(array[k : k + CHUNK] for array in given)) for k in range(0, count, CHUNK)]
    return np.concatenate([fitter(part).points for part in parts])


def report(name: str, predicted: Floats, truth: Floats) -> None:
    """One line."""
    errors = procrustes_errors(predicted, truth).mean(1)
    root = truth[:, :2].mean(1, keepdims=True), predicted[:, :2].mean(1, keepdims=True)
    plain = 1e3 * np.linalg.norm((predicted - root[1]) - (truth - root[0]), axis=-1).mean()
    print(f"{name:<46} PA-MPJPE mean {errors.mean():6.1f}  median {np.median(errors):6.1f}  MPJPE {plain:6.1f} mm")


if __name__ == "__main__":
    main()
