"""The report matches the right people, counts what is missing, and never divides by nothing."""

import json
from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.body.loading import load_body
from hmr_ros.errors import InputError
from hmr_ros.evaluate.report import evaluate, figures, match, print_report
from hmr_ros.io.results import load_humans, save_arrays
from hmr_ros.synth.render import truth_arrays

FORWARD = np.array([0.0, 0.0, 1.0])


@pytest.fixture
def truth(tmp_path, rendered):
    _, truths, camera = rendered
    save_arrays(tmp_path / "t.npz", **truth_arrays(truths, camera, 15.0, "open", vertices=True))
    return load_humans(tmp_path / "t.npz")


def rows(table, chosen):
    """The table with only these rows."""
    kept = {k: v[chosen] for k, v in vars(table).items() if isinstance(v, np.ndarray) and k != "K"}
    return replace(table, **kept)


def both(a, b):
    """Rows of two tables, one after the other."""
    joined = {
        k: np.concatenate([v, getattr(b, k)]) for k, v in vars(a).items() if isinstance(v, np.ndarray) and k != "K"
    }
    return replace(a, **joined)


def score(humans, truth):
    return figures(humans, truth, match(humans, truth))


def test_the_truth_is_perfect(truth):
    result = score(truth, truth)
    assert result["recall"] == 1 and result["extra_people"] == 0 and result["pck150"] == 1
    errors = [v for k, v in result.items() if k.endswith(("_mm", "_px", "_s2"))]
    assert len(errors) == 9 and max(errors) < 1e-3


def test_order_and_numbers_of_people_do_not_matter(truth):
    other = replace(truth, joints=truth.joints + 1, joints_2d=truth.joints_2d + 80, track_id=truth.track_id + 1)
    two = both(truth, other)
    shuffled = rows(two, np.random.default_rng(0).permutation(len(two.frame)))
    result = score(shuffled, two)
    assert result["matched"] == 2 * len(truth.frame) and result["mpjpe_mm"] < 1e-9 and result["translation_mm"] < 1e-9


def test_misses_and_ghosts_are_counted(truth):
    ghost = replace(rows(truth, slice(0, 5)), joints_2d=truth.joints_2d[:5] + 300)
    result = score(both(rows(truth, slice(0, 20)), ghost), truth)
    assert result["recall"] == pytest.approx(20 / 25) and result["extra_people"] == 5 and result["mpjpe_mm"] == 0


def test_joints_without_a_pixel_do_not_spoil_the_match(truth):
    half = replace(truth, joints_2d=truth.joints_2d.copy())
    half.joints_2d[:, 12:] = np.nan
    assert score(half, truth)["joints_2d_px"] == 0
    none = replace(truth, joints_2d=np.full_like(truth.joints_2d, np.nan))
    result = score(none, truth)
    assert result["recall"] == 1 and result["joints_2d_px"] is None
    json.dumps(result, allow_nan=False)


def test_vertices_are_compared_where_the_bodies_allow_it(truth):
    bare, vertices = replace(truth, vertices=None), truth.vertices
    assert score(bare, bare)["pve_mm"] == 0  # both are the open body
    assert score(bare, replace(truth, body_model="smpl"))["pve_mm"] < 1e-3  # as many vertices
    assert score(bare, replace(truth, vertices=vertices[:, :100]))["pve_mm"] is None
    assert score(bare, replace(bare, body_model="smpl"))["pve_mm"] is None
    assert score(replace(bare, body_model="smpl"), truth)["pve_mm"] is None
    moved = replace(bare, transl=truth.transl + FORWARD, joints=truth.joints + FORWARD)
    assert score(moved, truth)["pve_mm"] < 1e-3 and score(moved, truth)["translation_mm"] == pytest.approx(1000)


def test_a_taller_body_has_a_vertex_error(truth):
    betas = truth.betas + np.eye(10)[0]
    tall = replace(truth, betas=betas, vertices=None)
    body = load_body()
    joints = body.joints(tall.global_orient, tall.body_pose, betas, tall.transl)
    assert 5 < score(replace(tall, joints=joints), truth)["pve_mm"] < 200


def test_gaps_do_not_count_as_acceleration(truth):
    gappy = rows(truth, np.r_[0:5, 10:15, 20])
    assert score(gappy, truth)["acceleration_error_m_s2"] < 1e-9
    alone = rows(truth, [0, 5, 9])
    assert score(alone, truth)["acceleration_error_m_s2"] is None


def test_the_table_and_the_file_say_the_same(tmp_path, truth, capsys):
    result = evaluate(tmp_path / "t.npz", tmp_path / "t.npz")
    print_report(result, tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text()) == result
    said = capsys.readouterr().out
    assert all(name in said for name in result)
    with pytest.raises(InputError, match="cannot write"):
        print_report(result, tmp_path / "no" / "r.json")


def test_other_frames_have_nothing_in_common(tmp_path, truth, rendered):
    _, truths, camera = rendered
    later = truth_arrays(truths, camera, 15.0, "open", vertices=False)
    save_arrays(tmp_path / "h.npz", **{**later, "frame": later["frame"] + 1000})
    with pytest.raises(InputError, match="do they show one video"):
        evaluate(tmp_path / "h.npz", tmp_path / "t.npz")
