"""`hmr evaluate` of several people: what was made wrong on purpose is what is counted."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.evaluate.report import evaluate
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.io.results import load_arrays, save_arrays
from hmr_ros.synth.crowd import arranged
from hmr_ros.synth.motion import demo_motion
from hmr_ros.synth.render import render_motions, truth_arrays

FRAMES = 6


@pytest.fixture(scope="module")
def truth(open_body, tmp_path_factory):
    """Three people who stand side by side, two of them all in view; truth.npz."""
    path = tmp_path_factory.mktemp("crowd") / "truth.npz"
    whole = demo_motion(10.0)
    motions = [
        replace(whole, poses=whole.poses[s : s + FRAMES], trans=whole.trans[s : s + FRAMES]) for s in (0, 20, 40)
    ]
    motions, view = arranged(motions, open_body, "side-by-side", replace(guess_camera(96, 72), guessed=False), 0)
    truths = [t for _, people in render_motions(motions, open_body, view) for t in people]
    save_arrays(path, **truth_arrays(truths, view.camera, 10.0, "open", vertices=False, people=3))
    return path


def changed(truth, tmp_path, keep=None, **arrays):
    """A humans.npz that is the truth but for these arrays, of the rows to `keep`."""
    given = load_arrays(truth) | arrays
    rows = np.arange(len(given["frame"])) if keep is None else keep
    per_row = {k: v[rows] for k, v in given.items() if k not in ("K", "body_model")}
    save_arrays(tmp_path / "humans.npz", K=given["K"], body_model=given["body_model"], **per_row)
    return evaluate(tmp_path / "humans.npz", truth)


def test_the_truth_is_perfect(truth, tmp_path):
    result = changed(truth, tmp_path)
    assert result["idf1"] == result["mota"] == result["hota"] == result["crowd_recall"] == 1
    assert result["crowd_precision"] == 1 and result["reported_twice"] == 0 and result["mpjpe_mm"] == 0


def test_ids_that_change_hands_are_counted(truth, tmp_path):
    ids, frame = load_arrays(truth)["track_id"].copy(), load_arrays(truth)["frame"]
    late = frame >= FRAMES // 2
    ids[late & (ids < 2)] = 1 - ids[late & (ids < 2)]
    result = changed(truth, tmp_path, track_id=ids)
    assert result["identity_switches"] == 2 and result["crowd_recall"] == 1
    assert result["idf1"] == pytest.approx(2 / 3) and result["mpjpe_mm"] == 0


def test_who_is_missing_and_who_is_there_twice(truth, tmp_path):
    person = load_arrays(truth)["person"]
    result = changed(truth, tmp_path, keep=np.flatnonzero(person != 1))
    assert result["missed"] == FRAMES and result["crowd_recall"] == pytest.approx(2 / 3)
    assert result["crowd_precision"] == 1
    ids = load_arrays(truth)["track_id"]
    twice = np.r_[np.arange(len(person)), np.flatnonzero(person == 0)]
    more = {"track_id": ids} | {"frame": load_arrays(truth)["frame"]}
    result = changed(truth, tmp_path, keep=twice, **more)
    assert result["reported_twice"] == result["false_people"] == FRAMES


def test_who_can_hardly_be_seen_may_be_found_or_not(truth, tmp_path):
    arrays = load_arrays(truth)
    share = np.where(arrays["person"] == 2, 0.1, 1.0)
    save_arrays(tmp_path / "truth.npz", **arrays | {"visible_share": share})
    for keep in (np.arange(3 * FRAMES), np.flatnonzero(arrays["person"] != 2)):
        result = changed(tmp_path / "truth.npz", tmp_path, keep=keep)
        assert result["crowd_recall"] == result["crowd_precision"] == result["idf1"] == 1


def test_errors_behind_others_stand_apart(truth, tmp_path):
    arrays = load_arrays(truth)
    hidden = arrays["visible"].copy()
    hidden[arrays["person"] == 1, 16:22] = False
    save_arrays(tmp_path / "truth.npz", **arrays | {"visible": hidden, "visible_share": np.ones(3 * FRAMES)})
    joints = arrays["joints"].copy()
    joints[arrays["person"] == 1, 20] += [0.0, 0.3, 0.0]  # a wrist
    result = changed(tmp_path / "truth.npz", tmp_path, joints=joints)
    assert result["pa_mpjpe_limbs_occluded_mm"] > 10 and result["pa_mpjpe_limbs_clear_mm"] < 1e-6


def test_nobody_has_to_guess_where_hidden_limbs_are(truth, tmp_path):
    """The lower half of one person is out of sight, and found far from where it is."""
    arrays = load_arrays(truth)
    upper = np.zeros(24, np.bool_)
    upper[[0, 3, 6, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23]] = True
    person = arrays["person"] == 1
    visible = np.where(person[:, None], upper, True)
    save_arrays(tmp_path / "truth.npz", **arrays | {"visible": visible, "visible_share": np.ones(3 * FRAMES)})
    points = arrays["joints_2d"].copy()
    low = points.min((0, 1), keepdims=True)[0]
    points[np.ix_(person, ~upper)] = low - 80.0
    result = changed(tmp_path / "truth.npz", tmp_path, joints_2d=points)
    assert result["crowd_recall"] == result["crowd_precision"] == result["idf1"] == 1
    assert result["recall_whole"] == result["precision_whole"] == pytest.approx(2 / 3)
    points[np.ix_(person, upper)] -= 80.0
    result = changed(tmp_path / "truth.npz", tmp_path, joints_2d=points)
    assert result["missed"] == result["false_people"] == FRAMES
