"""`calibrate: fit` and `parallel` on a rendered body whose recovery is wrong in what an image cannot say."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.coarse import coarse_of, sparse_points
from hmr_ros.body.joints import SMPL, SMPL_LIMBS
from hmr_ros.config import HmrConfig, with_values
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.evidence.record import Posture
from hmr_ros.factory import build_pipeline, build_stages, offline
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.methods.contract import Observation, estimate_at
from hmr_ros.methods.pchmr.stages import FitCalibration, ParallelCalibration, SerialCalibration
from hmr_ros.methods.scorehmr.offline import refine_tracks
from hmr_ros.methods.scorehmr.prior import load_prior
from hmr_ros.pipeline import Pipeline, Stages
from hmr_ros.types import Frame, ScaleSource

SCALE, BEND = 1.3, 1.0


@pytest.fixture
def wrong(open_body, observed):
    return lambda depth=True: _wrong(open_body, observed, depth)


def _wrong(open_body, observed, depth):
    """A person, the evidence of it, and a recovery that is a third too far away and lifts an arm to the front."""
    track, evidence, truth = observed(0.0, depth)
    rotations = truth.rotations.copy()
    rotations[SMPL["left_elbow"]] = matrix_from_axis_angle([0.0, -BEND, 0.0]) @ rotations[SMPL["left_elbow"]]
    estimate = estimate_at(
        open_body, rotations, truth.betas, SCALE * truth.joints[0], 0.08**2 * np.tile(np.eye(3), (24, 1, 1))
    )
    points = sparse_points(open_body, coarse_of(open_body)).posed(rotations, truth.betas) + truth.transl
    aimed = (points - truth.joints[0]) @ evidence.R_camera_aimed
    rays = (points @ evidence.R_camera_aimed)[:, :2] / (points @ evidence.R_camera_aimed)[:, 2:] / evidence.scale
    posture = Posture(rays[None], np.full((1, 81), 0.05), aimed[None], np.full((1, 81), 0.06))
    return track, replace(evidence, posture=posture), estimate, truth


@pytest.fixture(params=[FitCalibration, ParallelCalibration])
def calibration(request, open_body):
    return request.param(open_body)


def limb_error(estimate, truth):
    relative = estimate.joints - estimate.joints[0] - truth.joints + truth.joints[0]
    return np.linalg.norm(relative[SMPL_LIMBS], axis=1)


def test_distance_and_limb_come_from_the_depth(wrong, calibration):
    track, evidence, estimate, truth = wrong()
    found = calibration(0, [track], [evidence], [estimate])[0]
    assert np.linalg.norm(estimate.joints[0] - truth.joints[0]) > 0.6
    assert np.linalg.norm(found.joints[0] - truth.joints[0]) < 0.03
    assert limb_error(found, truth).max() < 0.5 * limb_error(estimate, truth).max()
    assert limb_error(found, truth).mean() < 0.035
    assert (found.joint_sigma[SMPL_LIMBS] < estimate.joint_sigma[SMPL_LIMBS]).sum() >= 8


def test_the_parameters_are_those_of_the_joints(open_body, wrong, calibration):
    track, evidence, estimate, _ = wrong()
    found = calibration(0, [track], [evidence], [estimate])[0]
    again = estimate_at(open_body, found.rotations, found.betas, found.joints[0], found.joint_covariance)
    np.testing.assert_allclose(again.joints, found.joints, atol=1e-9)
    np.testing.assert_allclose(again.transl, found.transl, atol=1e-9)
    turned = np.swapaxes(found.rotations, 1, 2) @ found.rotations
    np.testing.assert_allclose(turned, np.tile(np.eye(3), (24, 1, 1)), atol=1e-9)


def test_who_has_no_depth_stays(wrong, calibration):
    """Beside somebody who has."""
    track, evidence, estimate, truth = wrong()
    other, blind, unmoved, _ = wrong(False)
    found = calibration(0, [replace(other, track_id=1), track], [blind, evidence], [unmoved, estimate])
    assert found[0] is unmoved
    assert (found[0].ranged, found[1].ranged) == (False, True)
    assert np.linalg.norm(found[1].joints[0] - truth.joints[0]) < 0.03


def test_the_pipeline_calibrates_only_frames_with_depth(open_body, wrong, camera):
    calls = []

    class Replay:
        def __init__(self, depth):
            self.track, self.evidence, self.estimate, self.truth = wrong(depth)

        def step(self, frame):
            return [self.track]

        def make(self, frame, tracks):
            return [self.evidence]

        def __call__(self, frame, tracks, evidence):
            return [self.estimate]

    class Counting(FitCalibration):
        def __call__(self, *rows):
            calls.append(1)
            return super().__call__(*rows)

    for depth, count in ((False, 0), (True, 1)):
        replay = Replay(depth)
        pipeline = Pipeline(open_body, replay, Stages(replay.make, replay, calibration=Counting(open_body)))
        result = pipeline.step(Frame(0, 0, np.zeros((240, 320, 3), np.uint8), camera))
        assert len(calls) == count
        near = np.linalg.norm(result.humans[0].joints[0] - replay.truth.joints[0]) < 0.03
        assert near == depth
        assert (result.humans[0].scale == ScaleSource.DEPTH) == depth
        assert ("calibrate" in pipeline.stage_seconds) == depth


def test_a_depth_image_that_says_nothing_is_no_measured_distance(wrong, calibration):
    """Out of range, or of glass: there is an image, and nothing in it."""
    track, evidence, estimate, _ = wrong()
    nothing = replace(evidence, depth=replace(evidence.depth, z=np.full(12, np.nan)))
    (found,) = calibration(0, [track], [nothing], [estimate])
    assert found is estimate and not found.ranged


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, FitCalibration),
        ({"calibrate": "parallel"}, ParallelCalibration),
        ({"calibrate": "none"}, type(None)),
        ({"recover": "kinematic", "refine": "none"}, type(None)),  # auto builds no networks for it
        ({"recover": "kinematic", "refine": "none", "calibrate": "fit"}, FitCalibration),
        ({"recover": "kinematic", "refine": "none", "calibrate": "parallel"}, ParallelCalibration),
        ({"recover": "kinematic", "refine": "none", "calibrate": "serial"}, SerialCalibration),
    ],
)
def test_the_setting_chooses(settings, kind):
    assert type(build_stages(with_values(HmrConfig(), settings)).calibration) is kind


def test_serial_moves_the_body_to_what_is_lifted(open_body, wrong):
    """Without depth; where the recovery stands it stays."""
    track, evidence, estimate, truth = wrong(False)
    lifted = (truth.joints - truth.joints[0] + estimate.joints[0])[SMPL_LIMBS]
    serial = SerialCalibration(open_body, lambda evidence, estimates: np.array([lifted for _ in estimates]))
    found = serial(0, [track], [evidence], [estimate])[0]
    assert limb_error(found, truth).max() < 0.25 * limb_error(estimate, truth).max()
    assert np.linalg.norm(found.joints[SMPL_LIMBS] - lifted, axis=1).max() < 0.03
    np.testing.assert_array_equal(found.joint_covariance, estimate.joint_covariance)
    assert serial(0, [], [], []) == []


def test_serial_takes_the_distance_from_the_depth(open_body, wrong):
    """Of those who have some; the others are not moved by it."""
    track, evidence, estimate, truth = wrong()
    other, blind, unmoved, _ = wrong(False)

    def lifter(evidence, estimates):
        return np.array([(truth.joints - truth.joints[0] + e.joints[0])[SMPL_LIMBS] for e in estimates])

    serial = SerialCalibration(open_body, lifter)
    alone, near = serial(0, [replace(other, track_id=1), track], [blind, evidence], [unmoved, estimate])
    assert np.linalg.norm(near.joints[0] - truth.joints[0]) < 0.05
    assert np.linalg.norm(alone.joints[0] - unmoved.joints[0]) < 0.05
    assert (alone.ranged, near.ranged) == (False, True)


def test_the_posture_networks_lift_what_the_closed_form_found(rendered):
    """On rendered images, end to end: another pose of about the same accuracy, and a scale that is not one of depth."""
    images, truths, camera = rendered
    errors, found = {}, {}
    for calibrate in ("none", "serial"):
        settings = {"recover": "kinematic", "refine": "none", "calibrate": calibrate, "threads": 1}
        pipeline = build_pipeline(offline(with_values(HmrConfig(), settings), as_live=True))
        rows = [pipeline.step(Frame(i, i * 66_000_000, image, camera)) for i, image in enumerate(images)]
        seen = [(r.humans[0], t) for r, t in zip(rows, truths, strict=True) if r.humans]
        assert all(h.scale in (ScaleSource.GUESS, ScaleSource.INTRINSICS) for h, _ in seen)
        limbs, true = (np.array(a)[:, SMPL_LIMBS] for a in zip(*((h.joints, t.joints) for h, t in seen), strict=True))
        errors[calibrate], found[calibrate] = procrustes_errors(limbs, true).mean(), limbs
    assert errors["serial"] < 1.05 * errors["none"]
    assert np.linalg.norm(found["serial"] - found["none"], axis=-1).mean() > 0.01


def test_refinement_keeps_the_distance(open_body, wrong, camera):
    """Over frames of somebody who stands still, with the recovery a third too far away in all of them."""
    track, evidence, estimate, truth = wrong()

    class Replay:
        def step(self, frame):
            return [track]

        def make(self, frame, tracks):
            return [evidence]

        def __call__(self, frame, tracks, evidence):
            return [estimate]

    built = build_stages(HmrConfig())
    replay = Replay()
    pipeline = Pipeline(open_body, replay, Stages(replay.make, replay, built.refinement, built.calibration))
    blank = np.zeros((240, 320, 3), np.uint8)
    for i in range(6):
        result = pipeline.step(Frame(i, i * 33_000_000, blank, camera))
        assert abs(result.humans[0].joints[0, 2] - truth.joints[0, 2]) < 0.05


def test_whole_tracks_keep_the_distance(open_body, wrong):
    """`--quality` with depth: measured depths are observations of every frame, as they are live."""
    track, evidence, estimate, truth = wrong()
    moved = FitCalibration(open_body)(0, [track], [evidence], [estimate])[0]
    camera = guess_camera(320, 240)
    errors = {}
    for name, found in (("measured", moved), ("unknown", replace(moved, depths=None))):
        people = [Observation(i, i * 33_000_000, camera, track, evidence, found) for i in range(6)]
        refined = refine_tracks(people, load_prior(), open_body)
        errors[name] = max(np.abs(r.joints - truth.joints)[SMPL_LIMBS, 2].mean() for r in refined)
    assert errors["measured"] < 0.05
    assert errors["measured"] < 0.8 * errors["unknown"]
