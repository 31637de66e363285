"""Training of Diff-HMR: how far the recovered pose may be off, the noise about it, and the scales of the samples."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import chi2
from torch import Tensor, nn

from hmr_ros.body.coarse import NUM_SPARSE
from hmr_ros.body.joints import JOINT_GROUPS, SMPL_LIMBS, SMPL_PARENTS
from hmr_ros.body.model import forward_kinematics
from hmr_ros.diffusion.schedule import STEPS, cosine_alphas
from hmr_ros.diffusion.skeleton import rotations_from_6d, to_6d
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.geometry.covariance import mahalanobis_squared
from hmr_ros.geometry.rotations import axis_angle_from_matrix
from hmr_ros.methods.diffhmr.network import MAX_Z, DiffHmr, DiffHmrSize
from hmr_ros.methods.diffhmr.recovery import SAMPLES, mean_rotations, sampled_covariance
from hmr_ros.methods.diffhmr.sampling import LANDMARKS, LIMBS, Sampler, decoded
from hmr_ros.methods.posturehmr.recovery import joint_sigma
from hmr_ros.networks.denoiser import AXIS_6D
from hmr_ros.networks.kinematics import rooted_joints
from hmr_ros.train.data.stills import StillBank, StillBatch
from hmr_ros.train.loop import Losses, Schedule, set_statistics, train
from hmr_ros.types import Floats

_WEIGHTS = {"noise": 1.0, "likelihood": 0.1, "denoised": 2.0, "reprojection": 2.0}
_NEAR = 300  # below this t the denoised pose is judged by its joints too (L_hmr)
_STEPS = 10
_CHUNK = 100
_LEAST_Z_M = 0.3
_BINS = 20
_NORMAL_MAD = 1.29  # standard deviation of a normal distribution over the median of the mean of two absolute errors


def train_diffhmr(
    bank: StillBank, held_back: StillBank, size: DiffHmrSize, schedule: Schedule, start: DiffHmr | None = None
) -> DiffHmr:
    """L_all = L_diff + L_hmr (paper 3.2), with the spread about the recovered pose beside; goes on from `start`."""
    torch.manual_seed(schedule.seed)
    model = DiffHmr(size) if start is None else start
    if start is None:
        set_statistics(model.encoder, *bank.statistics())
    alphas = torch.as_tensor(cosine_alphas(), dtype=torch.float32, device=schedule.device)

    def prepare(rng: np.random.Generator) -> tuple[StillBatch, Tensor, Tensor]:
        batch = bank.batch(rng.integers(0, len(bank), schedule.batch))
        t = torch.as_tensor(rng.integers(1, STEPS + 1, schedule.batch))
        noise = torch.as_tensor(rng.standard_normal((schedule.batch, size.numbers)), dtype=torch.float32)
        return batch, t, noise

    def step(net: nn.Module, drawn: tuple[StillBatch, Tensor, Tensor]) -> Losses:
        assert isinstance(net, DiffHmr)
        return _losses(net, *drawn, alphas)

    @torch.inference_mode()
    def validate(net: nn.Module) -> dict[str, float]:
        assert isinstance(net, DiffHmr)
        return figures(net, held_back)

    trained = train(model, prepare, step, validate, schedule)
    assert isinstance(trained, DiffHmr)
    return trained


def diffused(size: DiffHmrSize, rotations: Tensor, pose: Tensor, sigma: Tensor) -> Tensor:
    """x_0 [B,D] of true `rotations` [B,24,3,3]: the whitened residual, or the rotations themselves."""
    if size.axis_angle:
        vectors = axis_angle_from_matrix(rotations.double().cpu().numpy())
        return torch.as_tensor(vectors, dtype=torch.float32, device=rotations.device).flatten(1)
    x0 = to_6d(rotations)
    if size.whiten:
        return ((x0 - pose) / sigma.repeat_interleave(6, -1)).clamp(-MAX_Z, MAX_Z)
    return x0


def _losses(net: DiffHmr, batch: StillBatch, t: Tensor, noise: Tensor, alphas: Tensor) -> Losses:
    context, log_spread = net.encoder(batch.features, batch.poses)
    sigma = AXIS_6D * log_spread.detach().exp()
    x0 = diffused(net.size, batch.rotations, batch.poses, sigma)
    a = alphas[t][:, None]
    x_t = a.sqrt() * x0 + (1 - a).sqrt() * noise
    velocity = net.denoiser(x_t, t.float(), net.denoiser.conditioning(context))
    wrong = velocity - (a.sqrt() * noise - (1 - a).sqrt() * x0)
    true = rooted_joints(batch.rotations, batch.rest)
    turned = (batch.poses - to_6d(batch.rotations)).reshape(-1, 24, 6).norm(dim=-1)
    near = torch.nonzero(t <= _NEAR)[:, 0]
    implied = (a.sqrt() * x_t - (1 - a).sqrt() * velocity)[near]
    joints = rooted_joints(decoded(net, implied, batch.poses[near], sigma[near]), batch.rest[near])
    off = (joints - true[near]).norm(dim=-1)
    off_2d = (_projected(joints, batch.pelvis[near]) - _projected(true[near], batch.pelvis[near])).norm(dim=-1)
    depth = batch.pelvis[near, None, 2]
    losses = {
        "noise": wrong.square().mean(),
        "likelihood": (turned * torch.exp(-log_spread) + log_spread).mean(),
        "denoised": off.sum(0).mean() / len(t),
        "reprojection": (depth * off_2d).sum(0).mean() / len(t),
    }
    return {name: _WEIGHTS[name] * value for name, value in losses.items()}


def _projected(joints: Tensor, pelvis: Tensor) -> Tensor:
    """[B,24,3] m relative to `pelvis` [B,3] -> the plane z = 1."""
    at = joints + pelvis[:, None]
    return at[..., :2] / at[..., 2:].clamp_min(_LEAST_Z_M)


@torch.inference_mode()
def figures(net: DiffHmr, bank: StillBank) -> dict[str, float]:
    """PA-MPJPE mm over the 12 limb joints: recovered, one sample, mean and best of eight; the noise loss."""
    batch = bank.batch(np.arange(min(len(bank), 1000)))
    sampled = drawn(net, batch, 8, seed=0)
    true = rooted_joints(batch.rotations, batch.rest)
    rest = batch.rest.repeat_interleave(8, 0)
    joints = rooted_joints(sampled.flatten(0, 1), rest).reshape(len(true), 8, 24, 3)
    errors = np.stack([_limb_errors(joints[:, k], true) for k in range(8)], 1)
    return {
        "recovered": float(_limb_errors(rooted_joints(rotations_from_6d(batch.poses), batch.rest), true).mean()),
        "noise_held_back": held_back_noise(net, batch),
        "sample": float(errors.mean()),
        "of_8": float(_limb_errors(joints.mean(1), true).mean()),
        "best_of_8": float(errors.min(1).mean()),
    }


@torch.inference_mode()
def drawn(net: DiffHmr, batch: StillBatch, count: int, seed: int) -> Tensor:
    """`count` sampled rotations [B,count,24,3,3] of everybody."""
    shape = (len(batch.rest), (count + 1) // 2, net.size.numbers + 24)
    half = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    noise = torch.stack([half, -half], 2).flatten(1, 2)[:, :count]  # in pairs, as `antithetic`
    sampler, people = Sampler(net, _STEPS), (batch.features, batch.poses, bones_of(batch.rest), batch.pelvis)
    samples = []
    for i in range(0, len(noise), _CHUNK):
        features, poses, bones, pelvis = (x[i : i + _CHUNK].repeat_interleave(count, 0) for x in people)
        found = sampler(features, poses, noise[i : i + _CHUNK].flatten(0, 1), bones, pelvis)[0]
        samples.append(found.reshape(-1, count, 24, 3, 3))
    return torch.cat(samples)


def held_back_noise(net: DiffHmr, batch: StillBatch) -> float:
    """L_diff of people who are not trained on, with the same noise whenever it is asked."""
    generator = torch.Generator().manual_seed(0)
    t = torch.randint(1, STEPS + 1, (len(batch.rest),), generator=generator)
    noise = torch.randn((len(t), net.size.numbers), generator=generator)
    alphas = torch.as_tensor(cosine_alphas(), dtype=torch.float32)
    return float(_losses(net, batch, t, noise, alphas)["noise"])


@torch.inference_mode()
def calibrate(net: DiffHmr, bank: StillBank, count: int = SAMPLES) -> None:
    """Set the scales of what is sampled, on people whom no network was trained on, by joint group: `temperature` so
    that rotations scatter as widely as they err, then `spread` so that the 95 % ellipsoids of `count` samples hold 95 %
    of the joints."""
    batch = bank.batch(np.arange(len(bank)))
    net.landmark_sigma.copy_(measured_landmark_sigma(batch))
    net.temperature.fill_(1.0)
    net.spread.fill_(1.0)
    sampled = drawn(net, batch, count, seed=1)
    mean = to_6d(sampled).mean(1)
    # of a mean of so many samples about which the truth scatters as they do
    error = (mean - to_6d(batch.rotations)).reshape(-1, 24, 6).square().mean((0, 2)) / (1 + 1 / count)
    wide = to_6d(sampled).reshape(-1, count, 24, 6).var(1).mean((0, 2))
    for rows in JOINT_GROUPS.values():
        net.temperature[rows] = (error[rows].mean() / wide[rows].mean()).sqrt()
    net.spread.copy_(measured_spread(batch, drawn(net, batch, count, seed=2)))


def measured_spread(batch: StillBatch, sampled: Tensor) -> Tensor:
    """[24] by which `sampled` rotations [B,S,24,3,3] scatter too little for their 95 % ellipsoids to hold 95 %."""
    count = sampled.shape[1]
    joints = rooted_joints(sampled.flatten(0, 1), batch.rest.repeat_interleave(count, 0)).reshape(-1, count, 24, 3)
    many, true = joints.double().numpy(), rooted_joints(batch.rotations, batch.rest).double().numpy()
    rest, pelvis = batch.rest.double().numpy(), batch.pelvis.double().numpy()
    means = np.array([mean_rotations(s) for s in sampled.double().numpy()])
    answer = forward_kinematics(means, rest)[1]
    answer -= answer[:, :1]
    rows = zip(many, recovered_sigma(batch), answer + pelvis[:, None], strict=True)
    covariance = np.array([sampled_covariance(m, sigma, np.ones(24), at) for m, sigma, at in rows])[:, 1:]
    square = mahalanobis_squared((answer - true)[:, 1:], covariance)
    out = torch.ones(24)
    for group in JOINT_GROUPS.values():
        kept = group[group > 0] - 1  # the pelvis is the origin
        out[group] = float(np.sqrt(np.quantile(square[:, kept], 0.95) / chi2.ppf(0.95, 3)))
    return out


def recovered_sigma(batch: StillBatch) -> Floats:
    """Standard deviation an axis [B,24] m that the posture networks gave each joint."""
    posture = batch.features[:, -4 * NUM_SPARSE :].double().numpy().reshape(-1, NUM_SPARSE, 4)
    return joint_sigma(np.exp(posture[..., 3]))


def bones_of(rest: Tensor) -> Tensor:
    """Each joint's place in its parent's axes at rest [B,24,3] m."""
    parents = torch.as_tensor(SMPL_PARENTS)
    return torch.cat([0 * rest[:, :1], rest[:, 1:] - rest[:, parents[1:]]], 1)


def measured_landmark_sigma(batch: StillBatch) -> Tensor:
    """[2] for `landmark_sigma`: least squares over the errors of landmarks of like confidence."""
    landmarks, scale = batch.features[:, : 33 * 6].reshape(-1, 33, 6)[:, LANDMARKS], batch.features[:, 33 * 6].exp()
    true = _projected(rooted_joints(batch.rotations, batch.rest), batch.pelvis)[:, LIMBS]
    off = (landmarks[..., :2] - true / scale[:, None, None]).abs().mean(-1).flatten().double().numpy()
    order = np.argsort(landmarks[..., 2].flatten().numpy())
    doubt = 1 - landmarks[..., 2].flatten().double().numpy()
    bins = np.array_split(order, _BINS)
    sigma = np.array([_NORMAL_MAD * np.median(off[b]) for b in bins])  # of those that are on the right limb
    A = np.stack([np.ones(_BINS), [np.square(doubt[b]).mean() for b in bins]], -1)
    return torch.as_tensor(np.maximum(np.linalg.lstsq(A, sigma, rcond=None)[0], 1e-3), dtype=torch.float32)


def _limb_errors(joints: Tensor, true: Tensor) -> Floats:
    found, wanted = joints[:, SMPL_LIMBS].double().numpy(), true[:, SMPL_LIMBS].double().numpy()
    return procrustes_errors(found, wanted).mean(1)
