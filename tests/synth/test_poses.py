"""Pose sampling: mirror laws, limits of what comes out, and bad files."""

import numpy as np
import pytest

from hmr_ros.body.joints import SMPL_MIRRORED
from hmr_ros.errors import InputError
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.synth.poses import PoseSampler, Recorded, load_recorded, mirror, rare, widened


def test_mirroring_twice_changes_nothing():
    pose = np.random.default_rng(0).normal(0, 1, (3, 24, 3))
    np.testing.assert_allclose(mirror(mirror(pose)), pose)


def test_mirrored_people_are_mirror_images(open_body):
    pose = np.random.default_rng(0).normal(0, 0.4, (24, 3))
    other = mirror(pose)
    at = open_body.joints(pose[0], pose[1:].reshape(-1), np.zeros(10), np.zeros(3))
    mirrored = open_body.joints(other[0], other[1:].reshape(-1), np.zeros(10), np.zeros(3))
    np.testing.assert_allclose(mirrored[SMPL_MIRRORED] * [-1, 1, 1], at, atol=0.01)  # the body is not quite symmetric


def test_bad_frames_are_left_out(motion_file):
    recorded = load_recorded(motion_file)
    assert np.abs(recorded.poses).max() < 7.0
    sampler = PoseSampler(recorded, np.random.default_rng(0))
    assert all(np.abs(sampler.plain()).max() < 7.0 for _ in range(50))


def test_augmented_poses_are_poses_and_differ(motion_file):
    sampler = PoseSampler(load_recorded(motion_file), np.random.default_rng(0))
    poses = np.array([sampler.augmented() for _ in range(100)])
    assert poses.shape == (100, 24, 3)
    assert np.isfinite(poses).all()
    knees = matrix_from_axis_angle(poses[:, 4])
    bend = np.degrees(np.arccos(np.clip(knees[:, 1, 1], -1, 1)))
    assert bend.max() < 170
    assert bend.std() > 15
    assert (poses[:, 22:] == 0).all()


def test_files_without_poses_are_refused(tmp_path):
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    with pytest.raises(InputError, match="poses"):
        load_recorded(tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", poses=np.full((4, 72), np.nan))
    with pytest.raises(InputError, match="no usable frame"):
        load_recorded(tmp_path / "y.npz")


def test_motion_is_unbroken_and_keeps_its_limbs(motion_file):
    recorded = load_recorded(motion_file)
    assert recorded.follows(0, 5)
    assert not recorded.follows(len(recorded.poses) - 2, 3)
    sampler = PoseSampler(recorded, np.random.default_rng(0))
    for plain in (True, False):
        poses, trans, step = sampler.motion(8, plain)
        assert poses.shape == (8, 24, 3) and trans.shape == (8, 3) and step in (1, 2)
        turned = np.swapaxes(matrix_from_axis_angle(poses[:-1]), -1, -2) @ matrix_from_axis_angle(poses[1:])
        angle = np.arccos(np.clip((np.trace(turned, axis1=-2, axis2=-1) - 1) / 2, -1, 1))
        assert np.degrees(angle).max() < 60.0


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_time_scaled_motion_is_the_recording_so_many_times_as_fast(scale):
    """Every frame of this recording says which one it is, in an angle and a place that mirroring leaves alone."""
    count = 60
    poses, trans = np.zeros((count, 24, 3)), np.zeros((count, 3))
    poses[:, 3, 0] = trans[:, 1] = np.arange(count) / 100
    recorded = Recorded(poses, np.zeros(count, int), trans, np.arange(count))
    sampler = PoseSampler(recorded, np.random.default_rng(scale))
    steps = set()
    for _ in range(20):
        poses, trans, step = sampler.motion(5, plain=True, time_scale=scale)
        steps.add(step)
        np.testing.assert_allclose(np.diff(poses[:, 3, 0]), scale * step / 100)
        np.testing.assert_allclose(trans[:, 1], poses[:, 3, 0])
    assert steps == {1, 2}


def test_widened_poses_leave_the_recorded_ones_behind(motion_file):
    recorded = load_recorded(motion_file)
    poses = widened(recorded, 200, np.random.default_rng(0))
    assert poses.shape == (200, 24, 3) and np.isfinite(poses).all()

    def bend(poses):
        knees = matrix_from_axis_angle(poses[:, 4])
        return np.degrees(np.arccos(np.clip(knees[:, 1, 1], -1, 1)))

    assert bend(poses).max() < 175
    nearest = np.abs(poses[:, None, 1:22] - recorded.poses[None, ::10, 1:22]).max((2, 3)).min(1)
    assert (nearest > 0.1).mean() > 0.5


def test_several_files_are_one_motion_of_separate_clips(tmp_path):
    for name, count in (("a", 5), ("b", 7)):
        np.savez(tmp_path / f"{name}.npz", poses=np.full((count, 72), 0.01 * count), clip_id=np.full(count, 3))
    both = load_recorded(tmp_path / "a.npz", tmp_path / "b.npz")
    assert len(both.poses) == 12
    assert len(np.unique(both.clip)) == 2
    assert both.follows(0, 5) and both.follows(5, 7)
    assert not both.follows(3, 4)


def test_rare_postures_are_told_and_drawn_more_often():
    poses = np.zeros((100, 24, 3))
    poses[90, 0] = [np.pi / 2, 0, 0]  # lying
    poses[91, 0] = [0, 0, np.pi]  # upside down
    poses[92, [1, 2], 0] = -np.pi / 2  # sitting
    poses[93, 1, 0] = -np.pi / 2  # one knee lifted
    poses[94, 0] = [0, np.pi / 2, 0]  # turned to the side
    np.testing.assert_array_equal(np.flatnonzero(rare(poses)), [90, 91, 92])
    recorded = Recorded(poses, np.zeros(100, int), np.zeros((100, 3)), np.arange(100))
    for widely, share in ((False, 3 / 100), (True, 30 / 127)):
        drawn = recorded.draw(20000, np.random.default_rng(0), widely=widely)
        assert np.mean(np.isin(drawn, [90, 91, 92])) == pytest.approx(share, abs=0.02)
