"""Live refinement on a rendered clip: steadier, not behind, the same for every order of people, bounded, reset."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.joints import BLAZEPOSE_LIMBS, SMPL, SMPL_LIMBS
from hmr_ros.config import HmrConfig, TemporalConfig
from hmr_ros.errors import ConfigError
from hmr_ros.evaluate.metrics import acceleration_errors, procrustes_errors
from hmr_ros.factory import build_pipeline, choose_engine, offline
from hmr_ros.geometry.camera import guess_camera, project
from hmr_ros.io.results import Motion
from hmr_ros.methods.scorehmr.offline import refine_tracks
from hmr_ros.methods.scorehmr.prior import load_prior
from hmr_ros.methods.scorehmr.settings import KEYPOINTS, Guidance
from hmr_ros.methods.scorehmr.streaming import RefineEngine, ScoreRefinement, torch_refine
from hmr_ros.pipeline import Pipeline
from hmr_ros.synth.render import render_motion
from hmr_ros.synth.scene import look_at
from hmr_ros.types import Frame

PERIOD_NS = 66_000_000
EMPTY = np.zeros((2, 2, 3), np.uint8)


class Replay:
    """A recovery that gives known people again."""

    def __init__(self, by_frame):
        self.by_frame = by_frame

    def __call__(self, frame, tracks):
        return self.by_frame[frame.index]

    def reset(self):
        pass


AS_LIVE = offline(HmrConfig(refine="none"), as_live=True)  # one look at a person, not two


@pytest.fixture(scope="module")
def recovered(rendered):
    """One person a frame, not refined, and the camera."""
    pictures, truths, camera = rendered
    pipeline = build_pipeline(AS_LIVE)
    people = [pipeline.step(Frame(i, 10**9 + i * PERIOD_NS, p, camera)) for i, p in enumerate(pictures)]
    found = [(h[0], t) for h, t in zip(people, truths, strict=True) if h]
    return [h for h, _ in found], np.array([t.joints for _, t in found]), camera


@pytest.fixture(scope="module")
def network():
    return RefineEngine(choose_engine(HmrConfig(), "refine").engine)


def refined(humans, camera, network, body, guidance):
    stage = ScoreRefinement(Replay({h.frame: [h] for h in humans}), network, body, guidance)
    return [stage(Frame(h.frame, h.stamp_ns, EMPTY, camera), [])[0] for h in humans]


def figures(humans, truth):
    joints = np.array([h.joints for h in humans])
    a, b = joints - joints[:, :1], truth - truth[:, :1]
    return acceleration_errors(a, b, 15.0).mean(), procrustes_errors(a[:, SMPL_LIMBS], b[:, SMPL_LIMBS]).mean()


def reprojection(humans):
    seen = np.array([h.keypoints_2d[BLAZEPOSE_LIMBS] for h in humans])
    error = np.linalg.norm(np.array([h.joints_2d[SMPL_LIMBS] for h in humans]) - seen[..., :2], axis=-1)
    return (error * seen[..., 2]).sum() / seen[..., 2].sum()


def test_steadier_and_no_worse(recovered, network, open_body):
    humans, truth, camera = recovered
    before, after = (figures(p, truth) for p in (humans, refined(humans, camera, network, open_body, Guidance())))
    assert after[0] < 0.75 * before[0]
    assert after[1] < before[1] + 3.0


def test_parameters_joints_and_pixels_agree(recovered, network, open_body):
    humans, _, camera = recovered
    for human in refined(humans[:6], camera, network, open_body, Guidance()):
        joints = open_body.joints(human.global_orient, human.body_pose, human.betas, human.transl)
        np.testing.assert_allclose(joints, human.joints, atol=1e-5)
        np.testing.assert_allclose(project(joints, camera.K), human.joints_2d, atol=1e-2)


def test_keypoints_come_nearer(recovered, network, open_body):
    humans, _, camera = recovered
    assert reprojection(refined(humans, camera, network, open_body, KEYPOINTS)) < reprojection(humans)


def test_people_do_not_see_each_other(recovered, network, open_body):
    """Alone, first or last of three: the same answer."""
    humans, _, camera = recovered
    humans = humans[:8]
    alone = refined(humans, camera, network, open_body, Guidance())
    crowd = {}
    for k, h in enumerate(humans):
        others = [replace(humans[-1 - k], frame=h.frame, stamp_ns=h.stamp_ns, track_id=i) for i in (50, 51)]
        crowd[h.frame] = [others[0], h, others[1]] if k % 2 else [h, *others]
    stage = ScoreRefinement(Replay(crowd), network, open_body, Guidance())
    for mine, h in zip(alone, humans, strict=True):
        together = stage(Frame(h.frame, h.stamp_ns, EMPTY, camera), [])
        same = next(p for p in together if p.track_id == h.track_id)
        np.testing.assert_allclose(same.joints, mine.joints, atol=1e-4)


def test_a_gap_and_a_reset_are_new_beginnings(recovered, network, open_body):
    humans, _, camera = recovered
    late = [replace(h, stamp_ns=h.stamp_ns + 10**10) for h in humans[5:8]]
    fresh = refined(late, camera, network, open_body, Guidance())
    after_gap = refined([*humans[:5], *late], camera, network, open_body, Guidance())[5:]
    for a, b in zip(fresh, after_gap, strict=True):
        np.testing.assert_allclose(a.joints, b.joints, atol=1e-5)
    stage = ScoreRefinement(Replay({h.frame: [h] for h in humans}), network, open_body, Guidance())
    for h in humans[:5]:
        stage(Frame(h.frame, h.stamp_ns, EMPTY, camera), [])
    stage.reset()
    again = stage(Frame(humans[5].frame, humans[5].stamp_ns, EMPTY, camera), [])[0]
    first = refined(humans[5:6], camera, network, open_body, Guidance())[0]
    np.testing.assert_allclose(again.joints, first.joints, atol=1e-5)


def test_memory_does_not_grow(recovered, network, open_body):
    humans, _, camera = recovered
    small = RefineEngine(torch_refine(4))
    stage = ScoreRefinement(Replay({h.frame: [h] for h in humans}), small, open_body, Guidance(frames=4))
    for h in humans:
        stage(Frame(h.frame, h.stamp_ns, EMPTY, camera), [])
    assert len(stage.windows) == 1
    assert all(len(w.rows) <= 4 for w in stage.windows.values())
    gone = Frame(999, humans[-1].stamp_ns + 10**10, EMPTY, camera)
    stage.forget(gone.stamp_ns * 1e-9)
    assert not stage.windows


def test_whole_tracks_are_steady_and_nearer_to_the_pixels(recovered, network, open_body):
    humans, truth, camera = recovered
    out = refine_tracks(humans, {h.frame: camera for h in humans}, load_prior(), open_body)
    assert [h.frame for h in out] == [h.frame for h in humans]
    live = refined(humans, camera, network, open_body, Guidance())
    assert figures(out, truth)[0] < 1.1 * figures(live, truth)[0] < 0.8 * figures(humans, truth)[0]
    assert reprojection(out) < reprojection(live)


def test_landmarks_that_may_be_off_leave_more_to_the_motion(recovered, network, open_body):
    humans, truth, camera = recovered
    usual, steady = (
        figures(refined(humans, camera, network, open_body, Guidance(sigma_ray=sigma)), truth)[0]
        for sigma in (HmrConfig().landmark_sigma_m, 0.14)
    )
    assert steady < 0.95 * usual


@pytest.mark.parametrize("sigma", [0.0, -1.0, float("nan"), float("inf")])
def test_a_senseless_landmark_sigma_is_refused(sigma):
    with pytest.raises(ConfigError, match="landmark_sigma_m"):
        build_pipeline(HmrConfig(temporal=TemporalConfig(landmark_sigma_m=sigma)))


def test_a_lag_answers_every_frame_once_and_more_steadily(recovered, network, open_body):
    """The answer to a frame comes `lag` frames later, whoever left in the meantime, and the last ones at the end."""
    humans, truth, camera = recovered
    lag = 3
    replay = Replay({h.frame: [h] for h in humans})
    stage = ScoreRefinement(replay, network, open_body, Guidance(), lag)
    pipeline = Pipeline(open_body, Nobody(), stage, lag)
    answers = []
    for h in humans:
        people = pipeline.step(Frame(h.frame, h.stamp_ns, EMPTY, camera))
        if pipeline.answered is None:
            assert not people
        else:
            answers.append((pipeline.answered, people))
    assert len(answers) == len(humans) - lag
    replay.by_frame = defaultdict(list)
    answers += pipeline.finish()
    assert [frame.index for frame, _ in answers] == [h.frame for h in humans]
    late = [people[0] for _, people in answers]
    assert [h.stamp_ns for h in late] == [h.stamp_ns for h in humans]
    live = figures(refined(humans, camera, network, open_body, Guidance()), truth)
    assert figures(late, truth)[0] < live[0]


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
def test_a_video_shorter_than_the_lag_is_answered_too(recovered, network, open_body, frames):
    humans, _, camera = recovered
    replay = Replay({h.frame: [h] for h in humans[:frames]})
    pipeline = Pipeline(open_body, Nobody(), ScoreRefinement(replay, network, open_body, Guidance(), 3), 3)
    answers = []
    for h in humans[:frames]:
        people = pipeline.step(Frame(h.frame, h.stamp_ns, EMPTY, camera))
        answers += [(pipeline.answered, people)] if pipeline.answered else []
    replay.by_frame = defaultdict(list)
    answers += pipeline.finish()
    assert [(f.index, [p.frame for p in people]) for f, people in answers] == [
        (h.frame, [h.frame]) for h in humans[:frames]
    ]


class Nobody:
    """A tracker for a recovery that does not need one."""

    def step(self, frame):
        return []

    def search(self, frame, hurry):
        return True

    def reset(self):
        pass


@pytest.fixture(scope="module")
def jumping_jacks(open_body):
    """Arms that swing from hip to head and back in 0.8 s at 30 Hz: found people, not refined, and the camera."""
    swing = 0.5 - 0.5 * np.cos(2 * np.pi * np.maximum(np.arange(60) - 12, 0) / 24)
    poses = np.zeros((len(swing), 24, 3))
    for side, sign in (("left", 1.0), ("right", -1.0)):
        poses[:, SMPL[f"{side}_shoulder"], 2] = sign * (2.4 * swing - 1.2)
        poses[:, SMPL[f"{side}_hip"], 2] = sign * 0.3 * swing
    trans = np.tile([0.0, 0.9, 0.0], (len(swing), 1))
    view = look_at(guess_camera(480, 360), np.array([0.3, 1.1, 3.4]), np.array([0.0, 1.05, 0.0]))
    motion = Motion(poses.reshape(-1, 72), trans, np.zeros(10), 30.0)
    pipeline = build_pipeline(AS_LIVE)
    people = [
        pipeline.step(Frame(i, 10**9 + round(i * 1e9 / 30), picture, view.camera))
        for i, (picture, _) in enumerate(render_motion(motion, open_body, view))
    ]
    return [p[0] for p in people if p], view.camera


def test_fast_arms_are_not_left_behind(jumping_jacks, network, open_body):
    """In shares of the person's height, against where the arms are seen."""
    humans, camera = jumping_jacks
    arms = [SMPL[f"{side}_{part}"] for side in ("left", "right") for part in ("elbow", "wrist")]
    columns = [list(SMPL_LIMBS).index(j) for j in arms]

    def away(people):
        seen = np.array([h.keypoints_2d[BLAZEPOSE_LIMBS][columns, :2] for h in people])[15:]
        ours = np.array([h.joints_2d[arms] for h in people])[15:]
        height = np.ptp(humans[0].keypoints_2d[:, 1])
        return np.linalg.norm(ours - seen, axis=-1).mean() / height

    after = away(refined(humans, camera, network, open_body, Guidance()))
    assert after < away(humans) + 0.008
