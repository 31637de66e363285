"""A track's shape settles on the mean of what is found, and is forgotten after a long absence."""

import numpy as np

from hmr_ros.body.shape import TrackShapes


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
