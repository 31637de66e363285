"""HMDiff on held-back pairs: what alignment, its variants, steps, and other knowledge put into U change.

`python benchmarks/hmdiff.py PAIRS [--hmdiff FILE ...] [--one-step FILE ...]`; PAIRS comes from `hmr train pairs
--plain` on motion of people that were not trained on; several files are seeds, and rows are mean and spread over them.
Columns: PA-MPJPE and MPJPE (12 limb joints, mm) of the 81 points, PA-MPJPE after the fit of `recover: posture`, of one
sample, and of the best of eight; error over sigma (1 where sigma is right).
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from posture import fit

from hmr_ros.body.coarse import JOINT_IDS, NUM_SPARSE, SPARSE_LIMBS, coarse_of, sparse_points
from hmr_ros.body.fitting import PointFitter
from hmr_ros.body.loading import load_body
from hmr_ros.body.model import BodyModel
from hmr_ros.config import HmdiffConfig
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.evidence.keypoints import Normalised, aimed_heat, rays_of
from hmr_ros.evidence.record import Evidence, Posture, keypoints_of, posture_of
from hmr_ros.io.model_store import asset
from hmr_ros.methods.hmdiff.alignment import Alignment, remaining_sigma, reverse
from hmr_ros.methods.hmdiff.graphs import HmdiffModule, hmdiff_graph, torch_pullback
from hmr_ros.methods.hmdiff.prior import Measured, depths, joints, prior_of, rays
from hmr_ros.methods.hmdiff.source import UNIT_M, HmdiffPosture, heat_rows
from hmr_ros.methods.posturehmr.graphs import torch_posture
from hmr_ros.methods.posturehmr.mesh2d import load_mesh2d
from hmr_ros.methods.posturehmr.recovery import evidence_2d
from hmr_ros.runtime.torch import TorchEngine
from hmr_ros.train.data.batches import PairBank
from hmr_ros.train.data.pairs import load_pairs, seen_of, taken
from hmr_ros.types import Camera, Floats

CHUNK = 100
_SENSOR = 0.02  # m, of noisy depth joints and joints
_SECOND_RAY = 0.01  # m across the ray, of the second camera's joints
_ALL_JOINTS = list(range(len(JOINT_IDS)))


@dataclass(frozen=True)
class Held:
    """People that nothing was trained on."""

    evidence: list[Evidence]
    truth: Floats  # [N,81,3] m, pelvis at the origin
    pelvis: Floats  # [N,3] m


@dataclass(frozen=True)
class Found:
    """Answers for N people."""

    points: Floats  # [N,81,3] m
    sigma: Floats  # [N,81] m
    samples: Floats  # [N,S,81,3] m


Known = Callable[[Held, np.random.Generator], list[Measured]]


def main() -> None:
    """One line a way to go."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--hmdiff", type=Path, nargs="+", default=[asset("hmdiff.safetensors")])
    parser.add_argument("--one-step", type=Path, nargs="*", default=[])
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--rows", nargs="*", help="only rows whose name holds one of these words")
    args = parser.parse_args()
    body = load_body(None)
    held = held_back(args.pairs, body, args.count)
    print(f"{len(held.truth)} people; {'':<38} PA-MPJPE    MPJPE   fitted  one sample  best of 8  error/sigma")
    for name, files, run in ways(args.hmdiff, args.one_step, body):
        if args.rows and not any(word in name for word in args.rows):
            continue
        rows = [figures(run(file, held), held, body) for file in files]
        report(name, np.array(rows))


def held_back(folder: Path, body: BodyModel, count: int) -> Held:
    """The first `count` people that the tracker would keep."""
    pairs = load_pairs(folder)
    bank = PairBank(pairs, body, coarse_of(body), load_mesh2d(asset("mesh2d.safetensors")).landmarks.double().numpy())
    rows = np.flatnonzero(pairs.score > 0.5)[:count]
    network, evidence = torch_posture(2), []
    for i in rows:
        camera = Camera(pairs.K[i].astype(float), 0, 0)
        seen_rays = rays_of(pairs.keypoints_2d[i, :, :2].astype(float)[None], camera)
        seen = seen_of(taken(pairs, np.array([i])))
        heat = aimed_heat(pairs.heat[i].astype(float)[None], camera, seen.R_camera_aimed, seen.scale)[0]
        posture = network(seen.points, np.log(seen.scale))
        leans = None if seen.leans is None else seen.leans[0]
        scale, aimed = float(seen.scale[0]), seen.R_camera_aimed[0]
        evidence.append(Evidence(seen_rays[0], seen.points[0], scale, aimed, posture, None, heat, leans))
    n = len(rows)
    truth = bank.truth(bank.pose[:n], bank.root[:n], bank.betas[:n])[:, :NUM_SPARSE]
    return Held(evidence, truth, bank.pelvis[:n])


def ways(trained: list[Path], one_step: list[Path], body: BodyModel) -> Iterator[tuple[str, list[Path], Callable]]:
    """Names, files (seeds) and what runs one of them."""
    yield "M2P decoder, 2 steps", trained[:1], lambda file, held: decoder(held)
    if one_step:
        yield "one step: points at once", one_step, lambda file, held: sampled(file, held, body, 1, None, zero=True)
    for steps in (1, 2, 4, 10, 40):
        yield f"no alignment, {steps} steps", trained, _way(body, steps, None)
        yield f"DAT, {steps} steps", trained, _way(body, steps, Alignment())
    yield "DAT, 10 steps, rule on the whole gap", trained, _way(body, 10, Alignment(excess=False))
    yield "DAT, 10 steps, always active", trained, _way(body, 10, Alignment(threshold=0.0))
    yield "DAT, 10 steps, sum of all u_i", trained, _way(body, 10, Alignment(draws="sum"))
    for gamma in (1e-3, 1e-2):
        through = f"DAT, 10 steps, gradient {gamma:g}"
        yield f"{through} through the denoiser", trained, _way(body, 10, Alignment(gamma=gamma), through=True)
        paper = Alignment(draws="sum", excess=False, gamma=gamma)
        yield f"{through}, sum, whole gap", trained, _way(body, 10, paper, through=True)
    for name, known in KNOWN.items():
        yield f"U: {name}", trained, _way(body, 10, Alignment(), known)


def _way(
    body: BodyModel, steps: int, how: Alignment | None, known: Known | None = None, *, through: bool = False
) -> Callable[[Path, Held], Found]:
    return lambda file, held: sampled(file, held, body, steps, how, known, through=through)


def decoder(held: Held) -> Found:
    """What M2P says of the same evidence."""
    posture = posture_of(held.evidence)
    return Found(posture.points, posture.sigma, posture.points[:, None])


def sampled(
    file: Path, held: Held, body: BodyModel, steps: int, how: Alignment | None, known: Known | None = None, *,
    through: bool = False, zero: bool = False,
) -> Found:  # fmt: skip
    """HMDiff with weights `file`; `zero`: a file of the one-step baseline, which starts from zeros."""
    count = 1 if zero else 8
    graph = hmdiff_graph(count, {"hmdiff": file})
    module = graph.module
    assert isinstance(module, HmdiffModule)
    config = HmdiffConfig(steps=steps, samples=count)
    source = HmdiffPosture(config, body, TorchEngine(graph), None)  # type: ignore[arg-type]
    parts = []
    for start in range(0, len(held.truth), CHUNK):
        rows = slice(start, start + CHUNK)
        some = Held(held.evidence[rows], held.truth[rows], held.pelvis[rows])
        people = source.begin(keypoints_of(some.evidence), zero=zero)
        measured = known(some, np.random.default_rng(start)) if known else []
        prior = source.prior(people, heat_rows(some.evidence), measured) if how else None
        chosen = how
        if how and through:
            seen = people.seen
            chosen = replace(how, pullback=torch_pullback(module, seen.points, np.log(seen.scale)))
        h = reverse(people.denoise, people.noise, steps, prior, chosen, people.first, UNIT_M)
        found = UNIT_M * (h - h[:, :, :1])
        besides = prior_of(measured, 1, np.random.default_rng(0)) if measured else None
        parts.append((found.mean(1), remaining_sigma(besides, people.first, UNIT_M), found))
    return Found(*(np.concatenate([p[i] for p in parts]) for i in range(3)))


def true_depth(held: Held, rng: np.random.Generator) -> list[Measured]:
    """Depth of the limb joints, exact."""
    return [_depth(held, rng, 1e-3)]


def noisy_depth(held: Held, rng: np.random.Generator) -> list[Measured]:
    """Depth of the limb joints as a depth camera gives it; a quarter of them unknown."""
    measured = _depth(held, rng, _SENSOR)
    unknown = rng.random(measured.sigma.shape) < 0.25
    return [replace(measured, sigma=np.where(unknown, np.inf, measured.sigma))]


def second_camera(held: Held, rng: np.random.Generator) -> list[Measured]:
    """The joints seen by a calibrated camera from the side, 3 m away."""
    N = len(held.truth)
    placed = held.truth[:, _ALL_JOINTS] + held.pelvis[:, None]
    R = np.broadcast_to(np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]), (N, 3, 3))
    t = np.array([0.0, 0.0, 3.0]) - (R @ held.pelvis[..., None])[..., 0]
    there = placed @ R[0].T + t[:, None]
    off = _SECOND_RAY * rng.standard_normal((N, len(_ALL_JOINTS), 2)) / there[..., 2:]
    sigma = np.full((N, len(_ALL_JOINTS)), _SECOND_RAY)
    return [rays(_selection(), there[..., :2] / there[..., 2:] + off, sigma, R, t)]


def better_2d(held: Held, rng: np.random.Generator) -> list[Measured]:
    """The same camera's joints by a detector that is right to a centimetre."""
    placed = held.truth[:, _ALL_JOINTS] + held.pelvis[:, None]
    off = 0.01 * rng.standard_normal((*placed.shape[:2], 2)) / placed[..., 2:]
    return [rays(_selection(), placed[..., :2] / placed[..., 2:] + off, np.full(placed.shape[:2], 0.01))]


def given_joints(held: Held, rng: np.random.Generator) -> list[Measured]:
    """Joints in 3D with their covariance, five centimetres along the ray and two across."""
    spread = np.array([0.02, 0.02, 0.05])
    points = held.truth[:, SPARSE_LIMBS] + spread * rng.standard_normal((len(held.truth), len(SPARSE_LIMBS), 3))
    covariance = np.broadcast_to(np.diag(spread**2), (*points.shape, 3))
    return [joints(SPARSE_LIMBS.tolist(), points, covariance, relative=True)]


KNOWN: dict[str, Known] = {
    "true depth of the limb joints": true_depth, "noisy depth, a quarter missing": noisy_depth,
    "second camera": second_camera, "better 2D joints": better_2d, "3D joints with covariance": given_joints,
}  # fmt: skip


def _depth(held: Held, rng: np.random.Generator, sigma: float) -> Measured:
    z = (held.truth + held.pelvis[:, None])[:, SPARSE_LIMBS, 2]
    return depths(SPARSE_LIMBS.tolist(), z + sigma * rng.standard_normal(z.shape), np.full(z.shape, sigma))


def _selection() -> Floats:
    return np.eye(NUM_SPARSE)[_ALL_JOINTS]


def figures(found: Found, held: Held, body: BodyModel) -> list[float]:
    """The columns."""
    truth = held.truth[:, SPARSE_LIMBS]
    own = pa(found.points, truth)
    flat = posture_of(held.evidence)
    posture = Posture(flat.points_2d, flat.sigma_2d, found.points, found.sigma)
    fitter = PointFitter(sparse_points(body, coarse_of(body)))
    discounted = replace(posture, sigma=0.75 * posture.sigma)  # as in `recover: posture`
    fitted = fit(fitter, discounted, *evidence_2d(_seen(held), posture))
    each = np.array([pa(found.samples[:, s], truth) for s in range(found.samples.shape[1])])
    off = found.points[:, SPARSE_LIMBS] - truth
    wrong = np.sqrt((off**2 / found.sigma[:, SPARSE_LIMBS, None] ** 2).mean())
    plain = 1e3 * np.linalg.norm(off - off[:, :2].mean(1, keepdims=True), axis=-1).mean()
    return [own.mean(), plain, pa(fitted, truth).mean(), each.mean(), each.min(0).mean(), wrong]


def pa(points: Floats, truth: Floats) -> Floats:
    """PA-MPJPE [N] mm of the limb joints among the points [N,81,3]."""
    return procrustes_errors(points[:, SPARSE_LIMBS], truth).mean(1)


def _seen(held: Held) -> Normalised:
    return keypoints_of(held.evidence)


def report(name: str, rows: Floats) -> None:
    """One line: mean, and over several seeds the standard deviation of the first columns."""
    mean = rows.mean(0)
    spread = f"  +-{rows[:, 0].std(ddof=1):.1f}, fitted +-{rows[:, 2].std(ddof=1):.1f}" if len(rows) > 1 else ""
    columns = " ".join(
        f"{m:{width}}" for m, width in zip(mean, ("8.1f", "8.1f", "8.1f", "11.1f", "10.1f", "12.2f"), strict=True)
    )
    print(f"{name:<50} {columns}{spread}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
