"""A look ahead changes when the detector looks, not what comes of it."""

import gc
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.config import HmrConfig
from hmr_ros.errors import AssetError
from hmr_ros.factory import build_pipeline
from hmr_ros.perception.ahead import LookAhead
from hmr_ros.perception.detector import Window
from hmr_ros.types import Camera, Detection, Frame, Roi

WINDOWS = [Window(0, 0, 8), Window(2, 1, 4)]


def frame(number, image=None):
    image = np.full((8, 8, 3), number, np.uint8) if image is None else image
    return Frame(number, number * 33_000_000, image, Camera(np.eye(3), 8, 8))


class Finder:
    """Sees one person in each window; says which thread looked, and whether two looked at once."""

    min_score = 0.5

    def __init__(self, error=None):
        self.error, self.threads, self.busy, self.clashed = error, [], False, False

    def __call__(self, image, window):
        self.clashed |= self.busy
        self.busy = True
        self.threads.append(threading.current_thread().name)
        time.sleep(0.005)
        self.busy = False
        if self.error:
            raise self.error
        return [Detection(Roi(np.array([window.left_px, image[0, 0, 0]]), window.size_px, 0.0), 0.9)]


def test_windows_come_in_their_order_from_another_thread():
    finder = Finder()
    ahead = LookAhead(finder)
    ahead.begin(frame(3), WINDOWS)
    seen = ahead.take(frame(3))
    assert [w for w, _ in seen] == WINDOWS and [d[0].roi.center_px[1] for _, d in seen] == [3, 3]
    assert all(name.startswith("hmr_search") for name in finder.threads)
    assert ahead.take(frame(3)) is None


def test_no_windows_are_a_look_too_and_another_frame_is_none():
    ahead = LookAhead(Finder())
    ahead.begin(frame(1), [])
    assert ahead.take(frame(1)) == []
    ahead.begin(frame(1), WINDOWS)
    assert ahead.take(frame(2)) is None and ahead.take(frame(1)) is None


def test_one_look_at_a_time_and_none_after_waiting():
    finder = Finder()
    ahead = LookAhead(finder)
    for k in range(4):
        ahead.begin(frame(k), WINDOWS)
    ahead.wait()
    finder(frame(9).image, WINDOWS[0])
    assert not finder.clashed and len(finder.threads) == 9 and ahead.take(frame(3)) is None


def test_an_error_comes_out_once_and_only_where_the_look_is_taken():
    finder = Finder(AssetError("the model is gone; fetch it"))
    ahead = LookAhead(finder)
    ahead.begin(frame(0), WINDOWS)
    with pytest.raises(AssetError, match="fetch it"):
        ahead.take(frame(0))
    ahead.begin(frame(1), WINDOWS)
    ahead.wait()
    finder.error = None
    ahead.begin(frame(2), WINDOWS)
    assert len(ahead.take(frame(2))) == 2


def test_the_thread_ends_with_the_object():
    threads = threading.active_count()
    ahead = LookAhead(Finder())
    ahead.begin(frame(0), WINDOWS)
    ahead.wait()
    assert threading.active_count() == threads + 1
    del ahead
    gc.collect()
    for _ in range(100):
        if threading.active_count() == threads:
            break
        time.sleep(0.01)
    assert threading.active_count() == threads


def rows(tracks):
    return [(t.track_id, t.state, t.keypoints.keypoints_2d.tobytes()) for t in tracks]


def test_the_live_tracker_answers_the_same_with_and_without(rendered):
    """Somebody appears, leaves and comes back; searches are put off now and then, where none has begun."""
    images = rendered[0]
    empty = np.zeros_like(images[0])
    shown = [images[0], images[0], images[1], empty, empty, images[2], images[2], images[3]]
    answers, begun = [], []
    for ahead in (False, True):
        tracker = build_pipeline(HmrConfig(threads=1)).tracker
        answers.append([])
        for number, image in enumerate(shown):
            now = frame(number, image)
            answers[-1].append(rows(tracker.step(now)))
            if ahead:
                tracker.begin_search(now)
                begun.append(tracker._ahead._look is not None)
            tracker.search(now, defer=ahead)  # what has begun is not put off
    assert answers[0] == answers[1] and any(answers[0]) and all(begun)


def test_in_a_hurry_no_look_begins_until_it_was_put_off_for_long(rendered):
    image = rendered[0][0]
    tracker = build_pipeline(HmrConfig(threads=1)).tracker
    for number in range(3):  # until somebody is followed
        tracker.step(frame(number, image))
        tracker.search(frame(number, image), defer=False)
    tracker.hurry(True)
    searched = []
    for number in range(3, 16):
        now = frame(number, image)
        assert len(tracker.step(now)) == 1
        tracker.begin_search(now)
        searched.append(tracker.search(now, defer=True))
    assert searched == [False] * 10 + [True] + [False] * 2


def test_a_look_that_fails_ends_the_search_of_that_image_alone(rendered):
    image = rendered[0][0]
    pipeline = build_pipeline(HmrConfig(threads=1, refine="none"))
    finder = pipeline.tracker._ahead._finder
    pipeline.tracker._ahead._finder = Finder(AssetError("no such model"))
    first, second = frame(0, image), frame(1, image)
    pipeline.step(first)
    with pytest.raises(AssetError, match="no such model"):
        pipeline.search(first)
    pipeline.tracker._ahead._finder = finder
    for number in range(1, 4):
        later = replace(second, index=number, stamp_ns=number * 33_000_000)
        result = pipeline.step(later)
        pipeline.search(later)
    assert result is not None and len(result.humans) == 1
