"""Fits what the world knows of people: when soles stand (assets/contacts.npz), and which way is up in a body's own axes
(assets/upright.npz).

`python benchmarks/world_rules.py train.npz train2.npz --seconds 1500 --out hmr_ros/assets`: pieces of motion are
rendered before tilted cameras and recovered as files are (with BlazePose full alone); contacts are regressed on what
was recovered, up on the motions themselves. Beside each MOTION.npz its MOTION_index.json names the clips; `--skip NAME`
leaves some out. The figures that it prints are of folds that were left out, of contacts by foot.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from hmr_ros.body.loading import load_body
from hmr_ros.body.model import forward_kinematics
from hmr_ros.config import HmrConfig, with_values
from hmr_ros.evaluate.world import contact_f1
from hmr_ros.factory import build_pipeline, offline
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.io.results import Motion, load_arrays
from hmr_ros.pipeline import Pipeline
from hmr_ros.synth.crowd import arranged
from hmr_ros.synth.render import render_motions, truth_arrays, world_arrays
from hmr_ros.types import Floats, Frame, Human
from hmr_ros.world import contact
from hmr_ros.world.feet import Soles
from hmr_ros.world.upright import own_positions
from hmr_ros.world.walk import walk_of

RATE = 30.0
PITCH_DEG, ROLL_DEG = (-30.0, 18.0), 4.0
RIDGE_UP, RIDGE_CONTACT = 1.0, 3e-3
CAUTION = 0.3  # added to the logit, so that 0.5 is where F1 is best
FOLDS = 4
UPRIGHT = 0.5  # cosine of the pelvis' tilt from which a posture counts as one of standing or walking


@dataclass(frozen=True)
class Piece:
    """What was recovered of a piece of motion, and the truth."""

    points: Floats  # [F,4,3] m of the soles, in the world
    sight: Floats  # [F,2]
    contacts: Floats  # [F,4]


def main() -> None:
    """Fit both and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("motions", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=1500, help="of rendering and recovering")
    parser.add_argument("--skip", nargs="*", default=[], help="clips by name")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    clips = [c for path in args.motions for c in clips_of(path) if c[0] not in args.skip]
    np.savez_compressed(args.out / "upright.npz", weights=up_weights([m for _, m in clips]))
    pieces = list(recovered([m for _, m in clips], args.seconds))
    print(f"{len(pieces)} pieces, {sum(len(p.points) for p in pieces)} frames")
    found: dict[str, Floats] = {}
    for name, rows in (("whole", whole_rows), ("causal", causal_rows)):
        weights, bias = fitted(name, pieces, [rows(p) for p in pieces])
        found |= {f"{name}_weights": weights, f"{name}_bias": np.array(bias + CAUTION)}
    np.savez_compressed(args.out / "contacts.npz", **found)


def clips_of(path: Path) -> list[tuple[str, Motion]]:
    """Clips without bad frames, with their names."""
    arrays = load_arrays(path)
    index = json.loads(path.with_name(f"{path.stem}_index.json").read_text())
    out = []
    for clip in index:
        rows = slice(clip["start"], clip["end"])
        if clip["end"] - clip["start"] >= 45 and not arrays["bad_frame"][rows].any():
            poses, trans = (arrays[n][rows].astype(float) for n in ("poses", "trans"))
            out.append((clip["name"], Motion(poses, trans, np.zeros(10), RATE)))
    return out


def up_weights(motions: list[Motion]) -> Floats:
    """Ridge regression of up in the body's own axes on where its joints are in them."""
    body, rows, up = load_body(), [], []
    rest = body.rest_joints(np.zeros(10))
    for m in motions:
        rotations = matrix_from_axis_angle(m.poses[::4].reshape(-1, 24, 3))
        axes, joints = forward_kinematics(rotations, np.broadcast_to(rest, (len(rotations), 24, 3)))
        for a, j in zip(axes[:, 0], joints, strict=True):
            if a[1, 1] > UPRIGHT:
                rows.append(np.append(own_positions(a, j), 1.0))
                up.append(a[1])
    A = np.array(rows)
    ridge = RIDGE_UP * np.diag(np.r_[np.ones(A.shape[1] - 1), 0.0])
    return np.asarray(np.linalg.solve(A.T @ A + ridge, A.T @ np.array(up)))


def recovered(motions: list[Motion], seconds: float) -> Iterator[Piece]:
    """Pieces of random motions before random cameras, until the time is over."""
    rng = np.random.default_rng(7)
    config = offline(with_values(HmrConfig(), {"tracker.landmark_network": "full", "threads": 1}))
    pipeline, end = build_pipeline(config), time.monotonic() + seconds
    while time.monotonic() < end:
        whole = motions[rng.integers(len(motions))]
        start, count = int(rng.integers(0, max(1, len(whole.poses) - 75))), int(rng.integers(60, 90))
        rows = slice(start, start + count)
        betas = np.clip(rng.normal(0, 0.7, 10), -2, 2)
        motion = Motion(whole.poses[rows], whole.trans[rows], betas, RATE)
        tilt = float(rng.uniform(*PITCH_DEG)), float(rng.normal(0, ROLL_DEG))
        piece = piece_of(pipeline, motion, tilt, int(rng.integers(1e6)))
        if piece is not None:
            yield piece


def piece_of(pipeline: Pipeline, motion: Motion, tilt: tuple[float, float], seed: int) -> Piece | None:
    """One piece; None where the person was lost."""
    body, truths = pipeline.body, []
    camera = replace(guess_camera(480, 360), guessed=False)
    motions, view = arranged([motion], body, "own", camera, seed, tilt)

    def frames() -> Iterator[Frame]:
        for i, (image, people) in enumerate(render_motions(motions, body, view, seed)):
            truths.append(replace(people[0], vertices=np.zeros(0)))
            yield Frame(i, round(i * 1e9 / RATE), image, view.camera)

    pipeline.reset()
    humans: list[Human] = [h for result in pipeline.results(frames()) for h in result.humans]
    if [h.frame for h in humans] != list(range(len(truths))):
        return None
    arrays = truth_arrays(truths, view.camera, RATE, body.name, False)
    world = world_arrays(arrays, view, body, RATE)
    walk = walk_of(humans, world["R_world_camera"], Soles(body))
    return Piece(walk.points, walk.pelvis[:, :2], world["contacts"])


def whole_rows(piece: Piece) -> Floats:
    """[F,4,N] as `ContactRule` reads a file."""
    given = contact.features(piece.points, contact.ground(piece.points[..., 2].min(1)), piece.sight)
    return contact.windows(given, contact.BEFORE, contact.AFTER)


def causal_rows(piece: Piece) -> Floats:
    """[F,4,N] as `LiveWorld` reads a stream."""
    lowest, out = piece.points[..., 2].min(1), []
    for i in range(len(lowest)):
        rows = np.maximum(np.arange(i - contact.CAUSAL_BEFORE - 1, i + 1), 0)
        ground = contact.ground_so_far(lowest[max(0, i - round(RATE)) : i + 1])
        given = contact.features(piece.points[rows], np.full(len(rows), ground), piece.sight[rows])
        out.append(np.moveaxis(given[1:], 0, 1).reshape(4, -1))
    return np.array(out)


def fitted(name: str, pieces: list[Piece], rows: list[Floats]) -> tuple[Floats, float]:
    """Weights and bias of the rule; prints F1 of pieces that it was not fitted to."""
    chances, truth = [], []
    for fold in range(FOLDS):
        kept = [i for i in range(len(pieces)) if i % FOLDS != fold]
        weights, bias = logistic([rows[i] for i in kept], [pieces[i].contacts for i in kept])
        for i in range(fold, len(pieces), FOLDS):
            chances.append(1 / (1 + np.exp(-(rows[i] @ weights + bias + CAUTION))))
            truth.append(pieces[i].contacts)
    print(f"{name}: F1 {contact_f1(np.concatenate(chances), np.concatenate(truth)):.3f}")
    return logistic(rows, [p.contacts for p in pieces])


def logistic(rows: list[Floats], contacts: list[Floats]) -> tuple[Floats, float]:
    """Logistic regression with a ridge on standardised features."""
    X, y = np.concatenate([r.reshape(-1, r.shape[-1]) for r in rows]), np.concatenate([c.reshape(-1) for c in contacts])
    mean, spread = X.mean(0), X.std(0) + 1e-6
    Z = (X - mean) / spread

    def loss(w: Floats) -> tuple[float, Floats]:
        logit = Z @ w[:-1] + w[-1]
        error = 1 / (1 + np.exp(-np.clip(logit, -30, 30))) - y
        value = (np.logaddexp(0, logit) - y * logit).mean() + RIDGE_CONTACT * (w[:-1] ** 2).sum()
        return float(value), np.append(Z.T @ error / len(y) + 2 * RIDGE_CONTACT * w[:-1], error.mean())

    w = minimize(loss, np.zeros(Z.shape[1] + 1), jac=True, method="L-BFGS-B").x
    return w[:-1] / spread, float(w[-1] - (w[:-1] * mean / spread).sum())


if __name__ == "__main__":
    main()
