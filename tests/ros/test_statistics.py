"""Counters become rates over the last period; deferrable work is done while there is time and put off when not."""

import pytest

from hmr_ros.ros.statistics import LiveStatistics, Pace


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def run(statistics, clock, seconds, hz):
    """Images at a fixed rate, every second one dropped and every fourth one failing, the rest answered."""
    for i in range(round(seconds * hz)):
        clock.now += 1 / hz
        statistics.received(dropped=i % 2 == 1)
        if i % 4 == 0:
            statistics.failed("unknown encoding")
        elif i % 2 == 0:
            statistics.published(30_000_000, 1, "", {"track": 0.01})


def test_a_period_counts_what_happened_in_it(clock):
    statistics = LiveStatistics(clock)
    run(statistics, clock, 10, 20)
    statistics.take()
    run(statistics, clock, 2, 20)
    period = statistics.take()
    assert period.seconds == pytest.approx(2)
    assert (period.received, period.dropped, period.failed, period.published) == (40, 20, 10, 10)
    assert (period.failure, period.silent_s) == ("unknown encoding", 0)
    assert period.values["received"] == "240" and period.values["received_hz"] == "20.0"
    assert period.values["dropped_hz"] == "10.0" and period.values["latency_ms_p95"] == "30.0"


def test_images_without_depth_are_counted(clock):
    statistics = LiveStatistics(clock)
    for _ in range(3):
        statistics.without_depth()
    clock.now += 1
    period = statistics.take()
    assert period.without_depth == 3 and period.values["without_depth"] == "3"
    clock.now += 1
    assert statistics.take().without_depth == 0


def test_a_camera_that_died_is_silent_whatever_came_before(clock):
    statistics = LiveStatistics(clock)
    assert statistics.take().silent_s is None
    run(statistics, clock, 5, 20)
    statistics.take()
    clock.now += 3
    period = statistics.take()
    assert (period.received, period.silent_s) == (0, pytest.approx(3))
    assert period.values["received"] == "100" and period.values["received_hz"] == "0.0"


def test_reports_faster_than_the_camera_do_not_find_it_silent(clock):
    statistics = LiveStatistics(clock)
    run(statistics, clock, 2, 5)
    for _ in range(10):
        run(statistics, clock, 0.2, 5)
        for _ in range(4):
            clock.now += 0.05
            assert statistics.take().received > 0


def paced(period_ms, work_ms):
    pace = Pace()
    for i in range(50):
        pace.image(i * period_ms * 1_000_000)
        pace.worked(work_ms * 1e-3)
    return pace


def test_time_left_decides():
    pace = paced(period_ms=33, work_ms=10)
    assert not pace.is_short(0.015)
    assert pace.is_short(0.030)


def test_without_a_known_rate_nothing_is_short():
    assert not Pace().is_short(10.0)


def test_who_is_late_stays_so_until_there_is_room():
    pace = Pace()

    def late_after(*answer_ms):
        for ms in answer_ms:
            pace.answered(ms * 1e-3, 0.033)
        return pace.late

    assert not late_after(*[30] * 50)
    assert late_after(*[36] * 50)
    assert late_after(*[25] * 50)  # less is done now, and with all of it answers would be late again
    assert not late_after(*[15] * 50)
    assert not late_after(*[15] * 5, 60)  # one slow answer


def test_a_pause_of_the_camera_is_not_its_rate():
    pace = paced(period_ms=33, work_ms=10)
    pace.image(10**12)
    assert pace.is_short(0.030)
