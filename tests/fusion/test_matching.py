"""Messages of one moment: who belongs together, who is waited for, and for how long."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmr_ros.fusion.matching import StampMatcher

MS = 10**6
PERIOD_MS = 66


@pytest.fixture
def matcher():
    return StampMatcher(["left", "right"], tolerance_s=0.05, wait_s=0.1)


def play(matcher, came):
    """`came`: (arrival ms, camera, stamp ms), by rising arrival; looks at the clock each millisecond."""
    answers = []
    came = list(came)
    for now in range(came[0][0], came[-1][0] + 300):
        while came and came[0][0] <= now:
            _, camera, stamp = came.pop(0)
            matcher.add(camera, stamp * MS, f"{camera}{stamp}", 1e-3 * now)
            answers += [(now, m) for m in matcher.ready(1e-3 * now)]
        answers += [(now, m) for m in matcher.ready(1e-3 * now)]
    return answers


def warm(matcher):
    """Both cameras have spoken, so that both are waited for."""
    play(matcher, [(40, "left", 0), (45, "right", 0)])
    matcher.alone |= {"left": 0, "right": 0}
    matcher.late |= {"left": 0, "right": 0}


def test_what_is_stamped_alike_is_answered_when_the_last_is_there(matcher):
    warm(matcher)
    answers = play(matcher, [(140, "left", 100), (170, "right", 110)])
    ((now, moment),) = answers
    assert now == 170 and moment.stamp_ns == 110 * MS
    assert moment.said == {"left": (100 * MS, "left100"), "right": (110 * MS, "right110")}


def test_what_is_stamped_apart_is_two_moments(matcher):
    warm(matcher)
    answers = play(matcher, [(140, "left", 100), (171, "right", 170)])
    assert [m.stamp_ns // MS for _, m in answers] == [100, 170]
    assert matcher.alone == {"left": 1, "right": 1}


def test_a_late_camera_does_not_block_beyond_the_set_time(matcher):
    warm(matcher)
    answers = play(matcher, [(140, "left", 100)])
    ((now, moment),) = answers
    assert 240 <= now <= 241 and set(moment.said) == {"left"}
    matcher.add("right", 100 * MS, "too late", 0.3)
    assert not matcher.ready(0.5) and matcher.late["right"] == 1


def test_a_camera_that_died_is_waited_for_no_longer(matcher):
    warm(matcher)
    stamps = range(100, 2000, PERIOD_MS)
    delays = [now - m.stamp_ns // MS for now, m in play(matcher, [(s + 40, "left", s) for s in stamps])]
    assert len(delays) == len(stamps)
    assert max(delays) <= 141 and delays[-1] == 40


def test_a_camera_that_never_spoke_is_not_waited_for(matcher):
    ((now, moment),) = play(matcher, [(40, "left", 0)])
    assert now == 40 and set(moment.said) == {"left"}


def test_a_newer_message_says_that_an_older_one_will_not_come(matcher):
    warm(matcher)
    answers = play(matcher, [(140, "left", 100), (180, "right", 160)])
    assert answers[0][0] == 180 and set(answers[0][1].said) == {"left"}


def test_the_slower_camera_repeats_its_last_word(matcher):
    came = [(s + 40, "left", s) for s in range(0, 990, 33)] + [(s + 41, "right", s) for s in range(0, 990, 66)]
    answers = [m for _, m in play(matcher, sorted(came))]
    assert [m.stamp_ns // MS for m in answers] == list(range(0, 990, 33))
    assert all(set(m.said) == {"left", "right"} for m in answers[1:])


def test_a_recording_that_begins_anew_is_answered_again(matcher):
    first = play(matcher, [(40, "left", 50_000), (45, "right", 50_000)])
    second = play(matcher, [(1040, "left", 100), (1045, "right", 100)])
    assert len(first) == len(second) == 1


def test_a_short_recording_may_be_played_again_and_again(matcher):
    loops, length_ms = 3, 4000
    came = [
        (k * length_ms + stamp + delay, camera, stamp)
        for k in range(loops) for stamp in range(0, length_ms, 100) for camera, delay in (("left", 40), ("right", 60))
    ]  # fmt: skip
    stamps = [m.stamp_ns // MS for _, m in play(matcher, came)]
    assert len(stamps) == loops * length_ms // 100 and stamps == loops * list(range(0, length_ms, 100))


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 80), st.integers(0, 150)), min_size=1, max_size=40),
    st.integers(0, 100),
)
def test_whatever_comes_moments_rise_and_nobody_waits_long(steps, tolerance_ms):
    """Steps: camera, ms to its next stamp, ms of delay. In order for each camera, as topics are."""
    matcher = StampMatcher(["left", "right"], 1e-3 * tolerance_ms, 0.1)
    stamps, arrived, came = [0, 0], [0, 0], []
    for camera, step, delay in steps:
        stamps[camera] += step + 1
        arrived[camera] = max(arrived[camera], stamps[camera] + delay)
        came.append((arrived[camera], ("left", "right")[camera], stamps[camera]))
    answers = play(matcher, sorted(came))
    times = [m.stamp_ns for _, m in answers]
    assert (np.diff(times) > 0).all() and not matcher.waiting
    for now, moment in answers:
        said = [stamp for stamp, _ in moment.said.values()]
        assert moment.stamp_ns == max(said)
        # it waits for its own messages, and for older moments that are still open
        assert now <= 101 + max(a for a, _, s in came if s * MS <= moment.stamp_ns and a <= now)
        assert max(said) - min(said) <= 2 * tolerance_ms * MS
