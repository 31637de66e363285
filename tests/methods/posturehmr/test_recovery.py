"""Learned recovery on rendered people: nearer to the truth than the closed form, and consistent with itself."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.coarse import JOINT_IDS
from hmr_ros.body.joints import BLAZEPOSE, SMPL, SMPL_LIMBS
from hmr_ros.config import HmrConfig, PostureConfig
from hmr_ros.errors import AssetError
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.evidence.keypoints import Normalised
from hmr_ros.evidence.leans import ARMS
from hmr_ros.evidence.record import EvidenceMaker, Posture
from hmr_ros.factory import build_pipeline, build_stages, offline
from hmr_ros.geometry.camera import project
from hmr_ros.methods.contract import Observation, humans_of
from hmr_ros.methods.posturehmr.recovery import PostureRecovery, leans
from hmr_ros.types import Frame


@pytest.fixture(scope="module")
def seen(rendered):
    """Tracks of the rendered clip as live, and what both recoveries find."""
    images, truths, camera = rendered
    tracker = build_pipeline(offline(HmrConfig(refine="none"), as_live=True)).tracker
    stages = {name: build_stages(HmrConfig(recover=name, refine="none")) for name in ("posture", "kinematic")}
    rows = []
    for i, (image, truth) in enumerate(zip(images, truths, strict=True)):
        frame = Frame(i, i * 66_000_000, image, camera)
        tracks = tracker.step(frame)
        rows.append((frame, tracks, truth, {name: recovered(s, frame, tracks) for name, s in stages.items()}))
    return stages, rows


def recovered(stages, frame, tracks):
    return stages.recovery(frame, tracks, stages.evidence(frame, tracks))


def pa(rows, method):
    found = [(people[method][0].joints, truth.joints) for _, tracks, truth, people in rows if tracks]
    a, b = (np.array(x)[:, SMPL_LIMBS] for x in zip(*found, strict=True))
    return procrustes_errors(a, b).mean()


def test_nearer_to_the_truth_than_the_closed_form(seen):
    _, rows = seen
    assert pa(rows, "posture") < 0.9 * pa(rows, "kinematic")
    assert pa(rows, "posture") < 60


def test_parameters_joints_and_pixels_agree(seen, open_body):
    _, rows = seen
    for frame, tracks, _, people in rows:
        for track, estimate in zip(tracks, people["posture"], strict=True):
            person = Observation(frame.index, 0, frame.camera, track, None, estimate)
            (human,) = humans_of([person], [estimate], open_body)
            joints = open_body.joints(human.global_orient, human.body_pose, human.betas, human.transl)
            np.testing.assert_allclose(joints, human.joints, atol=1e-6)
            np.testing.assert_allclose(project(joints, frame.camera.K), human.joints_2d, atol=1e-4)
            assert (human.joint_sigma > 0).all()


def test_shape_settles_over_a_track(seen):
    _, rows = seen
    betas = np.array([people["posture"][0].betas for _, tracks, _, people in rows if tracks])
    assert np.abs(betas[-1] - betas[-2]).max() < 0.15


def test_people_of_a_batch_do_not_touch_each_other(seen):
    stages, rows = seen
    posture = stages["posture"]
    frame = rows[0][0]
    tracks = [replace(t, track_id=100 + i) for i, t in enumerate((rows[0][1][0], rows[12][1][0]))]
    posture.recovery.reset()
    together = recovered(posture, frame, tracks)
    posture.recovery.reset()
    apart = [recovered(posture, frame, [track])[0] for track in tracks]
    for a, b in zip(together, apart, strict=True):
        np.testing.assert_allclose(a.joints, b.joints, atol=1e-4)
    assert recovered(posture, frame, []) == []


@pytest.mark.parametrize("steps", [1, 4, 10])
def test_other_step_counts_find_the_same_person(seen, steps):
    """One set of weights serves every step count: a few millimetres apart, and not the same computation."""
    _, rows = seen
    config = HmrConfig(refine="none", engine="torch", posture=PostureConfig(steps=steps))
    other = build_stages(config)
    found = np.array([recovered(other, frame, tracks)[0].joints for frame, tracks, *_ in rows if tracks])
    two = np.array([people["posture"][0].joints for _, tracks, _, people in rows if tracks])
    apart = procrustes_errors(found[:, SMPL_LIMBS], two[:, SMPL_LIMBS])
    assert 0.1 < apart.mean() < 5
    assert apart.max() < 15


def test_missing_weights_name_the_cure(monkeypatch, tmp_path):
    monkeypatch.setattr("hmr_ros.methods.posturehmr.graphs.asset", lambda name: tmp_path / name)
    with pytest.raises(AssetError, match="reinstall"):
        build_pipeline(HmrConfig(engine="torch"))


def test_the_head_stays_where_the_face_is_seen(seen, open_body):
    """Of people seen from the waist up the 2D mesh can be badly wrong about the head; nose and ears are not."""
    _, rows = seen
    frame, tracks, truth, _ = rows[0]
    right = seen[0]["posture"].evidence
    wrong = EvidenceMaker(_HeadOnTheChest(right.source))
    people = [PostureRecovery(open_body)(frame, tracks, evidence(frame, tracks))[0] for evidence in (right, wrong)]
    np.testing.assert_allclose(people[1].joints, people[0].joints, atol=2e-3)
    off = np.linalg.norm(project(people[1].joints, frame.camera.K)[SMPL["head"]] - truth.joints_2d[SMPL["head"]])
    assert off < 0.01 * np.ptp(truth.joints_2d[:, 1])


def test_leans_are_between_decoded_points_and_landmarks():
    """A forearm that points away in the one and towards the camera in the other is undecided."""
    points = np.zeros((1, 33, 6))
    landmarks = points[..., 3:]
    landmarks[:, BLAZEPOSE["left_wrist"]] = 0.0, 0.2, -0.2
    decoded = np.zeros((1, 81, 3))
    decoded[:, list(JOINT_IDS).index(SMPL["left_wrist"])] = 0.0, 0.5, 0.5
    posture = Posture(np.zeros((1, 81, 2)), np.ones((1, 81)), decoded, np.ones((1, 81)))
    seen = Normalised(points, np.ones(1), np.eye(3)[None])
    found = leans(seen, posture)
    np.testing.assert_allclose(found.sine, 0, atol=1e-9)
    landmarks[:, BLAZEPOSE["left_wrist"]] = 0.0, 0.0, 0.2
    found = leans(seen, posture)
    forearm = [list(JOINT_IDS).index(SMPL[f"left_{j}"]) for j in ("elbow", "wrist")]
    row = found.bones.tolist().index(forearm)
    np.testing.assert_allclose(found.sine[0, row], (1 + 0.5**0.5) / 2)
    np.testing.assert_allclose(np.delete(found.sine[0], row), 0, atol=1e-9)


def test_leans_go_towards_what_the_image_shows_as_far_as_it_is_sure():
    posture = Posture(np.zeros((1, 81, 2)), np.ones((1, 81)), np.zeros((1, 81, 3)), np.ones((1, 81)))
    seen = Normalised(np.zeros((1, 33, 6)), np.ones(1), np.eye(3)[None])
    shown = np.tile([0.8, np.inf], (1, 12, 1))
    arms = np.concatenate(list(ARMS.values()))
    shown[0, arms, 1] = 0.01, 0.2, 0.4, 0.8
    found = leans(replace(seen, leans=shown), posture).sine[0]
    assert (np.diff(found[arms]) < 0).all() and found[arms[0]] < 0.8 and found[arms[-1]] > 0
    np.testing.assert_allclose(found[arms[0]], 0.8, atol=0.01)


def test_leans_of_trunk_and_legs_are_in_the_landmarks_already():
    posture = Posture(np.zeros((1, 81, 2)), np.ones((1, 81)), np.zeros((1, 81, 3)), np.ones((1, 81)))
    seen = Normalised(np.zeros((1, 33, 6)), np.ones(1), np.eye(3)[None])
    found = leans(replace(seen, leans=np.tile([0.8, 0.01], (1, 12, 1))), posture).sine[0]
    rest = np.setdiff1d(np.arange(12), np.concatenate(list(ARMS.values())))
    np.testing.assert_array_equal(found[rest], leans(seen, posture).sine[0, rest])


class _HeadOnTheChest:
    """The networks' answer with the 2D mesh's neck and head somewhere else."""

    def __init__(self, source):
        self._source = source

    def __call__(self, frame, tracks, seen):
        posture = self._source(frame, tracks, seen)
        points, sigma = posture.points_2d.copy(), posture.sigma_2d.copy()
        moved = [list(JOINT_IDS).index(SMPL[name]) for name in ("neck", "head")]
        points[:, moved] = points[:, [list(JOINT_IDS).index(SMPL["spine1"])]]
        sigma[:, moved] = 0.04
        return replace(posture, points_2d=points, sigma_2d=sigma)
