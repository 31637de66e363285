"""The world of a file."""

from dataclasses import replace

import numpy as np
import pytest
from tilted_camera import CAMERA, PITCH, ROLL, humans_of

from hmr_ros.body.joints import SMPL_LIMBS
from hmr_ros.body.model import forward_kinematics, pose_matrices
from hmr_ros.config import HmrConfig, with_values
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.io.results import ResultRecorder, load_humans
from hmr_ros.synth.motion import demo_motion
from hmr_ros.types import GravitySource, ScaleSource
from hmr_ros.world.gravity import CameraPose, Gravity, rotation_of_tilt, tilt_of
from hmr_ros.world.whole import in_world, tracks_of

GIVEN = with_values(HmrConfig(), {"camera.pitch_deg": PITCH, "camera.roll_deg": ROLL})


def worlds(humans, body, config=GIVEN):
    return in_world(humans, body, CAMERA, config)


def test_gravity_given_is_exact(walking, open_body):
    R = rotation_of_tilt(PITCH, ROLL)
    found = worlds(walking, open_body)
    for human in found:
        world = human.world
        np.testing.assert_allclose(world.R_world_camera, R, atol=1e-12)
        np.testing.assert_allclose(world.root, R @ human.joints[0] + world.t_world_camera, atol=1e-9)
        assert world.source == GravitySource.PARAMETER
        assert abs(world.body_axes[2, 2]) > 0.9  # upright
    feet = np.array([h.joints[[10, 11]] @ R.T + h.world.t_world_camera for h in found])
    assert abs(feet[..., 2].min()) < 0.06  # the floor is z = 0
    assert abs(found[0].world.t_world_camera[2] - 2.2) < 0.05  # where the camera was put


def test_an_orientation_goes_before_pitch_and_roll(walking, open_body):
    given = with_values(GIVEN, {"camera.orientation": "0,0.7071068,-0.7071068,0", "camera.pitch_deg": -80.0})
    (first, *_) = worlds(walking, open_body, given)
    assert first.world.source == GravitySource.PARAMETER
    expected = [[-1, 0, 0], [0, 0, -1], [0, -1, 0]]  # level, looks along the world's -y
    np.testing.assert_allclose(first.world.R_world_camera, expected, atol=1e-6)
    for other in ("estimate", "level"):
        (first, *_) = worlds(walking, open_body, with_values(given, {"world.gravity": other}))
        assert first.world.source != GravitySource.PARAMETER


def test_people_tell_which_way_is_up(walking, open_body):
    (world,) = {id(h.world): h.world for h in worlds(walking, open_body, HmrConfig())[:1]}.values()
    assert world.source == GravitySource.ESTIMATE
    up = rotation_of_tilt(PITCH, ROLL)[2]
    error = np.degrees(np.arccos(world.R_world_camera[2] @ up))
    assert error < 8 and 2 < np.degrees(world.gravity_sigma) < 12
    assert np.degrees(np.arccos(up[1] * -1)) > 2 * error  # level would have been worse


def test_nobody_nothing_known_and_nothing_wanted(walking, open_body):
    assert worlds([], open_body) == []
    assert worlds(walking, open_body, with_values(HmrConfig(), {"world.gravity": "none"})) == walking
    short = worlds(walking[:3], open_body, HmrConfig())
    assert {h.world.source for h in short} == {GravitySource.LEVEL}
    np.testing.assert_allclose(tilt_of(short[0].world.R_world_camera[2]), (0, 0), atol=1e-9)


def test_feet_stand_in_the_world_of_a_camera_that_moves(walking, open_body):
    """Its place is known in every frame but the last ten, in which people stand nowhere."""
    R, seen, poses = rotation_of_tilt(PITCH, ROLL), [], {}
    for i, human in enumerate(walking):
        at = np.array([0.03 * i, 0.2 * np.sin(0.3 * i), 2.2])
        shift = R.T @ (at - [0, 0, 2.2])
        seen.append(replace(human, joints=human.joints - shift, transl=human.transl - shift))
        poses[human.frame] = CameraPose(Gravity(R[2], GravitySource.TF, 0.01), Rigid(R, at), "odom")
    for human in walking[-10:]:
        del poses[human.frame]
    found = in_world(seen, open_body, CAMERA, HmrConfig(), poses=poses)
    assert [h.world is None for h in found] == [False] * (len(found) - 10) + [True] * 10
    for moving, still in zip(found[:-10], worlds(walking[:-10], open_body), strict=True):
        world = moving.world
        assert (world.source, world.frame) == (GravitySource.TF, "odom")
        np.testing.assert_allclose(world.t_world_camera, poses[moving.frame].place.translation, atol=1e-9)
        np.testing.assert_allclose(world.root, R @ moving.joints[0] + world.t_world_camera, atol=1e-9)
        np.testing.assert_allclose(world.root, R @ still.joints[0] + [0, 0, 2.2], atol=0.05)


@pytest.mark.parametrize("kind", ["tf", "imu"])
def test_a_source_that_a_file_does_not_have_is_named_and_nobody_is_lost(walking, open_body, caplog, kind):
    found = worlds(walking[:20], open_body, with_values(GIVEN, {"world.gravity": kind}))
    assert caplog.text.count(f"world.gravity is {kind}, which the node and `hmr bag` alone have") == 1
    assert all(h.world is not None for h in found)


def test_velocity_is_that_of_the_way(walking, open_body):
    found = worlds(walking, open_body, with_values(GIVEN, {"world.feet": "never"}))
    roots, speeds = (np.array([getattr(h.world, n) for h in found]) for n in ("root", "velocity"))
    np.testing.assert_allclose(speeds[10:-10], (roots[13:-7] - roots[7:-13]) * 5, atol=0.02)


def test_the_floor_says_how_large_a_child_is(open_body):
    """Somebody of 0.85 of an average person's size, taken for average, is seen farther away than they are."""
    motion = demo_motion(30.0)
    walk = humans_of(replace(motion, poses=motion.poses[:60], trans=motion.trans[:60]), open_body, pitch=-30.0)
    wrong = [replace(h, joints=h.joints / 0.85, transl=h.joints[0] / 0.85 - (h.joints[0] - h.transl)) for h in walk]
    wrong = [replace(h, joints=open_body.joints(h.global_orient, h.body_pose, h.betas, h.transl)) for h in wrong]
    config = with_values(HmrConfig(), {"camera.pitch_deg": -30.0, "camera.roll_deg": ROLL, "camera.height_m": 2.2})
    found = worlds(wrong, open_body, config)
    assert {h.scale for h in found} == {ScaleSource.FLOOR}
    before, after = (
        np.median([np.linalg.norm(a.joints[0] - b.joints[0]) for a, b in zip(people, walk, strict=True)])
        for people in (wrong, found)
    )
    assert after < before / 2
    measured = [replace(h, scale=ScaleSource.DEPTH) for h in wrong]
    assert {h.scale for h in worlds(measured, open_body, config)} == {ScaleSource.DEPTH}  # depth knows better


def test_a_track_is_cut_where_nobody_was_seen(walking):
    assert [len(t) for t in tracks_of(walking)] == [60]
    assert [len(t) for t in tracks_of(walking[:20] + walking[40:])] == [20, 20]
    two = [replace(h, track_id=h.frame % 2) for h in reversed(walking)]
    assert [[two[r].frame for r in t][:3] for t in sorted(tracks_of(two), key=lambda t: two[t[0]].frame)] == [
        [0, 2, 4], [1, 3, 5],
    ]  # fmt: skip


def test_it_is_written_and_read(walking, open_body, tmp_path):
    found = worlds(walking, open_body)
    ResultRecorder(found + walking[:1]).save(tmp_path / "humans.npz", K=CAMERA.K, body_model=open_body.name)
    table = load_humans(tmp_path / "humans.npz")
    N = len(found)
    assert table.R_world_camera.shape == (N + 1, 3, 3) and table.root_world.shape == (N + 1, 3)
    assert table.contacts.shape == (N + 1, 4)
    np.testing.assert_allclose(table.root_world[:N], [h.world.root for h in found])
    assert table.gravity_source.tolist() == [GravitySource.PARAMETER] * N + [GravitySource.NONE]
    assert np.isnan(table.R_world_camera[N]).all()


@pytest.mark.parametrize("feet", [False, True])
def test_people_stay_in_their_pixels(walking, open_body, feet):
    found = worlds(walking, open_body, with_values(GIVEN, {"world.feet": "files" if feet else "never"}))
    moved = [np.linalg.norm(a.joints_2d - b.joints_2d, axis=1).max() for a, b in zip(found, walking, strict=True)]
    assert np.median(moved) < (1e-6 if not feet else 6.0)


def test_a_shape_that_is_being_learned_is_no_way_along_the_line_of_sight(standing, open_body):
    """Somebody is seen as smaller and nearer at first; in the world they have one size and stay where they are."""
    final = np.r_[0.8, np.zeros(9)]
    learning = []
    for k, human in enumerate(standing):
        betas = final * min(1.0, 2 * k / len(standing))
        ratio = spread(open_body, betas) / spread(open_body, np.zeros(10))
        learning.append(replace(human, **at_shape(open_body, human, betas, ratio * human.joints[0])))
    steady = [
        replace(
            h, **at_shape(open_body, h, final, h.joints[0] * spread(open_body, final) / spread(open_body, 0 * final))
        )
        for h in standing
    ]
    config = with_values(GIVEN, {"world.feet": "never"})
    found, wanted = (worlds(people, open_body, config) for people in (learning, steady))
    np.testing.assert_allclose([h.joints for h in found], [h.joints for h in wanted], atol=1e-3)
    np.testing.assert_allclose([h.betas for h in found], [h.betas for h in wanted], atol=1e-9)


def test_out_of_sight_for_a_while_a_person_keeps_one_shape(standing, open_body):
    half = len(standing) // 2
    seen = [replace(h, betas=np.r_[0.8 * (k >= half), np.zeros(9)]) for k, h in enumerate(standing)]
    seen[half:] = [replace(h, stamp_ns=h.stamp_ns + 10**9) for h in seen[half:]]
    other = [replace(h, track_id=1, betas=np.r_[-1.0, np.zeros(9)]) for h in standing]
    assert len(tracks_of(seen)) == 2
    found = worlds([*seen, *other], open_body, with_values(GIVEN, {"world.feet": "never"}))
    np.testing.assert_allclose([h.betas[0] for h in found], [0.8] * len(seen) + [-1.0] * len(other), atol=1e-9)


def spread(body, betas):
    joints = body.rest_joints(betas)[SMPL_LIMBS]
    return np.sqrt(np.square(joints - joints.mean(0)).sum(1).mean())


def at_shape(body, human, betas, pelvis):
    rest = body.rest_joints(betas)
    rotations = pose_matrices(human.global_orient, human.body_pose)
    return {
        "betas": betas,
        "transl": pelvis - rest[0],
        "joints": forward_kinematics(rotations, rest)[1] - rest[0] + pelvis,
    }
