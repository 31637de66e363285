"""What /diagnostics says of the cameras that are fused."""

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from hmr_ros.ros.fusion_statistics import FusionStatistics

MS = 10**6


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def statistics(clock):
    return FusionStatistics({"left": "/left/hmr/humans", "right": "/right/hmr/humans"}, clock)


def run(statistics, clock, seconds, cameras=("left", "right"), seen=(("left", "right"),)):
    for _ in range(round(seconds * 10)):
        clock.now += 0.1
        for camera in cameras:
            statistics.received(camera, round(clock.now * 1e9) - 40 * MS, len(seen))
        statistics.answered(50 * MS, seen)


def values(statistics, clock):
    return statistics.values(round(clock.now * 1e9), {"left": 2, "right": 0}, {"left": 1, "right": 0})


def test_each_camera_has_its_rate_age_and_unmatched(statistics, clock):
    run(statistics, clock, 5.0)
    run(statistics, clock, 0.5, seen=(("left", "right"), ("left",)))
    found = values(statistics, clock)
    assert found["left: received"] == "55" and found["left: received_hz"] == "10.0"
    assert found["right: last_stamp_age_ms"] == "40" and found["latency_ms_p50"] == "50.0"
    assert (found["left: people_unmatched"], found["right: people_unmatched"]) == ("5", "0")
    assert (found["left: messages_late"], found["left: messages_unmatched"]) == ("2", "1")
    assert statistics.verdict({}) == (DiagnosticStatus.OK, "running")


def test_who_alone_sees_anybody_is_not_unmatched(statistics, clock):
    run(statistics, clock, 6.0, seen=(("left",),))
    assert values(statistics, clock)["left: people_unmatched"] == "0"
    assert statistics.verdict({})[0] == DiagnosticStatus.OK


def test_silence_of_one_is_a_warning_and_of_all_is_stale(statistics, clock):
    run(statistics, clock, 3.0, cameras=("left",))
    assert statistics.silent() == ["right"]
    expected = "nothing from right on /right/hmr/humans: nobody publishes it"
    assert statistics.verdict({"right": "nobody publishes it"}) == (DiagnosticStatus.WARN, expected)
    clock.now += 3.0
    assert statistics.verdict({})[0] == DiagnosticStatus.STALE


def test_a_camera_that_is_left_out_is_an_error_while_it_is(statistics, clock):
    run(statistics, clock, 3.0)
    statistics.problem("left", "no transform")
    assert statistics.verdict({}) == (DiagnosticStatus.ERROR, "left is left out: no transform")
    run(statistics, clock, 3.0)
    assert statistics.verdict({})[0] == DiagnosticStatus.OK


def test_cameras_that_agree_about_nobody_have_a_wrong_calibration(statistics, clock):
    run(statistics, clock, 5.0, seen=(("left",), ("right",)))
    level, said = statistics.verdict({})
    assert level == DiagnosticStatus.WARN and "agree about nobody: check R and t" in said
    run(statistics, clock, 0.1)
    assert statistics.verdict({})[0] == DiagnosticStatus.OK
