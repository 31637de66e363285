"""Training of the diffusion prior and of the evidence that it is conditioned on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, LIMB_JOINTS, SMPL_LIMBS, SMPL_PARENTS
from hmr_ros.diffusion.schedule import STEPS, cosine_alphas
from hmr_ros.diffusion.skeleton import rotations_from_6d
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.methods.scorehmr.guided_frame import GuidedFrame
from hmr_ros.methods.scorehmr.prior import POSE_6D, Prior, PriorSize
from hmr_ros.methods.scorehmr.settings import Guidance
from hmr_ros.networks.kinematics import rooted_joints
from hmr_ros.train.data.windows import TARGETS, WindowBank, WindowBatch
from hmr_ros.train.loop import Losses, Schedule, set_statistics, train
from hmr_ros.types import Floats

_WEIGHTS = {
    "noise": 1.0, "pose": 5.0, "joint": 10.0, "likelihood": 0.1, "acceleration": 3.0, "denoised": 3.0, "answer": 10.0,
    "steadiness": 10.0, "lag": 3.0,
}  # fmt: skip
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
        losses = _losses(batch, pose, log_spread, predicted - noise, a, t)
        return losses | _of_answers(batch, answered(net, batch, context, pose, log_spread))

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


def answered(net: Prior, batch: WindowBatch, context: Tensor, pose: Tensor, log_spread: Tensor) -> Tensor:
    """Joints [B,TARGETS,24,3] m, pelvis at the origin, after live guidance of each target, from what `Evidence` says of
    it: what is answered in the end, with the key points' own errors in it. The window lends no steadiness."""
    known = SimpleNamespace(evidence=lambda *_: (context, pose, log_spread), denoiser=net.denoiser)
    guidance = Guidance(frames=3)  # the least that there is
    frame = GuidedFrame(cast(Prior, known), guidance)
    P, now = len(pose), net.size.past - 1
    landmarks = batch.window[:, now, : 33 * 6].reshape(P, 33, 6)[:, BLAZEPOSE_LIMBS.tolist()]
    rays = landmarks[..., :2] * batch.window[:, now, 33 * 6].exp()[:, None, None]
    hips = rays[:, [k for k, name in enumerate(LIMB_JOINTS) if name.endswith("hip")]].mean(1)
    pelvis = torch.cat([hips, torch.ones_like(hips[:, :1])], 1) * batch.depth[:, None]
    rest = batch.fitted_rest.repeat_interleave(TARGETS, 0)
    bones = torch.cat([0 * rest[:, :1], rest[:, 1:] - rest[:, SMPL_PARENTS[1:].tolist()]], 1)
    one, nothing = torch.ones(P), torch.zeros(P, len(LIMB_JOINTS))
    rotations = frame(
        batch.window, batch.poses, batch.present, torch.eye(3).expand(P, 3, 3), torch.zeros(P, 2, POSE_6D),
        torch.ones(P, 2, 24), torch.tensor([0.0, 0.0, 1.0]).expand(P, 3), torch.ones(P, 2),
        batch.depth.log()[:, None].expand(P, 3),
        rays, landmarks[..., 2], bones, pelvis, guidance.sigma_ray * one, guidance.floor * one, 0 * pose,
        torch.zeros(P, 24), nothing, nothing, guidance.sigma_depth * one,
    )[0]  # fmt: skip
    return rooted_joints(rotations, rest).reshape(-1, TARGETS, 24, 3)


def _of_answers(batch: WindowBatch, joints: Tensor) -> Losses:
    wrong = joints - batch.joints
    second = wrong[:, 0] - 2 * wrong[:, 1] + wrong[:, 2]
    speed = (batch.joints[:, 2] - batch.joints[:, 0]) / 2
    late = (wrong[:, 1] * speed).sum() / speed.square().sum().clamp_min(1e-6)  # frames, negative where they run behind
    losses = {"answer": wrong.norm(dim=-1).mean(), "steadiness": second.norm(dim=-1).mean(), "lag": late.abs()}
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
        said = net.evidence(batch.window, batch.poses, batch.present)
        true, seconds = batch.joints.double().numpy(), bank.seconds[index][:, None, None]
        for kind, found in (("", joints_of(said[1], batch.rest)), ("_answered", answered(net, batch, *said))):
            joints = found.double().numpy()
            out[f"pa_{name}{kind}"] = float(_limb_error(joints, true))
            second = np.diff(joints - true, n=2, axis=1)[:, 0]
            out[f"acc_{name}{kind}"] = float(np.linalg.norm(second / seconds**2, axis=-1).mean())
    return out


def _limb_error(joints: Floats, true: Floats) -> Floats:
    J = SMPL_LIMBS
    return procrustes_errors(joints[..., J, :].reshape(-1, len(J), 3), true[..., J, :].reshape(-1, len(J), 3)).mean()
