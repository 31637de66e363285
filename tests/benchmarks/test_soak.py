"""What soak and overload say of runs that are good, and of runs that are not."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy")

import overload
import soak
from live_node import Seen, Status

SECONDS = 900.0
CAMERA = {"share_of_a_core": 0.02}


def observer(age_s=lambda t: 0.03, diagnostics=lambda t: True):
    """Answers at 10 Hz and a status a second."""
    times = np.arange(1, SECONDS * 10) / 10
    answers = [Seen(t, round((t - age_s(t)) * 1e9), 1, "optical") for t in times]
    statuses = [
        Status(t, 0, "running", {"received": "1", "dropped": "0"}) for t in np.arange(SECONDS) if diagnostics(t)
    ]
    return SimpleNamespace(answers=answers, statuses=statuses)


def kept(seen, memory=lambda t: 400.0):
    """Whether a soak is good."""
    samples = [soak.Sample(t, memory(t), memory(t), 20, 26, t / 2) for t in np.arange(5, SECONDS, 5.0)]
    camera = CAMERA | {"stamps_ns": [a.stamp_ns for a in seen.answers]}
    return soak.report(soak.summary(seen, samples, camera, SECONDS) | {"log": [], "machine": "x"})


def test_a_soak_that_stays_as_it_is_is_good():
    assert kept(observer())
    assert kept(observer(), memory=lambda t: 300.0 + min(t, 100))  # warming up


@pytest.mark.parametrize(
    ("seen", "memory"),
    [
        ({}, lambda t: 400 + 0.02 * t),
        ({}, lambda t: 420 if 500 < t < 510 else 400),
        ({"age_s": lambda t: 0.03 + 0.00001 * t}, lambda t: 400),
        ({"diagnostics": lambda t: not 600 < t < 602}, lambda t: 400),
    ],
)
def test_a_soak_that_leaks_slows_or_falls_silent_is_not(seen, memory):
    assert not kept(observer(**seen), memory)


@pytest.mark.parametrize(("queued", "good"), [(0, True), (1, True), (3, False)])
def test_answers_of_images_that_waited_miss_the_bar(queued, good, capsys):
    """A worker that takes 100 ms an image, whose images waited for so many frame times."""
    stamps = np.arange(600) / overload.FPS
    took = np.arange(1, 90) / 10
    images = [stamps[stamps <= t][-1 - queued] for t in took]
    answers = [Seen(t + 0.1, round(s * 1e9), 2, "optical") for t, s in zip(took, images, strict=True)]
    seen = SimpleNamespace(answers=answers, statuses=observer().statuses)
    camera = CAMERA | {"stamps_ns": [round(s * 1e9) for s in stamps]}
    assert overload.report(overload.summary(seen, 5, camera, [0.01] * 30) | {"machine": "x"}) is good
    assert not overload.report(overload.summary(seen, 5, camera, [0.01] * 30 + [0.3]) | {"machine": "x"})
    capsys.readouterr()
