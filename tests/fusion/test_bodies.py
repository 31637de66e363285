"""One body of several sightings: laws of what is exact, of who counts how much, and of what is then known."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.joints import SMPL, SMPL_LIMBS
from hmr_ros.body.model import pose_matrices
from hmr_ros.fusion.bodies import BodyFusion
from hmr_ros.fusion.sighting import Sighting
from hmr_ros.geometry.covariance import unpacked
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.types import ScaleSource

PLACE = (0.3, 0.95, -0.2)


@pytest.fixture(scope="module")
def fuse(open_body):
    return BodyFusion(open_body)


def apart_m(human, joints):
    return np.linalg.norm(human.joints - joints, axis=1).max()


@pytest.mark.parametrize("which", [(0, 1), (1, 0), (0, 0)])
def test_views_without_an_error_give_the_body_back(fuse, sighting, truth, open_body, which):
    views = [sighting(c, PLACE, betas=0.5) for c in which]
    human = fuse(views, np.full(10, 0.5), 1.0)
    assert apart_m(human, truth(PLACE, betas=0.5)) < 0.002
    np.testing.assert_allclose(human.betas, 0.5, atol=0.02)
    again = open_body.joints(human.global_orient, human.body_pose, human.betas, human.transl)
    np.testing.assert_allclose(again, human.joints, atol=1e-9)
    assert human.scale is ScaleSource.CAMERAS


def test_the_order_of_views_says_nothing(fuse, sighting):
    rng = np.random.default_rng(0)
    views = [sighting(c, PLACE, wrong=rng.normal(0, 0.03, (24, 3)), sigma=0.03 + 0.01 * c) for c in (0, 1)]
    one, other = (fuse(order, np.zeros(10), 1.0) for order in (views, views[::-1]))
    np.testing.assert_allclose(one.joints, other.joints, atol=1e-6)


def test_the_common_frame_is_any_frame(fuse, sighting):
    """Fusing in a moved world is moving what was fused."""
    turn = Rigid(matrix_from_axis_angle(np.array([0.3, -1.0, 0.4])), np.array([5.0, -3.0, 1.0]))
    rng = np.random.default_rng(1)
    views = [sighting(c, PLACE, wrong=rng.normal(0, 0.03, (24, 3))) for c in (0, 1)]
    there = fuse([replace(v, pose=turn @ v.pose) for v in views], np.zeros(10), 1.0)
    here = fuse(views, np.zeros(10), 1.0)
    np.testing.assert_allclose(there.joints, turn(here.joints), atol=1e-5)


def test_a_views_noise_lowers_its_weight(fuse, sighting, truth):
    """Camera 1 has the head wrong, of which no ray tells; the fused head follows it the less, the less sure it is."""
    wrong = np.zeros((24, 3))
    wrong[[SMPL["head"], SMPL["neck"]]] = [0.0, 0.2, 0.0]
    true = truth(PLACE)
    errors = [
        np.linalg.norm(
            fuse(
                [sighting(0, PLACE, sigma=0.03), sighting(1, PLACE, sigma=sigma, wrong=wrong)], np.zeros(10), 0.1
            ).joints
            - true,
            axis=1,
        )[SMPL["head"]]
        for sigma in (0.01, 0.03, 0.09, 0.27)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 3 * errors[-1]


def test_a_landmark_without_confidence_has_no_ray(fuse, sighting, truth):
    views = [sighting(c, PLACE) for c in (0, 1)]
    keypoints = views[1].human.keypoints_2d.copy()
    keypoints[:, 0] += 60.0
    keypoints[:, 2] = 0.0
    blind = Sighting("1", replace(views[1].human, keypoints_2d=keypoints), views[1].pose)
    assert apart_m(fuse([views[0], blind], np.zeros(10), 0.1), truth(PLACE)) < 0.005


def test_two_views_place_a_person_of_unknown_size(fuse, sighting, truth):
    """Each camera alone takes the tall person for an average one who is nearer; the rays of both know better."""
    true = truth(PLACE, betas=1.0)
    views = []
    for c in (0, 1):
        s = sighting(c, PLACE, betas=1.0)
        smaller = replace(
            s.human, joints=0.93 * s.human.joints, transl=s.human.transl - 0.07 * s.human.joints[0], betas=np.zeros(10)
        )
        views.append(replace(s, human=smaller))
    human = fuse(views, np.zeros(10), 1.0)
    assert np.linalg.norm(views[0].placed.joints[0] - true[0]) > 0.25
    assert np.linalg.norm(human.joints[0] - true[0]) < 0.02
    assert np.linalg.norm((human.joints - true)[SMPL_LIMBS], axis=1).mean() < 0.03


def test_a_camera_alone_keeps_its_pose_and_gets_the_size(fuse, sighting, truth):
    s = sighting(0, PLACE, betas=1.0)
    nearer = replace(
        s.human, joints=0.93 * s.human.joints, transl=s.human.transl - 0.07 * s.human.joints[0], betas=np.zeros(10)
    )
    human = fuse([replace(s, human=nearer)], np.full(10, 1.0), 0.1)
    np.testing.assert_allclose(human.body_pose, s.human.body_pose, atol=1e-6)
    assert apart_m(human, truth(PLACE, betas=1.0)) < 0.02


def test_the_covariance_of_two_views_is_short_along_both_rays(fuse, sighting):
    views = [sighting(c, PLACE) for c in (0, 1)]
    fused = unpacked(fuse(views, np.zeros(10), 1.0).joint_covariance)[SMPL["left_wrist"]]
    for view in views:
        alone = view.covariance[SMPL["left_wrist"]]
        ray = view.placed.joints[SMPL["left_wrist"]] - view.pose.translation
        ray /= np.linalg.norm(ray)
        assert ray @ fused @ ray < 0.6 * (ray @ alone @ ray)
    assert np.linalg.det(fused) >= min(np.linalg.det(v.covariance[SMPL["left_wrist"]]) for v in views) / 8


def test_what_belongs_to_an_image_is_of_the_surer_camera(fuse, sighting):
    vague, sure = sighting(0, PLACE, sigma=0.08), sighting(1, PLACE, sigma=0.02)
    human = fuse([vague, sure], np.zeros(10), 1.0)
    np.testing.assert_array_equal(human.keypoints_2d, sure.human.keypoints_2d)
    np.testing.assert_array_equal(human.joints_2d, sure.human.joints_2d)


def test_the_spine_takes_no_turn_that_nobody_saw(fuse, sighting):
    views = [sighting(c, PLACE) for c in (0, 1)]
    human = fuse(views, np.zeros(10), 1.0)
    local = pose_matrices(human.global_orient, human.body_pose)
    before = pose_matrices(views[0].placed.global_orient, views[0].placed.body_pose)
    assert np.abs(local - before).max() < 0.03
