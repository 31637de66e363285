"""PC-HMR's blend matrices by regression: planted ones are found, the closed form stays where data says nothing."""

import numpy as np
import pytest

from hmr_ros.body.coarse import NUM_SPARSE, coarse_of, sparse_points
from hmr_ros.body.joints import SMPL_LIMBS
from hmr_ros.cli import main
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.methods.pchmr.blend import Blend, blend_of, load_blend
from hmr_ros.methods.pchmr.calibration import BoneMotion, bone_motion, calibrated
from hmr_ros.methods.posturehmr.graphs import torch_posture
from hmr_ros.train.calibrate import RIDGES_M, Calibrated, examples, fit_blend, mesh_error
from hmr_ros.train.data.batches import Mix

PEOPLE, POINTS = 60, 5


@pytest.fixture
def people():
    """Points whose bones go anywhere, and a blend that is far from the closed form's."""
    rng = np.random.default_rng(0)
    motion = BoneMotion(
        matrix_from_axis_angle(rng.normal(size=(PEOPLE, 24, 3))), rng.normal(size=(PEOPLE, 24, 3)),
        0.3 * rng.normal(size=(PEOPLE, 24, 3)), np.zeros((PEOPLE, 24, 3)),
    )  # fmt: skip
    A = rng.random((POINTS, 24)) * (rng.random((POINTS, 24)) < 0.3) + np.eye(24)[:POINTS]
    planted = Blend(A / A.sum(1, keepdims=True), rng.random((POINTS, 24)))
    points = rng.normal(size=(PEOPLE, POINTS, 3))
    return Calibrated(points, motion, calibrated(points, motion, planted)), planted


@pytest.fixture
def start():
    return Blend(np.full((POINTS, 24), 1 / 24), np.full((POINTS, 24), 0.5))


def objective(each, blend, start, ridge):
    """What is minimised, up to the people's weights."""
    away = np.linalg.norm(calibrated(each.points, each.motion, start) - each.truth, axis=-1).mean(1)
    weight = 1 / np.maximum(away, 0.02)
    off = np.square(calibrated(each.points, each.motion, blend) - each.truth).sum(-1)
    moved = [blend.A * blend.W - start.A * start.W, blend.A * (1 - blend.W) - start.A * (1 - start.W)]
    return (weight[:, None] * off).sum(0) / weight.sum() + ridge**2 * sum(np.square(m).sum(1) for m in moved)


def test_planted_matrices_are_found(people, start):
    each, planted = people
    found = fit_blend(iter([each]), start)[min(RIDGES_M)]
    np.testing.assert_allclose(found.A, planted.A, atol=0.01)
    np.testing.assert_allclose(found.A * found.W, planted.A * planted.W, atol=0.03)


def test_no_step_within_the_constraints_is_better(people, start):
    """Finite differences: towards the closed form, the planted blend and single bones the objective only rises."""
    each, planted = people
    rng = np.random.default_rng(1)
    single = [Blend(np.eye(24)[np.full(POINTS, k)], np.full((POINTS, 24), w)) for k in range(24) for w in (0.0, 1.0)]
    for ridge, found in fit_blend(iter([each]), start).items():
        least = objective(each, found, start, ridge)
        np.testing.assert_allclose(found.A.sum(1), 1.0, atol=1e-9)
        assert (found.A >= 0).all() and (found.W >= 0).all() and (found.W <= 1 + 1e-12).all()
        for other in (start, planted, *single):
            step = 1e-3 * rng.random()
            B = (1 - step) * found.A * found.W + step * other.A * other.W
            A = (1 - step) * found.A + step * other.A
            near = Blend(A, np.where(A > 0, B / np.where(A > 0, A, 1), 0))
            assert (objective(each, near, start, ridge) > least - 1e-6).all()


def test_the_closed_form_stays_where_nothing_moves(people, start):
    """Bones that all stay leave every blend as good as another."""
    each, _ = people
    N = len(each.points)
    still = BoneMotion(
        np.tile(np.eye(3), (N, 24, 1, 1)), np.zeros((N, 24, 3)), np.zeros((N, 24, 3)), np.zeros((N, 24, 3))
    )
    for found in fit_blend(iter([Calibrated(each.points, still, each.points)]), start).values():
        np.testing.assert_allclose(found.A, start.A, atol=1e-6)
        np.testing.assert_allclose(found.W, start.W, atol=1e-6)


def test_true_blends_have_the_least_error(people, start):
    each, planted = people
    errors = mesh_error(iter([_wide(each)]), {"planted": _tiled(planted), "start": _tiled(start)})
    assert errors["planted"] < 1e-6 < errors["start"]


def _wide(each):
    """With enough points to have vertices behind the sparse ones."""
    repeat = NUM_SPARSE // POINTS + 2
    return Calibrated(np.tile(each.points, (1, repeat, 1)), each.motion, np.tile(each.truth, (1, repeat, 1)))


def _tiled(blend):
    repeat = NUM_SPARSE // POINTS + 2
    return Blend(np.tile(blend.A, (repeat, 1)), np.tile(blend.W, (repeat, 1)))


def test_examples_are_people_with_limbs_near_the_truth(bank, open_body):
    """The joints that a depth camera would give bring the recovered body nearer to the true one."""
    mesh = coarse_of(open_body)
    rows = list(
        examples(bank, open_body, mesh, torch_posture(2, {}), np.random.default_rng(0), Mix(augment=False), rounds=2)
    )  # fmt: skip
    assert sum(len(r.points) for r in rows) == 2 * len(bank)
    errors = mesh_error(iter(rows), {"closed": blend_of(mesh.points(open_body))})
    assert errors["closed"] < 0.8 * errors["recovered"]


def test_the_command_trains_from_pairs(stills, open_body, tmp_path, capsys):
    given = ["train", "calibrate", "--pairs", str(stills), "--val", str(stills), "--out", str(tmp_path)]
    assert main([*given, "--threads", "1"]) == 0
    said = capsys.readouterr().out
    assert "closed form" in said and "recovered" in said
    found = load_blend(tmp_path / "calibrate.safetensors")
    sparse = sparse_points(open_body, coarse_of(open_body))
    away, there = np.array([0.0, 0.0, 3.0]), np.array([0.1, 0.0, 3.2])
    moved = calibrated(
        sparse.template[None] + away,
        bone_motion(sparse.J_template[None] + away, _limbs(sparse.J_template[None] + there)),
        Blend(found.A[:NUM_SPARSE], found.W[:NUM_SPARSE]),
    )  # fmt: skip
    np.testing.assert_allclose(moved[0], sparse.template + there, atol=1e-6)  # still a partition
    header, *rows = (tmp_path / "curve.csv").read_text().splitlines()
    assert header.startswith("blend") and len(rows) == 3 + len(RIDGES_M)
    assert main([*given, "--rounds", "0"]) == 1
    assert "--rounds" in capsys.readouterr().err


def _limbs(joints):
    targets = np.full_like(joints, np.nan)
    targets[:, SMPL_LIMBS] = joints[:, SMPL_LIMBS]
    return targets
