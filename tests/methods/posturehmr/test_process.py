"""Laws of the forward and the reverse process (PostureHMR 3.2, 3.3)."""

import numpy as np
import pytest
import torch

from hmr_ros.body.joints import SMPL_PARENTS
from hmr_ros.body.model import pose_matrices
from hmr_ros.body.points import points_of
from hmr_ros.methods.posturehmr.process import FACING, fk_state, reverse, step_times, vertex_state
from hmr_ros.networks.kinematics import PosedPoints, matrix_from_axis_angle

TIMES = (0.0, 0.2, 0.5, 0.8, 1.0)


@pytest.fixture(scope="module")
def points(open_body):
    return points_of(open_body, np.arange(24), np.arange(0, 6000, 300))


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(0)
    return (
        torch.tensor(rng.normal(0, s, shape), dtype=torch.float32) for s, shape in ((0.6, (6, 24, 3)), (1, (6, 10)))
    )


@pytest.fixture(scope="module")
def pose_betas(people):
    return tuple(people)


def bones(state):
    joints = state[:, :24]
    return (joints[:, 1:] - joints[:, SMPL_PARENTS[1:]]).norm(dim=-1)


def test_torch_poses_as_numpy_does(points, pose_betas):
    pose, betas = (a.numpy().astype(float) for a in pose_betas)
    found = PosedPoints(points)(matrix_from_axis_angle(pose_betas[0]), pose_betas[1]).numpy()
    for i in range(6):
        expected = points.posed(pose_matrices(pose[i, 0], pose[i, 1:].reshape(-1)), betas[i])
        np.testing.assert_allclose(found[i], expected - expected[0], atol=1e-5)


def test_ends_are_exact(points, pose_betas):
    posed = PosedPoints(points)
    pose, betas = pose_betas
    ones = torch.ones(6)
    person = posed(matrix_from_axis_angle(pose), betas) @ FACING
    torch.testing.assert_close(fk_state(posed, pose, betas, 0 * ones), person)
    template = torch.as_tensor(points.template - points.J_template[0], dtype=torch.float32) @ FACING
    torch.testing.assert_close(fk_state(posed, pose, betas, ones), template.expand(6, -1, -1))
    for t in (0.0, 1.0):
        torch.testing.assert_close(vertex_state(posed, pose, betas, t * ones), fk_state(posed, pose, betas, t * ones))


@pytest.mark.parametrize("t", TIMES)
def test_every_state_is_a_body(points, pose_betas, t):
    """Bones keep the length that the state's shape gives them."""
    posed = PosedPoints(points)
    pose, betas = pose_betas
    at = torch.full((6,), t)
    rest = fk_state(posed, 0 * pose, betas, at)
    torch.testing.assert_close(bones(fk_state(posed, pose, betas, at)), bones(rest), atol=1e-5, rtol=1e-4)


def test_straight_lines_between_vertices_shrink_bones(points, pose_betas):
    posed = PosedPoints(points)
    pose, betas = pose_betas[0], 0 * pose_betas[1]
    half = torch.full((6,), 0.5)
    ratio = bones(vertex_state(posed, pose, betas, half)) / bones(fk_state(posed, pose, betas, half))
    assert ratio.min() < 0.9


def test_angles_shrink_linearly(points):
    pose = torch.zeros(1, 24, 3)
    pose[0, 18, 1] = -2.0  # left elbow
    posed, betas = PosedPoints(points), torch.zeros(1, 10)
    for t in TIMES:
        state = fk_state(posed, pose, betas, torch.tensor([t]))
        upper, fore = state[0, 18] - state[0, 16], state[0, 20] - state[0, 18]
        rest = fk_state(posed, 0 * pose, betas, torch.tensor([t]))
        straight = rest[0, 20] - rest[0, 18]
        angle = torch.arccos((fore @ straight) / (fore.norm() * straight.norm()))
        assert abs(float(angle) - 2.0 * (1 - t)) < 0.25  # the elbow's axis is not quite square to the forearm
        assert upper.norm() > 0.2


def test_pose_correctives_shrink_too(points, pose_betas):
    from dataclasses import replace

    rng = np.random.default_rng(1)
    with_correctives = replace(points, posedirs=rng.normal(0, 1e-3, (len(points), 3, 207)))
    posed = PosedPoints(with_correctives)
    pose, betas = pose_betas
    ones = torch.ones(6)
    plain = PosedPoints(points)
    torch.testing.assert_close(fk_state(posed, pose, betas, ones), fk_state(plain, pose, betas, ones))
    assert (fk_state(posed, pose, betas, 0 * ones) - fk_state(plain, pose, betas, 0 * ones)).abs().max() > 1e-3


@pytest.mark.parametrize("steps", [1, 2, 4, 10])
def test_times_run_from_the_t_pose_to_the_person(steps):
    times = step_times(steps)
    assert len(times) == steps + 1
    assert (times[0], times[-1]) == (1.0, 0.0)
    assert sorted(times, reverse=True) == times


@pytest.mark.parametrize("steps", [1, 2, 4, 10])
def test_an_exact_decoder_arrives_whatever_the_step_count(steps):
    template, person = torch.randn(3, 81, 3), torch.randn(3, 81, 3)

    def decoder(x, t, s):
        assert (t > s).all()
        truth = person + s[:, None, None] * (template - person)
        return truth - x, x[..., 0] * 0 + s[:, None]

    found, log_sigma = reverse(decoder, template, step_times(steps))
    torch.testing.assert_close(found, person)
    assert (log_sigma == 0).all()
