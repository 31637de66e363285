"""From humans.npz to motion in a world: where it is given, where it is not, and what is refused."""

import numpy as np
import pytest

from hmr_ros.body.joints import SMPL
from hmr_ros.errors import HmrError
from hmr_ros.exchange.files.sampling import at_rate, cut_at_gaps
from hmr_ros.exchange.files.tracks import load_tracks
from hmr_ros.geometry.rotations import matrix_from_axis_angle


def only(path):
    (track,), left_out = load_tracks(path)
    assert left_out == 0
    return track


def test_the_world_of_the_file_is_taken(recording):
    clip = recording()
    track = only(clip.path)
    assert track.track_id == 7 and track.fps == 30 and track.measured.all()
    np.testing.assert_allclose(track.joints, clip.joints, atol=1e-6)


def test_without_a_world_the_camera_is_level_and_the_lowest_feet_stand_on_the_floor(recording):
    clip = recording(world=False)
    arrays = dict(np.load(clip.path))
    track = only(clip.path)
    own = arrays["joints"][:, 0]
    np.testing.assert_allclose(track.root[:, :2], np.stack([own[:, 2], -own[:, 0]], 1), atol=1e-9)
    np.testing.assert_allclose(np.diff(track.root[:, 2]), -np.diff(own[:, 1]), atol=1e-9)
    feet = track.joints[:, [SMPL["left_foot"], SMPL["right_foot"]], 2].min(1)
    assert -0.1 < np.percentile(feet, 5) < 0.1


def test_a_world_without_the_pelvis_turns_the_camera_alone(recording):
    clip = recording()
    arrays = dict(np.load(clip.path))
    arrays.pop("root_world")
    np.savez(clip.path, **arrays)
    moved = only(clip.path).joints - clip.joints
    assert np.ptp(moved, axis=(0, 1)).max() < 1e-6  # the camera's place alone is not known


def test_rows_without_a_place_in_the_world_are_a_gap(recording):
    clip = recording(np.arange(60))
    arrays = dict(np.load(clip.path))
    arrays["root_world"][20:23] = np.nan
    np.savez(clip.path, **arrays)
    (track,), left_out = load_tracks(clip.path)
    assert left_out == 3 and len(track.times) == 57
    arrays["R_world_camera"][:] = np.nan
    np.savez(clip.path, **arrays)
    with pytest.raises(HmrError, match="no finite row"):
        load_tracks(clip.path)


def test_every_person_has_a_track_in_order_of_time(recording):
    rng = np.random.default_rng(1)
    rows = rng.permutation(np.repeat(np.arange(40), 2))
    ids = np.zeros(80, int)
    for frame in range(40):
        ids[np.flatnonzero(rows == frame)[1]] = 3
    tracks, _ = load_tracks(recording(rows, track_ids=ids, betas=np.zeros(10)).path)
    assert [t.track_id for t in tracks] == [0, 3]
    for track in tracks:
        np.testing.assert_allclose(track.times, np.arange(40) / 30)


def test_a_constant_rate_is_found_in_stamps_of_milliseconds(recording):
    rows = np.r_[0:50, 60:200]
    track = only(recording(rows, stamps=np.round(rows * 1000 / 29.97) * 1e6).path)
    assert track.fps == pytest.approx(29.97, abs=0.002)
    np.testing.assert_allclose(track.times * track.fps, rows, atol=1e-6)


def test_images_that_come_in_pairs_make_no_rate_of_megahertz(recording):
    """Stamps of receipt: two at once, fifteen times a second."""
    rows = np.arange(300)
    assert only(recording(rows, stamps=(rows // 2 / 15 + rows % 2 * 2e-6) * 1e9).path).fps < 31
    assert only(recording(rows[:299], stamps=(rows[:299] // 2 / 15 + rows[:299] % 2 * 2e-6) * 1e9).path).fps < 31


def test_a_varying_rate_keeps_its_stamps(recording):
    rows = np.arange(60)
    stamps = np.where(rows < 40, rows / 30, 40 / 30 + (rows - 40) / 5) * 1e9
    track = only(recording(rows, stamps=stamps).path)
    assert track.fps == pytest.approx(30, abs=0.01)
    np.testing.assert_allclose(track.times, stamps * 1e-9, atol=1e-9)


def test_gaps_are_filled_on_the_way_between_their_ends(recording):
    whole, holes = only(recording().path), only(recording(np.r_[0:100, 103:200, 260:300], name="h.npz").path)
    filled, rest = cut_at_gaps(holes, 1.0)
    filled = at_rate(filled, filled.fps)
    assert len(filled.times) == 200 and len(rest.times) == 40
    np.testing.assert_array_equal(np.flatnonzero(~filled.measured), [100, 101, 102])
    np.testing.assert_allclose(filled.joints[filled.measured], whole.joints[:200][filled.measured], atol=1e-6)
    assert np.abs(filled.joints - whole.joints[:200]).max() < 0.03  # an eighth of a second of walking
    assert [len(p.times) for p in cut_at_gaps(holes, 0.0)] == [100, 97, 40]
    assert [len(p.times) for p in cut_at_gaps(holes, 10.0)] == [237]


def test_resampling_there_and_back(recording):
    track = only(recording(np.arange(60)).path)
    back = at_rate(at_rate(track, 120.0), 30.0)
    np.testing.assert_allclose(back.joints, track.joints, atol=1e-9)
    assert back.measured.all()


def test_half_a_turn_between_frames_is_made_the_short_way(recording):
    track = only(recording([0, 1]).path)
    turn = matrix_from_axis_angle(np.array([0.0, 0.0, 2.0]))
    track.rotations[1, 0] = turn @ track.rotations[0, 0]
    middle = at_rate(track, 60.0).rotations[1, 0]
    half = matrix_from_axis_angle(np.array([0.0, 0.0, 1.0]))
    np.testing.assert_allclose(middle, half @ track.rotations[0, 0], atol=1e-9)
