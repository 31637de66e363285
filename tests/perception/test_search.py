"""The round of search windows covers the image in time."""

import numpy as np
import pytest

from hmr_ros.config import DetectorConfig
from hmr_ros.errors import ConfigError
from hmr_ros.perception.search import Search, tiles, whole


@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (1920, 1080), (1080, 1920)])
def test_tiles_cover_every_pixel(size):
    seen = np.zeros(size[::-1], bool)
    for t in tiles(*size, (0.6, 0.4)):
        seen[t.top_px : t.top_px + t.size_px, t.left_px : t.left_px + t.size_px] = True
    assert seen.all()


@pytest.mark.parametrize("fps", [5, 10, 30, 60])
def test_every_tile_is_searched_within_the_period(fps):
    config = DetectorConfig()
    search = Search(config)
    expected = set(tiles(1280, 720, (0.6, 0.4)))
    search.windows(1280, 720, 0, idle=False)
    seen = set()
    for i in range(1, fps + 2):
        seen |= set(search.windows(1280, 720, round(i * 1e9 / fps), idle=False))
    # one frame more than the period, for the whole image takes the turn of a tile now and then
    assert not expected - seen


def test_the_work_is_spread_evenly():
    search = Search(DetectorConfig())
    counts = [len(search.windows(1280, 720, round(i * 1e9 / 30), idle=False)) for i in range(90)]
    assert max(counts) <= np.mean(counts) + 1.5


def test_first_frame_can_be_searched_completely():
    search = Search(DetectorConfig(scan_first_frame=True))
    first = search.windows(1280, 720, 5, idle=True)
    assert set(first) == {whole(1280, 720), *tiles(1280, 720, (0.6, 0.4))}


def test_while_nobody_is_tracked_the_whole_image_is_searched_every_time():
    search = Search(DetectorConfig())
    assert all(whole(640, 480) in search.windows(640, 480, i * 33_000_000, idle=True) for i in range(20))


def test_no_tiles_and_bad_fractions():
    assert Search(DetectorConfig(tile_fractions="")).windows(640, 480, 0, idle=True) == [whole(640, 480)]
    with pytest.raises(ConfigError, match="tile_fractions"):
        Search(DetectorConfig(tile_fractions="0.6,big"))


def stirred(search, fps, seconds, points):
    """Windows of each frame while something stirs at these points."""
    begin = search.windows(1280, 720, 0, idle=False)
    frames = range(1, round(fps * seconds))
    return [begin, *(search.windows(1280, 720, round(i * 1e9 / fps), False, points) for i in frames)]


def test_where_something_stirs_is_searched_at_once_closely_and_as_a_whole():
    points = np.array([[1200.0, 300.0], [1240.0, 340.0]])
    chosen = stirred(Search(DetectorConfig(scan_period_s=100.0)), 30, 0.4, points)
    assert whole(1280, 720) in chosen[2]
    tile = next(w for windows in chosen[3:8] for w in windows if w != whole(1280, 720))
    assert all(0 <= c < tile.size_px for p in points for c in p - [tile.left_px, tile.top_px])


def test_what_never_comes_to_rest_costs_less_and_less_and_somebody_found_makes_it_eager_again():
    search, points = Search(DetectorConfig(scan_period_s=100.0)), np.array([[100.0, 100.0]])
    counts = np.array([len(w) for w in stirred(search, 30, 4.0, points)])
    assert counts[:15].sum() > counts[-15:].sum() and counts[-60:].sum() <= 2.0 * (1 / 0.2 + 2) + 2
    search.found()
    assert sum(len(search.windows(1280, 720, round((4 + i / 30) * 1e9), False, points)) for i in range(6)) >= 2
