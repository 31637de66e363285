"""What a window gives the network: older frames at the end, and the frames around a time as the grid samples them."""

from types import SimpleNamespace

import numpy as np

from hmr_ros.evidence.features import Grid
from hmr_ros.methods.scorehmr.window import TrackWindow, _history, _sampled

GRID = Grid(10, 14)


def person(depth):
    return SimpleNamespace(estimate=SimpleNamespace(joints=np.array([[0.0, 0.0, depth]])))


def window(count, seed=0, frames=4):
    """After `count` frames, a second in all; rows [count,912] and when they were seen."""
    rng, kept = np.random.default_rng(seed), TrackWindow(frames, GRID)
    seconds, rows = np.sort(rng.uniform(5, 6, count)), rng.normal(size=(count, 912))
    for at, row in zip(seconds, rows, strict=True):
        kept.add(at, row)
    return kept, seconds, rows


def test_frames_around_are_sampled_as_by_the_grid():
    """Also where the memory was moved up, as after the 81st frame."""
    people = [window(count, seed) for seed, count in enumerate((1, 2, 30, 79, 80, 81, 130))]
    for kept, seconds, _ in people:
        assert len(kept.frames.kept()[0]) == min(len(seconds), 40)
    for at in (5.0, 5.9, 6.0):
        around, known = _sampled([w for w, *_ in people], at)
        for n, (_, seconds, rows) in enumerate(people):
            expected, there = GRID.sampled(rows[-40:], seconds[-40:], at)
            np.testing.assert_array_equal(known[n], there)
            np.testing.assert_allclose(around[n], expected, atol=1e-5)


def test_older_frames_stand_at_the_end_and_the_oldest_go():
    kept = window(1)[0]
    for k in range(3 + 3):
        found = _history([kept, window(1)[0]], 10.0 + k / 30, np.log([4.0, 5.0]))
        there = min(k, 3)
        assert found["present"][0].tolist() == [0.0] * (3 - there) + [1.0] * (there + 1)
        assert found["present"][1].tolist() == [0.0] * 3 + [1.0]
        last = np.arange(k - there, k)
        np.testing.assert_array_equal(found["means"][0, 3 - there :, 0], last)
        np.testing.assert_array_equal(found["precisions"][0, 3 - there :, 0], 2.0 + last)
        np.testing.assert_allclose(found["seconds"][0], [1.0] * (3 - there) + [1 / 30] * there)
        np.testing.assert_allclose(np.exp(found["log_depth"][0]), [4.0] * (3 - there) + [*(1.0 + last), 4.0])
        assert (found["means"][1] == 0).all() and (found["precisions"][1] == 1).all()
        kept.remember(10.0 + k / 30, person(1.0 + k), np.full(144, float(k)), np.full(24, 2.0 + k))
    kept.forget()
    assert kept.known == 0 and (_history([kept], 10.5, np.zeros(1))["precisions"] == 1).all()


def test_a_window_of_one_frame_remembers_nothing():
    kept = window(1, frames=1)[0]
    kept.remember(1.0, person(2.0), np.zeros(144), np.ones(24))
    assert _history([kept], 2.0, np.zeros(1))["present"].tolist() == [[1.0]]
