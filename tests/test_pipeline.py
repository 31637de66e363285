"""The two halves of a step may run side by side: the next picture is tracked while the last one is refined."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from hmr_ros.config import HmrConfig
from hmr_ros.factory import build_pipeline
from hmr_ros.types import Frame


def test_two_threads_say_what_one_says(rendered):
    pictures, _, camera = rendered
    frames = [Frame(i, i * 66_000_000, picture, camera) for i, picture in enumerate(pictures[:12])]
    one, two = build_pipeline(HmrConfig()), build_pipeline(HmrConfig())
    expected = []
    for frame in frames:
        expected.append(one.step(frame))
        one.search(frame)
    found = []
    with ThreadPoolExecutor(1) as other:
        waiting = None
        for frame in frames:
            tracks = two.track(frame)
            if waiting is not None:
                found.append(waiting.result())
            waiting = other.submit(two.recover, frame, tracks)
            two.search(frame)
        found.append(waiting.result())
    assert [len(people) for people in found] == [len(people) for people in expected]
    assert sum(map(len, found)) >= 10
    for ours, theirs in zip(found, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.joints, b.joints, atol=1e-6)
    assert all(seconds > 0 for seconds in two.stage_seconds.values())
