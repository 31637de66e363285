"""Even steps of time, whatever the answers do; time here is made, not measured."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from poses import posed, turned_left

from hmr_ros.exchange.motion import slerp
from hmr_ros.exchange.resample import RATE_HZ, STEP_S, Resampler

WAY_S = 0.04  # of an answer


@pytest.fixture(scope="session")
def turning(pose_made):
    """Makes the pose of a person who walks and turns by 1 rad/s, at a time in s."""
    standing = pose_made(posed())

    def at(seconds):
        pose = pose_made(turned_left(seconds))
        return type(standing)(pose.rotations, np.array([seconds, 0.0, 0.9]), pose.betas)

    return at


def played(resampler, answers, until_s):
    """Samples at every step, each of `answers` [(person, stamp, came, pose)] given when it comes."""
    waiting, samples = sorted(answers, key=lambda a: a[2]), []
    for k in range(round(until_s * RATE_HZ)):
        now = (k + 1) * STEP_S
        while waiting and waiting[0][2] <= now:
            resampler.add(*waiting.pop(0))
        samples.append(resampler.next(now))
    return samples


def steady(turning, fps, seconds, start=0.0, person=0, way=WAY_S):
    stamps = start + np.arange(round(fps * seconds)) / fps
    return [(person, s, s + way, turning(s)) for s in stamps]


def shown(samples):
    return np.array([s.pose.pelvis[0] for s in samples])


@pytest.mark.parametrize("fps", [10, 15, 24, 25, 29.97, 30, 50, 60, 90])
def test_fifty_even_steps_a_second_from_any_camera(turning, fps):
    samples = played(Resampler(1.0, 0.5), steady(turning, fps, 4.0), 4.0)
    there = [s for s in samples if s is not None]
    assert len(there) >= 50 * (4.0 - WAY_S) - 1 and None not in samples[samples.index(there[0]) :]
    late = there[-75:]  # in its stride
    np.testing.assert_allclose(np.diff(shown(late)), STEP_S, rtol=1e-6)
    assert all(s.fresh for s in late)
    np.testing.assert_allclose([s.stamp_s for s in late], shown(late), atol=1e-9)


@pytest.mark.parametrize("fps", [15, 30, 60])
def test_the_delay_is_the_answers_way_and_one_frame(turning, fps):
    samples = played(Resampler(1.0, 0.5), steady(turning, fps, 4.0), 4.0)
    assert 4.0 - samples[-1].stamp_s == pytest.approx(WAY_S + 1 / fps, abs=3.1e-3)


def test_rotations_are_on_the_arc_between_their_neighbours(turning):
    samples = played(Resampler(1.0, 0.5), steady(turning, 10, 3.0), 3.0)
    for s in samples[-50:]:
        before = np.floor(s.stamp_s * 10 + 1e-9) / 10
        arc = slerp(turning(before).rotations, turning(before + 0.1).rotations, (s.stamp_s - before) * 10)
        np.testing.assert_allclose(np.abs((arc * s.pose.rotations).sum(-1)), 1, atol=1e-9)


def test_nobody_ever_gives_nothing():
    assert played(Resampler(1.0, 0.5), [], 3.0) == [None] * 150


def test_who_leaves_is_held_and_then_gone(turning):
    samples = played(Resampler(0.6, 0.5), steady(turning, 30, 2.0), 4.0)
    last = max(i for i, s in enumerate(samples) if s is not None)
    held = [s for s in samples[25:] if s is not None and not s.fresh]
    assert len(held) == pytest.approx(0.6 * RATE_HZ, abs=1.5)
    assert samples[last + 1 :] == [None] * (len(samples) - last - 1)
    newest = turning(2.0 - 1 / 30)
    for s in held:
        np.testing.assert_array_equal(s.pose.rotations, newest.rotations)
        np.testing.assert_array_equal(s.pose.pelvis, newest.pelvis)


@pytest.mark.parametrize("away_s", [0.5, 3.0])
def test_who_comes_back_is_met_without_a_jump(turning, away_s):
    """Within the hold and after it."""
    back = 2.0 + away_s
    answers = steady(turning, 30, 2.0) + steady(turning, 30, 2.0, start=back)
    samples = [s for s in played(Resampler(1.0, 0.5), answers, back + 2.0) if s is not None]
    steps = np.abs(np.diff(shown(samples)))
    fastest = 1.5 * (away_s + 0.5) / 0.5 * STEP_S + 2 * STEP_S  # of the blend's smooth step
    assert steps.max() <= fastest
    np.testing.assert_allclose(np.diff(shown(samples[-25:])), STEP_S, rtol=1e-6)
    assert not any(np.isnan(shown(samples)))


def test_who_is_seen_for_one_moment_is_gone_over_to_before_the_hold_begins(turning):
    answers = [*steady(turning, 30, 2.0), (0, 5.0, 5.0 + WAY_S, turning(5.0))]
    samples = [s for s in played(Resampler(0.2, 0.5), answers, 7.0) if s is not None]
    np.testing.assert_array_equal(samples[-1].pose.rotations, turning(5.0).rotations)
    after = [s for s in samples if s.stamp_s == 5.0]
    assert sum(s.fresh for s in after) == pytest.approx(25, abs=2) and sum(not s.fresh for s in after) >= 9


def test_another_person_is_gone_over_to(turning):
    answers = steady(turning, 30, 2.0) + steady(turning, 30, 2.0, start=2.0, person=1)
    answers = [(p, s, c, type(x)(x.rotations, x.pelvis + 5.0 * p, x.betas)) for p, s, c, x in answers]
    samples = [s for s in played(Resampler(1.0, 0.5), answers, 4.0) if s is not None]
    assert np.abs(np.diff(shown(samples))).max() < 0.4 and shown(samples[-1:]) > 8


def test_what_is_no_number_is_left_out(turning):
    answers = steady(turning, 30, 3.0)
    for k in (10, 11, 40):
        pose = answers[k][3]
        answers[k] = (*answers[k][:3], type(pose)(pose.rotations * np.nan, pose.pelvis, pose.betas))
    samples = [s for s in played(Resampler(1.0, 0.5), answers, 3.0) if s is not None]
    assert all(s.pose.is_finite for s in samples)
    np.testing.assert_allclose(np.diff(shown(samples[-25:])), STEP_S, rtol=1e-6)


@pytest.mark.parametrize("shift", [-100.0, 100.0])
def test_a_clock_that_steps_costs_no_jump(turning, shift):
    """As a recording that begins anew."""
    after = [(p, s + shift, c, x) for p, s, c, x in steady(turning, 30, 2.0, start=2.0)]
    samples = played(Resampler(1.0, 0.5), steady(turning, 30, 2.0) + after, 4.0)
    there = [s for s in samples if s is not None]
    assert np.abs(np.diff(shown(there))).max() < 4 * STEP_S
    assert None not in samples[samples.index(there[0]) :]
    np.testing.assert_allclose(np.diff(shown(there[-15:])), STEP_S, rtol=0.21)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0.005, 0.2), st.floats(0.0, 0.15)), min_size=20, max_size=60))
def test_however_late_and_uneven_answers_are_time_goes_on_and_never_back(turning, irregular):
    stamps = np.cumsum([gap for gap, _ in irregular])
    came = np.maximum.accumulate([s + w for s, (_, w) in zip(stamps, irregular, strict=True)])
    answers = [(0, s, c, turning(s)) for s, c in zip(stamps, came, strict=True)]
    samples = played(Resampler(10.0, 0.5), answers, stamps[-1] + 1.0)
    there = [s for s in samples if s is not None]
    assert None not in samples[samples.index(there[0]) :]
    steps = np.diff(shown(there))
    assert steps.min() >= -1e-9 and steps.max() <= 1.2 * STEP_S + 1e-9
    assert shown(there[-1:])[0] == pytest.approx(stamps[-1], abs=0.25)
