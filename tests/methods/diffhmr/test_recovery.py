"""`recover: diffhmr` and hypotheses beside other recoveries, on a rendered person."""

import numpy as np
import pytest

from hmr_ros.body.joints import SMPL_LIMBS
from hmr_ros.config import HmrConfig, HypothesesConfig
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.factory import build_pipeline, offline
from hmr_ros.geometry.covariance import mean_sigma, unpacked
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.methods.diffhmr.recovery import aside, mean_rotations, sampled_covariance
from hmr_ros.types import Frame

RUNS = [("posture", "none"), ("diffhmr", "none"), ("hmdiff", "none"), ("posture", "temporal"), ("kinematic", "none")]


def test_the_mean_of_rotations_about_one_is_that_one():
    rng = np.random.default_rng(0)
    center = matrix_from_axis_angle(rng.normal(size=(24, 3)))
    turns = rng.normal(0, 0.4, (6, 24, 3))
    samples = matrix_from_axis_angle(np.concatenate([turns, -turns])) @ center
    found = mean_rotations(samples)
    np.testing.assert_allclose(found, center, atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(found), 1)


def test_many_samples_are_believed_more_than_few(open_body):
    """Isotropic samples: with many of them the covariance is round, with few it keeps an image's long axis."""
    at = open_body.rest_joints(np.zeros(10)) + np.array([0, 0, 3.0])
    samples, recovered, one = np.random.default_rng(0).normal(0, 0.05, (4000, 24, 3)), np.full(24, 0.05), np.ones(24)
    longest = [np.linalg.eigvalsh(sampled_covariance(samples[:n], recovered, one, at)) for n in (3, 4000)]
    few, many = (np.median(values[:, 2] / values[:, 1]) for values in longest)
    assert many < 1.1 < few
    whole = sampled_covariance(samples, recovered, one, at)
    np.testing.assert_allclose(mean_sigma(whole), 0.05, rtol=0.05)
    np.testing.assert_allclose(sampled_covariance(samples, recovered, 2 * one, at), 4 * whole, rtol=1e-9)
    np.testing.assert_allclose(sampled_covariance(samples, 4 * recovered, one, at), 4 * whole, rtol=1e-9)


def test_moving_aside_puts_joints_on_their_rays_and_leaves_the_distance():
    rng = np.random.default_rng(0)
    joints = rng.normal([0, 0, 4], 0.4, (12, 3))
    rays, shift = joints[:, :2] / joints[:, 2:], np.array([0.3, -0.2, 0.0])
    np.testing.assert_allclose(aside(joints - shift, rays, np.full(12, 0.9)), shift, atol=1e-12)


@pytest.fixture(scope="module")
def answers(rendered):
    """(recovery, refinement) -> people of the first images, with six hypotheses each."""
    images, truths, camera = rendered
    found = {}
    for recover, refine in RUNS:
        config = HmrConfig(recover=recover, refine=refine, hypotheses=HypothesesConfig(count=6))
        pipeline = build_pipeline(offline(config, as_live=True))
        frames = [Frame(i, 10**9 + i * 66_000_000, image, camera) for i, image in enumerate(images[:12])]
        rows = [(r.humans[0], truths[r.frame.index].joints) for r in pipeline.results(frames) if r.humans]
        found[recover, refine] = rows
    return found


def pa(rows):
    found, true = (np.array(x)[:, SMPL_LIMBS] for x in zip(*((h.joints, t) for h, t in rows), strict=True))
    return procrustes_errors(found, true).mean()


def test_the_mean_of_the_hypotheses_is_as_near_as_what_they_are_about(answers):
    assert pa(answers["diffhmr", "none"]) < pa(answers["posture", "none"]) + 10


def test_every_recovery_and_refinement_gives_hypotheses_that_differ(answers, open_body):
    for rows in answers.values():
        for human, _ in rows:
            several = human.hypotheses
            assert several.joints.shape == (6, 24, 3) and several.weights.sum() == pytest.approx(1)
            np.testing.assert_allclose(several.joints[:, 0], np.tile(human.joints[0], (6, 1)), atol=1e-6)
            assert np.linalg.norm(several.joints[0] - several.joints[1], axis=-1).max() > 0.01
            posed = open_body.joints(human.global_orient, human.body_pose, human.betas, human.transl)
            np.testing.assert_allclose(posed, human.joints, atol=1e-6)


def test_hypotheses_lie_about_the_answer(answers):
    """As far from it as the covariance of its joints says, within a factor."""
    for key in (("posture", "none"), ("diffhmr", "none"), ("hmdiff", "none"), ("posture", "temporal")):
        ratio = []
        for human, _ in answers[key]:
            off = human.hypotheses.joints - human.joints
            sigma = np.sqrt(np.square(off).mean((0, 2)))[SMPL_LIMBS]
            ratio.append(sigma / human.joint_sigma[SMPL_LIMBS])
        assert 0.3 < np.median(ratio) < 3


def test_covariances_are_longest_along_the_ray(answers):
    for human, _ in answers["posture", "temporal"]:
        C = unpacked(human.joint_covariance)[SMPL_LIMBS]
        rays = human.joints[SMPL_LIMBS] / np.linalg.norm(human.joints[SMPL_LIMBS], axis=1, keepdims=True)
        along = np.einsum("ja,jab,jb->j", rays, C, rays)
        assert (along > np.trace(C, axis1=1, axis2=2) / 3).all()


def test_the_same_video_gives_the_same_hypotheses(answers, rendered):
    images, _, camera = rendered
    config = HmrConfig(recover="diffhmr", refine="none", hypotheses=HypothesesConfig(count=6))
    pipeline = build_pipeline(offline(config, as_live=True))
    again = next(iter(pipeline.results([Frame(0, 10**9, images[0], camera)]))).humans[0]
    first = next(h for h, _ in answers["diffhmr", "none"] if h.frame == 0)
    np.testing.assert_allclose(again.hypotheses.joints, first.hypotheses.joints, atol=1e-6)
