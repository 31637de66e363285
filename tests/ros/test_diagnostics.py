"""Levels on /diagnostics follow what happened in the period, and the message says what to do."""

import pytest
from diagnostic_msgs.msg import DiagnosticStatus

from hmr_ros.config import InputConfig
from hmr_ros.ros.diagnostics import diagnosis, judge, rest
from hmr_ros.ros.statistics import Period

OK, WARN, ERROR, STALE = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR, DiagnosticStatus.STALE


def period(received=30, published=30, dropped=0, failed=0, silent_s=0.0, camera_problem="", without_depth=0, notes=()):
    values = {"received": "7"}
    return Period(
        1.0, received, published, dropped, failed, silent_s, "bad data", camera_problem, values, without_depth, notes
    )


@pytest.mark.parametrize(
    ("given", "level", "said"),
    [
        (period(), OK, "running"),
        (period(received=0, published=0, silent_s=None), STALE, "no image on /image yet: nobody publishes it"),
        (period(received=0, published=0, silent_s=4.2), STALE, "no image on /image for 4 s: nobody publishes it"),
        (period(published=28, dropped=2), OK, "running"),
        (period(published=27, dropped=3), WARN, "3 of 30 images dropped, the camera is too fast: lower its rate"),
        (period(published=3, dropped=27), ERROR, "27 of 30 images dropped"),
        (period(published=0, dropped=30), ERROR, "30 of 30 images dropped"),
        (period(published=29, failed=1), WARN, "1 of 30 images could not be processed: bad data"),
        (period(published=15, failed=15), ERROR, "15 of 30 images could not be processed"),
        (period(published=0, failed=30), ERROR, "30 of 30 images"),
        (period(without_depth=2), OK, "running"),
        (period(without_depth=3), WARN, "3 of 30 images had no depth of : check that the depth camera runs"),
        (period(camera_problem="no CameraInfo"), WARN, "distances are a guess: no CameraInfo"),
        (period(notes=("stamps are zero",)), WARN, "stamps are zero"),
    ],
)
def test_level_and_message(given, level, said):
    verdict = judge(given, InputConfig(), "/image", "nobody publishes it")
    assert verdict[0] == level and said in verdict[1]


def test_the_worst_comes_first_and_nothing_is_left_out():
    given = period(published=0, dropped=10, failed=20, camera_problem="no CameraInfo")
    level, text = judge(given, InputConfig(), "/image")
    assert level == ERROR
    first, second, third = text.split("; ")
    assert "could not be processed" in first and "dropped" in second and "guess" in third


def test_a_node_that_rests_says_how_to_wake_it_or_why_it_failed():
    level, text = rest("inactive", "")
    assert level == OK and text.startswith("inactive") and "~/set_enabled" in text
    assert rest("unconfigured", "no models") == (ERROR, "unconfigured: no models")


def test_the_message_carries_the_numbers():
    (status,) = diagnosis("/hmr: people", (OK, "running"), period().values).status
    assert (status.name, status.level, status.message) == ("/hmr: people", OK, "running")
    assert [(v.key, v.value) for v in status.values] == [("received", "7")]
