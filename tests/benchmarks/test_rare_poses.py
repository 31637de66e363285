"""What benchmarks/rare_poses.py chooses and counts."""

import numpy as np
from rare_poses import chosen, sides_wrong, trunk


def poses(pitch_deg):
    out = np.zeros((len(pitch_deg), 72), np.float32)
    out[:, 0] = np.radians(pitch_deg)
    return out


def test_tilt_is_that_of_the_trunk():
    tilt, _ = trunk(poses([0, 90, 180]).astype(float))
    assert tilt[0] < 10 and abs(tilt[1] - 90) < 10 and tilt[2] > 170


def test_the_piece_with_most_tilt_and_no_bad_frame():
    pitch = np.r_[np.zeros(10), np.full(5, 90.0), np.zeros(10), np.full(5, 80.0), np.zeros(5)]
    arrays = {"poses": poses(pitch), "bad_frame": np.zeros(len(pitch), bool)}
    assert chosen(arrays, np.arange(len(pitch)), 5, "tilt").tolist() == list(range(10, 15))
    arrays["bad_frame"][12] = True
    assert chosen(arrays, np.arange(len(pitch)), 5, "tilt").tolist() == list(range(25, 30))
    assert len(chosen(arrays, np.arange(30, 35), 60, "low")) == 5


def test_sides_are_wrong_where_the_others_are_nearer():
    true = np.random.default_rng(0).uniform(0, 200, (12, 2))
    assert not sides_wrong(true + 1, true)
    legs = true.copy()
    legs[2:6] = legs[[3, 2, 5, 4]]
    assert sides_wrong(legs, true)
