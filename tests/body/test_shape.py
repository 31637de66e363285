"""A track's shape settles on the mean of what is found, and is forgotten after a long absence."""

from copy import deepcopy

import numpy as np

from hmr_ros.body.coarse import coarse_of, sparse_points
from hmr_ros.body.fitting import Observed, PointFitter
from hmr_ros.body.joints import SMPL_LIMBS
from hmr_ros.body.shape import (
    ShapeInformation,
    ShapeMemory,
    TrackMemories,
    TrackShapes,
    shape_information,
    shrinkage,
    size_doubted,
)
from hmr_ros.geometry.rotations import matrix_from_axis_angle
from hmr_ros.synth.motion import demo_motion


def test_a_new_track_is_average_with_wide_bounds():
    mean, sigma = TrackShapes().expected([5])
    assert (mean == 0).all()
    assert sigma[0] == 1.0


def test_the_mean_settles_and_the_bounds_narrow():
    shapes, rng = TrackShapes(), np.random.default_rng(0)
    true = rng.normal(0, 1, 10)
    for k in range(90):
        shapes.learn([1], true[None] + rng.normal(0, 0.3, (1, 10)), k)
    mean, sigma = shapes.expected([1, 2])
    np.testing.assert_allclose(mean[0], true, atol=0.15)
    assert sigma[0] < 0.12 < sigma[1]


def test_people_away_for_long_are_forgotten():
    shapes = TrackShapes()
    shapes.learn([1], np.ones((1, 10)), 0)
    shapes.learn([2], np.ones((1, 10)), 1000)
    assert (shapes.expected([1])[0] == 0).all()


def evidence(rng, betas, rows=12):
    """What a frame that shows `rows` mixtures of the betas says of them."""
    A = rng.normal(size=(rows, 10))
    return A.T @ A, A.T @ A @ betas


def remembered(said, samples=np.inf):
    memory = ShapeMemory()
    for matrix, vector in said:
        memory.add(matrix, vector, 0.5, samples)
    return memory


def sigma(memory):
    """[10], one standard deviation of each beta, by how far it gives way to a pull."""
    variance = []
    for k, pull in enumerate(np.eye(10)):
        pulled = deepcopy(memory)
        pulled.add(np.zeros((10, 10)), pull, 1.0)
        variance.append((pulled.betas - memory.betas)[k])
    return np.sqrt(variance)


def test_more_of_the_same_evidence_settles_on_the_same_shape_and_more_surely():
    true = np.linspace(-1, 1, 10)
    one = evidence(np.random.default_rng(0), true, 30)
    few, many = remembered([one] * 4), remembered([one] * 400)
    assert (sigma(many) < sigma(few)).all()
    np.testing.assert_allclose(many.betas, true, atol=0.02)
    assert np.abs(few.betas - true).max() > np.abs(many.betas - true).max()


def test_a_memory_of_so_many_samples_never_gets_surer_than_they_are():
    one = evidence(np.random.default_rng(0), np.zeros(10), 30)
    long, limit = remembered([one] * 500, samples=5), np.sqrt(np.diag(np.linalg.inv(np.eye(10) + 5.5 * one[0])))
    assert (sigma(long) > 0.9 * limit).all()
    assert (sigma(long) < 1.2 * limit).all()


def test_a_frame_that_says_nothing_changes_nothing():
    said = [evidence(np.random.default_rng(k), np.ones(10)) for k in range(5)]
    nothing = np.zeros((10, 10)), np.zeros(10)
    known, longer = remembered(said, 3), remembered(said + [nothing] * 50, 3)
    np.testing.assert_allclose(longer.betas, known.betas, atol=1e-12)
    np.testing.assert_allclose(sigma(longer), sigma(known), atol=1e-12)


def test_without_forgetting_the_order_of_frames_does_not_matter():
    said = [evidence(np.random.default_rng(k), np.sin(np.arange(10) + k), 3) for k in range(8)]
    np.testing.assert_allclose(remembered(said).betas, remembered(said[::-1]).betas, atol=1e-9)


def test_the_information_is_that_of_betas_alone():
    """Marginal of a Gaussian over pose, betas and place, whose prior on the betas is taken out again."""
    rng = np.random.default_rng(1)
    A = rng.normal(size=(200, 85))
    normal, free = A.T @ A, rng.normal(size=85)
    expected, sigma = rng.normal(size=10), 0.3
    shape = slice(72, 82)
    held = normal.copy()
    held[shape, shape] += np.eye(10) / sigma**2
    right = normal @ free
    right[shape] += expected / sigma**2
    fitted = np.linalg.solve(held, right)[shape]
    found = shape_information(normal[None], fitted[None], expected[None], np.array([sigma]))
    np.testing.assert_allclose(np.linalg.inv(found.matrix[0]), np.linalg.inv(normal)[shape, shape], rtol=1e-6)
    np.testing.assert_allclose(np.linalg.solve(found.matrix[0], found.vector[0]), free[shape], atol=1e-6)


def test_of_points_that_shrink_much_size_is_not_believed_and_all_else_is():
    rng, true = np.random.default_rng(2), np.full(10, 0.8)
    found = ShapeInformation(*(100 * np.array(x)[None] for x in evidence(rng, true, 30)))
    sure, doubted = size_doubted(found, np.array([1e-3])), size_doubted(found, np.array([0.5]))
    betas = [np.linalg.solve(np.eye(10) + f.matrix[0], f.vector[0]) for f in (sure, doubted)]
    np.testing.assert_allclose(betas[0], true, atol=0.02)
    assert abs(betas[1][0]) < 0.1
    rest = [np.linalg.inv(f.matrix[0] + 1e-9 * np.eye(10))[1:, 1:] for f in (found, doubted)]
    np.testing.assert_allclose(*rest, rtol=1e-4)  # of the others no more and no less is known


def test_shrinkage_is_the_part_that_a_mean_loses():
    rng = np.random.default_rng(3)
    points = rng.normal(0, 0.4, (1, 4000, 3))
    whole, sigma = points + rng.normal(0, 0.1, points.shape), np.full(points.shape[:2], 0.1)
    spread = [np.sqrt(np.square(p - p.mean(1, keepdims=True)).sum()) for p in (points, whole)]
    assert abs(shrinkage(points, sigma)[0] - (spread[1] / spread[0] - 1)) < 0.003


def test_a_bad_frame_moves_a_known_shape_little_and_absence_ends_it():
    rng, true, tracks = np.random.default_rng(4), np.full(10, 0.5), TrackMemories()
    good, bad = (
        ShapeInformation(*(np.array(x)[None] for x in evidence(rng, b, 40))) for b in (true, np.full(10, -3.0))
    )
    for k in range(60):
        tracks.learn([7], good, k / 30)
    before = tracks.betas([7, 8])
    tracks.learn([7], bad, 2.0)
    np.testing.assert_allclose(before[0], true, atol=0.1)
    assert (before[1] == 0).all()
    assert np.abs(tracks.betas([7]) - before[0]).max() < 0.02
    tracks.learn([8], good, 100.0)
    assert (tracks.betas([7]) == 0).all()


def test_a_degenerate_frame_that_claims_to_know_everything_is_overcome():
    rng, true, tracks = np.random.default_rng(5), np.full(10, 0.8), TrackMemories()
    good = ShapeInformation(*(np.array(x)[None] for x in evidence(rng, true, 40)))
    tracks.learn([7], ShapeInformation(1e7 * np.eye(10)[None], np.zeros((1, 10))), 0.0)
    for k in range(1, 30 * 30):
        tracks.learn([7], good, k / 30)
    np.testing.assert_allclose(tracks.betas([7])[0], true, atol=0.15)


def test_an_image_out_of_order_forgets_nobody_and_a_new_beginning_everybody():
    rng, tracks = np.random.default_rng(6), TrackMemories()
    good = ShapeInformation(*(np.array(x)[None] for x in evidence(rng, np.ones(10), 40)))
    for seconds in (5.0, 5.5, 5.4):
        tracks.learn([7], good, seconds)
    assert tracks.betas([7])[0, 0] > 0.5
    tracks.learn([8], good, 0.0)
    assert (tracks.betas([7]) == 0).all()


def test_the_first_beta_alone_is_size(open_body):
    joints = np.array([open_body.rest_joints(b) for b in np.concatenate([np.zeros((1, 10)), np.eye(10)])])[
        :, SMPL_LIMBS
    ]
    spread = np.sqrt(np.square(joints - joints.mean(1, keepdims=True)).sum((1, 2)))
    change = spread[1:] / spread[0] - 1
    assert change[0] > 0.04
    assert np.abs(change[1:]).max() < 0.003


def test_a_tall_person_seen_by_many_frames_is_recovered(open_body):
    sparse, rng = sparse_points(open_body, coarse_of(open_body)), np.random.default_rng(5)
    fitter, tracks, true, errors = PointFitter(sparse), TrackMemories(), np.r_[1.5, -1.0, np.zeros(8)], []
    poses = demo_motion().poses.reshape(-1, 24, 3)
    for k in range(12):
        points = sparse.posed(matrix_from_axis_angle(poses[11 * k]), true) - sparse.rest(true)[1][0]
        placed = points + np.array([0.0, 0.0, 4.0])
        shape = (1, len(points))
        seen = Observed(
            (points + rng.normal(0, 0.01, points.shape))[None], np.full(shape, 0.01),
            (placed[:, :2] / placed[:, 2:])[None], np.full(shape, 0.005), tracks.betas([1]), np.ones(1),
        )  # fmt: skip
        found = fitter(seen)
        tracks.learn([1], shape_information(found.normal, found.betas, seen.betas, seen.sigma_betas), float(k))
        errors.append(np.abs(tracks.betas([1])[0] - true)[:2].max())
    assert max(errors) < 0.2  # of 1.5 and 1 from the population's mean, from the first frame on
