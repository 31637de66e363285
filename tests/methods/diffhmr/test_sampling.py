"""Sampling: reproducible, about the recovered pose, and true to what the image shows."""

import numpy as np
import pytest
import torch

from hmr_ros.body.joints import SMPL_PARENTS
from hmr_ros.diffusion.sampler import noised
from hmr_ros.diffusion.schedule import STEPS
from hmr_ros.diffusion.skeleton import rotations_from_6d, to_6d
from hmr_ros.methods.diffhmr.hypotheses import hypotheses_signature
from hmr_ros.methods.diffhmr.network import ALPHAS, noise_of
from hmr_ros.methods.diffhmr.sampling import LANDMARKS, LIMBS, Sampler, decoded, hypotheses_graph, landmark_sigma
from hmr_ros.methods.dummy_inputs import make_inputs
from hmr_ros.networks.kinematics import kinematics, matrix_from_axis_angle
from hmr_ros.networks.weights import save_weights
from hmr_ros.runtime.export import export
from hmr_ros.runtime.onnxruntime import OnnxRuntimeEngine
from hmr_ros.train.diffhmr import diffused


def given(network, count, seed=0):
    signature = hypotheses_signature(network.size.features, network.size.numbers)
    return {k: torch.as_tensor(v) for k, v in make_inputs(signature, count, seed).items()}


@torch.inference_mode()
def sampled(network, inputs, steps=10):
    return Sampler(network, steps)(**inputs)


@pytest.mark.parametrize("t", [1, 300, 700, STEPS])
def test_velocity_and_noise_say_the_same(t):
    x0, noise = torch.randn(2, 5, 144)
    a = ALPHAS[t]
    velocity = a**0.5 * noise - (1 - a) ** 0.5 * x0
    torch.testing.assert_close(noise_of(velocity, noised(x0, noise, t), t), noise, atol=1e-5, rtol=1e-4)


def test_whitening_comes_back(untrained):
    network = untrained()
    rotations = matrix_from_axis_angle(torch.randn(6, 24, 3))
    pose, sigma = to_6d(matrix_from_axis_angle(0.3 * torch.randn(6, 24, 3))), 0.5 + torch.rand(6, 24)
    x0 = diffused(network.size, rotations, pose, sigma)
    torch.testing.assert_close(decoded(network, x0, pose, sigma), rotations, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("options", [{"whiten": False}, {"whiten": False, "axis_angle": True}])
def test_unwhitened_forms_come_back_too(untrained, options):
    network = untrained(**options)
    rotations = matrix_from_axis_angle(torch.randn(6, 24, 3))
    x0 = diffused(network.size, rotations, to_6d(rotations), torch.ones(6, 24))
    assert x0.shape == (6, network.size.numbers)
    torch.testing.assert_close(decoded(network, x0, x0, x0), rotations, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("options", [{}, {"unet": True}, {"whiten": False, "axis_angle": True}])
def test_the_same_noise_gives_the_same_samples_whoever_else_is_there(untrained, options):
    network = untrained(**options)
    inputs = given(network, 3)
    together = sampled(network, inputs)[0]
    alone = sampled(network, {k: v[1:2] for k, v in inputs.items()})[0]
    torch.testing.assert_close(together[1:2], alone, atol=1e-4, rtol=1e-3)
    other = sampled(network, inputs | {"noise": inputs["noise"].flip(0)})[0]
    assert (together - other)[0].abs().max() > 0.01


def test_temperature_widens_the_samples(untrained):
    network = untrained()
    inputs = {k: v if k == "noise" else v[:1].expand(v.shape) for k, v in given(network, 6).items()}
    widths = []
    for factor in (0.3, 1.0):
        network.temperature.fill_(factor)
        widths.append(float(to_6d(sampled(network, inputs)[0]).std(0).mean()))
    assert widths[0] < 0.7 * widths[1]


def test_samples_explain_the_landmarks_that_are_clear(untrained):
    """Turned towards the image, samples project nearer to the landmarks than the recovered pose does."""
    network = untrained()
    network.landmark_sigma.copy_(torch.tensor([0.01, 0.3]))
    inputs = given(network, 5)
    rest, rotations = rest_of(inputs["bones"]), rotations_from_6d(inputs["pose"])
    joints = kinematics(matrix_from_axis_angle(0.2 * torch.randn(5, 24, 3)) @ rotations, rest)[1]
    rays = (joints - joints[:, :1] + inputs["pelvis"][:, None])[:, LIMBS]
    landmarks = inputs["features"][:, : 33 * 6].reshape(5, 33, 6).clone()
    scale = inputs["features"][:, 198].exp()
    landmarks[:, LANDMARKS, :2] = rays[..., :2] / rays[..., 2:] / scale[:, None, None]
    landmarks[:, LANDMARKS, 2] = 1.0
    inputs["features"] = torch.cat([landmarks.flatten(1), inputs["features"][:, 198:]], 1)
    network.temperature.fill_(0.2)
    drawn = sampled(network, inputs)[0]

    def off(R):
        at = kinematics(R, rest)[1]
        at = (at - at[:, :1] + inputs["pelvis"][:, None])[:, LIMBS]
        return (at[..., :2] / at[..., 2:] - rays[..., :2] / rays[..., 2:]).norm(dim=-1).mean()

    assert off(drawn) < 0.5 * off(rotations)


def test_doubted_landmarks_are_less_certain(untrained):
    sigma = landmark_sigma(untrained(), torch.tensor([1.0, 0.5, 0.0]))
    assert (sigma.diff() > 0).all()


def test_the_exported_graph_says_what_torch_says(untrained, tmp_path):
    network = untrained()
    save_weights(tmp_path / "diffhmr.safetensors", "diffhmr", network, network.size, {})
    graph = hypotheses_graph(4, {"diffhmr": tmp_path / "diffhmr.safetensors"})
    card = export(graph, tmp_path / "hypotheses_4.onnx", make_inputs)
    assert max(card.max_error.values()) < 1e-3
    engine = OnnxRuntimeEngine(tmp_path / "hypotheses_4.onnx", "hypotheses", 1)
    inputs = make_inputs(graph.signature, 2, 7)
    first, second = engine(inputs), engine(inputs)
    np.testing.assert_array_equal(first["samples"], second["samples"])


def rest_of(bones):
    """Rest joints [N,24,3] of these bones, pelvis at the origin."""
    out = [bones[:, 0] * 0]
    for joint in range(1, 24):
        out.append(out[int(SMPL_PARENTS[joint])] + bones[:, joint])
    return torch.stack(out, 1)
