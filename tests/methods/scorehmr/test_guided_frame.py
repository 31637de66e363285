"""The guided frame as it is exported against its own equations: whole windows, losses and sampling, in float64."""

import math
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from hmr_ros.body.joints import SMPL_PARENTS
from hmr_ros.body.model import forward_kinematics
from hmr_ros.diffusion.reprojection import Seen, keypoint_step
from hmr_ros.diffusion.sampler import invert, sample, spread
from hmr_ros.diffusion.skeleton import Skeleton, rotations_from_6d
from hmr_ros.diffusion.smoothing import NewtonWindow, couplings
from hmr_ros.io.model_store import asset
from hmr_ros.methods.dummy_inputs import make_inputs
from hmr_ros.methods.scorehmr.guidance import (
    LIMBS,
    depth_energy,
    fused_poses,
    pelvis_at,
    pelvis_stiffness,
    stiffness,
    turn_root,
)
from hmr_ros.methods.scorehmr.guided_frame import GuidedFrame, refine_graph
from hmr_ros.methods.scorehmr.settings import Guidance, MotionSpread
from hmr_ros.methods.scorehmr.streaming import refine_signature
from hmr_ros.networks.denoiser import AXIS_6D
from hmr_ros.runtime.onnxruntime import OnnxRuntimeEngine
from hmr_ros.runtime.torch import TorchEngine

FRAMES = 16
SIGNATURE = refine_signature(14, 768, FRAMES)


def inputs(seed, gap=None, filled=None):
    given = make_inputs(SIGNATURE, 1 + seed % 4, seed)
    if gap is not None:
        given["seconds"] = np.full_like(given["seconds"], gap)
    if filled is not None:
        row = np.arange(FRAMES) >= FRAMES - filled
        given["present"] = np.broadcast_to(row, given["present"].shape).astype(np.float32)
    return given


CASES = [
    *(inputs(seed) for seed in range(6)),
    *(inputs(seed, gap, filled) for seed, gap in enumerate((0.01, 0.033, 0.1)) for filled in (1, 2, 8, 16)),
]


@pytest.fixture(scope="module")
def prior():
    """In float64, by reference so that no rounding of ours hides an error."""
    return refine_graph(FRAMES, {}).module.double()._prior


def newest(energy):
    """Minimum [P,J*c] and curvature [P,J] of the last row, from the whole matrix."""
    count = energy._precision.shape[2]
    H = torch.diag_embed(energy._precision.transpose(1, 2)) + energy._A[:, None]
    return energy.minimum()[:, -1], 1 / torch.linalg.inv(H)[:, :count, -1, -1]


def by_definition(prior, given, guidance):
    """Joints [P,24,3] of a guided frame put together from whole windows and the sampler's own loop, float64."""
    t = {k: torch.as_tensor(v).double() for k, v in given.items()}
    aim, back = t["aim"], t["aim"].transpose(1, 2)
    context, pose, log_spread = prior.evidence(t["window"], turn_root(t["poses"], back[:, None]), t["known"])
    conditioning = prior.denoiser.conditioning(context)
    precision = torch.exp(-2 * log_spread) / AXIS_6D**2
    mean, precision = fused_poses(turn_root(pose, aim), precision, t["measured"], t["trust"])
    A = couplings(t["seconds"], t["present"], *guidance.motion)
    means, precisions = (torch.cat([t[n], new[:, None]], 1) for n, new in (("means", mean), ("precisions", precision)))
    x, held = newest(NewtonWindow(means, precisions, A))
    last = t["log_depth"][:, -1:]
    energy = depth_energy(t["log_depth"] - last, t["seconds"], t["present"], guidance, t["sigma_depth"][:, None, None])
    depth = (last + newest(energy)[0]).exp()[:, 0]
    sigma_ray = t["sigma_ray"][:, None]
    seen = Seen(
        t["rays"], t["confidence"] * depth[:, None] / sigma_ray, guidance.outlier / depth, depths=t["depths"],
        depth_weights=t["depth_weights"],
    )  # fmt: skip
    skeleton, window, placed = Skeleton(t["bones"]), x, []

    def step(clean, level):
        pull = guidance.prior / spread(level) ** 2
        share = (held / (held + pull)).repeat_interleave(6, 1)
        rotations = rotations_from_6d(clean + share * (window - clean))
        posed = skeleton.pose(rotations)
        at = pelvis_at(posed.joints[:, LIMBS], seen, t["recovered"], depth, sigma_ray)
        firm = stiffness(held + pull, t["floor"][:, None])
        moved, pelvis = keypoint_step(posed, rotations, at, LIMBS, [seen], firm, pelvis_stiffness(depth))
        placed.append(pelvis)
        return moved - clean

    def denoise(noisy, level):
        times = prior.denoiser.times(torch.tensor([float(level)]).double())
        return turn_root(prior.denoiser.at(turn_root(noisy, back), times, conditioning), aim)

    x = sample(invert(x, denoise, [0, guidance.tau]), denoise, guidance.levels, step=step)
    return joints(rotations_from_6d(x).numpy(), placed[-1].numpy(), given["bones"])


def joints(rotations, pelvis, bones):
    rest = np.zeros(bones.shape)
    for joint in range(1, 24):
        rest[:, joint] = rest[:, SMPL_PARENTS[joint]] + bones[:, joint]
    return forward_kinematics(rotations.astype(float), rest)[1] + pelvis[:, None]


@pytest.fixture(scope="module", params=["shipped file", "torch"])
def engine(request):
    if request.param == "torch":
        return TorchEngine(refine_graph(FRAMES, {}))
    return OnnxRuntimeEngine(asset("refine_16.onnx"), "refine", 1)


@torch.inference_mode()
@pytest.mark.parametrize("case", range(len(CASES)))
def test_no_joint_is_a_twentieth_of_a_millimetre_off(engine, prior, case):
    """At any rate from 10 to 100 Hz and with any filling of the window."""
    given = CASES[case]
    found = engine(given)
    torch.set_default_dtype(torch.float64)
    try:
        expected = by_definition(prior, given, Guidance(frames=FRAMES))
    finally:
        torch.set_default_dtype(torch.float32)
    off = np.linalg.norm(joints(found["rotations"], found["pelvis"], given["bones"]) - expected, axis=-1)
    assert off.max() < 5e-5


def test_the_file_is_light_to_launch():
    """Hundreds of operations, not thousands; casts of stored weights are folded when it is loaded."""
    model = onnx.load(str(asset("refine_16.onnx")))
    stored = {t.name for t in model.graph.initializer}
    launched = [n for n in model.graph.node if n.op_type != "Cast" or n.input[0] not in stored]
    assert len(launched) < 920
    assert not {"Constant", "Shape", "Loop", "If", "Scan", "ScatterND"} & {n.op_type for n in launched}


def test_a_motion_that_holds_changes_is_refused():
    guidance = replace(Guidance(), motion=MotionSpread(0.1, math.inf))
    with pytest.raises(ValueError, match="leave `change` infinite"):
        GuidedFrame(refine_graph(FRAMES, {}).module._prior, guidance)
