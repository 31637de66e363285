"""The honest baseline: a plain MLP from the same 33 key points straight to the 81 points, no mesh, no steps.

`python benchmarks/lifter.py PAIRS --val VAL --motion NPZ --out DIR --steps N` trains it on the decoder's batches and
prints its PA-MPJPE on VAL with BlazePose's and with true key points.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from posture import report, true_limbs
from torch import Tensor, nn

from hmr_ros.body.coarse import NUM_SPARSE, SPARSE_LIMBS, coarse_of
from hmr_ros.body.loading import load_body
from hmr_ros.io.model_store import asset
from hmr_ros.methods.posturehmr.mesh2d import CHANNELS, NUM_LANDMARKS, load_mesh2d
from hmr_ros.methods.posturehmr.process import fk_state
from hmr_ros.synth.poses import load_recorded
from hmr_ros.train.data.batches import Batch, Mix, PairBank, with_true_keypoints
from hmr_ros.train.data.pairs import load_pairs
from hmr_ros.train.loop import Losses, Schedule, train


class Lifter(nn.Module):
    """Key points [B,33,6] and log scale -> points [B,81,3]; 2.4 M parameters."""

    def __init__(self, hidden: int = 1024) -> None:
        super().__init__()
        inputs = NUM_LANDMARKS * CHANNELS + 1
        layers: list[nn.Module] = []
        for width in (inputs, hidden, hidden):
            layers += [nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.GELU()]
        self.net = nn.Sequential(*layers[:6], nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, NUM_SPARSE * 3))

    def forward(self, points: Tensor, log_scale: Tensor) -> Tensor:
        """Pelvis-centred, aimed camera axes, metres."""
        return self.net(torch.cat([points.flatten(1), log_scale[:, None]], 1)).reshape(-1, NUM_SPARSE, 3)


def main() -> None:
    """Train and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path, nargs="+")
    parser.add_argument("--val", type=Path, required=True)
    parser.add_argument("--motion", type=Path, help="motion whose poses are mixed in, as for the decoder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    body = load_body(None)
    landmarks = load_mesh2d(asset("mesh2d.safetensors")).landmarks.double().numpy()
    recorded = None if args.motion is None else load_recorded(args.motion)
    bank = PairBank(load_pairs(*args.pairs), body, coarse_of(body), landmarks, recorded)
    val = PairBank(load_pairs(args.val), body, coarse_of(body), landmarks)

    def prepare(rng: np.random.Generator) -> Batch:
        return bank.batch(rng.integers(0, len(bank), args.batch), rng, Mix())

    def step(net: nn.Module, batch: Batch) -> Losses:
        truth = fk_state(bank.posed, batch.pose, batch.betas, 0 * batch.scale, NUM_SPARSE)
        return {"posture": (net(batch.points, batch.log_scale) - truth).norm(dim=-1).mean()}

    torch.manual_seed(args.seed)
    schedule = Schedule(args.out, args.steps, args.batch, seed=args.seed, every=500)
    net = train(Lifter(), prepare, step, lambda _: {}, schedule)
    index = np.arange(min(len(val), 1000))
    inputs = {
        "BlazePose": val.batch(index, np.random.default_rng(0), Mix(augment=False)),
        "true 2D": with_true_keypoints(val, index, depth=False),
    }
    for name, batch in inputs.items():
        with torch.inference_mode():
            found = net(batch.points, batch.log_scale).double().numpy()
        report(f"MLP lifter, {name}", found[:, SPARSE_LIMBS], true_limbs(batch, val))


if __name__ == "__main__":
    main()
