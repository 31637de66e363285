"""Deferrable work is done while there is time and put off when there is not."""

from hmr_ros.ros.statistics import Pace


def paced(period_ms, work_ms):
    pace = Pace()
    for i in range(50):
        pace.picture(i * period_ms * 1_000_000)
        pace.worked(work_ms * 1e-3)
    return pace


def test_time_left_decides():
    pace = paced(period_ms=33, work_ms=10)
    assert not pace.is_short(0.015)
    assert pace.is_short(0.030)


def test_without_a_known_rate_nothing_is_short():
    assert not Pace().is_short(10.0)


def test_a_pause_of_the_camera_is_not_its_rate():
    pace = paced(period_ms=33, work_ms=10)
    pace.picture(10**12)
    assert pace.is_short(0.030)
