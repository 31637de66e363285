"""Training of the diffusion prior and of the evidence that it is conditioned on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from hmr_ros.body.joints import SMPL_LIMBS
from hmr_ros.diffusion.schedule import STEPS, cosine_alphas
from hmr_ros.diffusion.skeleton import rotations_from_6d
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.methods.scorehmr.prior import POSE_6D, Prior, PriorSize
from hmr_ros.networks.kinematics import rooted_joints
from hmr_ros.train.data.windows import TARGETS, WindowBank, WindowBatch
from hmr_ros.train.loop import Losses, Schedule, set_statistics, train
from hmr_ros.types import Floats

_WEIGHTS = {"noise": 1.0, "pose": 1.0, "joint": 10.0, "likelihood": 0.1, "acceleration": 3.0, "denoised": 3.0}
_NEAR = 400  # below this t the denoised pose is judged by its joints too


def train_prior(
    bank: WindowBank, held_back: WindowBank, size: PriorSize, schedule: Schedule, start: Prior | None = None
) -> Prior:
    """Noise prediction (ScoreHMR Eq. 11) together with the mean pose that the evidence allows; goes on from `start`.

    The mean is judged by its joints and by how they accelerate over neighbouring frames; the denoised pose by its
    joints where little noise was added.
    """
    torch.manual_seed(schedule.seed)
    model = Prior(size) if start is None else start
    if start is None:
        set_statistics(model.evidence, *bank.statistics())
    alphas = torch.as_tensor(cosine_alphas(), dtype=torch.float32, device=schedule.device)

    def prepare(rng: np.random.Generator) -> tuple[WindowBatch, Tensor, Tensor]:
        batch = bank.batch(rng.integers(0, len(bank), schedule.batch), rng)
        t = torch.as_tensor(rng.integers(1, STEPS + 1, schedule.batch * TARGETS))
        noise = torch.as_tensor(rng.standard_normal((schedule.batch * TARGETS, POSE_6D)), dtype=torch.float32)
        return batch, t, noise

    def step(net: nn.Module, drawn: tuple[WindowBatch, Tensor, Tensor]) -> Losses:
        assert isinstance(net, Prior)
        batch, t, noise = drawn
        context, pose, log_spread = net.evidence(batch.window, batch.poses, batch.present)
        a = alphas[t][:, None]
        x_t = a.sqrt() * batch.x0 + (1 - a).sqrt() * noise
        predicted = net.denoiser(x_t, t.float(), net.denoiser.conditioning(context))
        return _losses(batch, pose, log_spread, predicted - noise, a, t)

    @torch.inference_mode()
    def validate(net: nn.Module) -> dict[str, float]:
        assert isinstance(net, Prior)
        return figures(net, held_back)

    trained = train(model, prepare, step, validate, schedule)
    assert isinstance(trained, Prior)
    return trained


def joints_of(pose: Tensor, rest: Tensor) -> Tensor:
    """6D poses [B*TARGETS,144] and rest joints [B,24,3] -> joints [B,TARGETS,24,3] m, pelvis at the origin."""
    return rooted_joints(rotations_from_6d(pose), rest.repeat_interleave(TARGETS, 0)).reshape(-1, TARGETS, 24, 3)


def _losses(batch: WindowBatch, pose: Tensor, log_spread: Tensor, wrong: Tensor, a: Tensor, t: Tensor) -> Losses:
    x0 = batch.x0
    joints = joints_of(pose, batch.rest)
    distance = (joints - batch.joints).norm(dim=-1)
    second = joints[:, 0] - 2 * joints[:, 1] + joints[:, 2]
    true_second = batch.joints[:, 0] - 2 * batch.joints[:, 1] + batch.joints[:, 2]
    turned = (pose - x0).reshape(-1, 24, 6).norm(dim=-1)
    near = torch.nonzero(t <= _NEAR)[:, 0]
    # the x0 that the predicted noise implies
    implied = (x0 - ((1 - a) / a).sqrt() * wrong)[near]
    rest = batch.rest.repeat_interleave(TARGETS, 0)[near]
    denoised = (rooted_joints(rotations_from_6d(implied), rest) - batch.joints.flatten(0, 1)[near]).norm(dim=-1)
    losses = {
        "noise": wrong.square().mean(),
        "pose": (pose - x0).abs().mean(),
        "joint": distance.mean(),
        "likelihood": (turned.detach() * torch.exp(-log_spread) + log_spread).mean(),
        "acceleration": (second - true_second).norm(dim=-1).mean(),
        "denoised": denoised.sum(0).mean() / len(t),
    }
    return {name: _WEIGHTS[name] * value for name, value in losses.items()}


def figures(net: Prior, bank: WindowBank) -> dict[str, float]:
    """PA-MPJPE mm (12 limb joints) and acceleration error m/s^2 of the mean pose: seen alone, live, and with frames
    after it; and the noise loss."""
    rng = np.random.default_rng(0)
    index = np.arange(min(len(bank), 1000))
    out: dict[str, float] = {}
    last = bank.features.shape[1] - TARGETS
    for name, first, past, future in (("alone", last, 0, 0), ("live", last, None, 0), ("later", 3, None, 4)):
        batch = bank.batch(index, rng, first=first, past=past, future=future, turn=False)
        joints = joints_of(net.evidence(batch.window, batch.poses, batch.present)[1], batch.rest).double().numpy()
        true = batch.joints.double().numpy()
        out[f"pa_{name}"] = float(_limb_error(joints, true))
        second = np.diff(joints - true, n=2, axis=1)[:, 0]
        seconds = bank.seconds[index][:, None, None]
        out[f"acc_{name}"] = float(np.linalg.norm(second / seconds**2, axis=-1).mean())
    return out


def _limb_error(joints: Floats, true: Floats) -> Floats:
    J = SMPL_LIMBS
    return procrustes_errors(joints[..., J, :].reshape(-1, len(J), 3), true[..., J, :].reshape(-1, len(J), 3)).mean()
