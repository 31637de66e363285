"""The managed node: what each state costs and does, seen through its services from another node."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import Transition
from std_srvs.srv import Trigger
from visualization_msgs.msg import Marker, MarkerArray

from hmr_ros.errors import AssetError
from hmr_ros.factory import build_pipeline


def resident_mb():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def test_the_way_through_the_states(robot, rendered):
    r = robot("-p", "autostart:=false")
    r.node.autostart()
    assert r.state() == "unconfigured" and not r.configs
    r.spin_until(r.said(DiagnosticStatus.OK, "unconfigured, no image is looked at"))
    assert r.change(Transition.TRANSITION_CONFIGURE) and r.state() == "inactive"
    assert len(r.configs) == 1 and r.images.get_subscription_count() == 0
    assert r.change(Transition.TRANSITION_ACTIVATE) and r.state() == "active"
    r.show(rendered[0][0], lambda: any(a.humans for a in r.answers))

    assert r.change(Transition.TRANSITION_DEACTIVATE) and r.state() == "inactive"
    r.spin_until(lambda: r.images.get_subscription_count() == 0)
    r.statuses.clear()
    r.spin_until(r.said(DiagnosticStatus.OK, "inactive"))
    r.answers.clear()
    for _ in range(20):
        r.spin_once()
    assert not r.answers

    assert r.change(Transition.TRANSITION_CLEANUP) and r.state() == "unconfigured"
    assert r.change(Transition.TRANSITION_CONFIGURE) and r.change(Transition.TRANSITION_ACTIVATE)
    r.show(rendered[0][0], lambda: any(a.humans for a in r.answers))
    assert r.change(Transition.TRANSITION_ACTIVE_SHUTDOWN) and r.state() == "finalized"


def test_images_above_the_limit_of_pixels_are_refused_until_it_is_raised(robot, rendered):
    r = robot("-p", "input.max_megapixels:=0.1")
    r.node.autostart()
    r.show(rendered[0][0], lambda: any("raise input.max_megapixels" in s.message for s in r.statuses))
    assert not r.answers
    assert r.set("input.max_megapixels", double_value=1.0).successful
    r.show(rendered[0][0], lambda: any(a.humans for a in r.answers))


def test_cleanup_frees_what_configure_loaded(robot):
    r = robot("-p", "autostart:=false", "-p", "recover:=posture", "-p", "refine:=temporal")

    def around():
        before = resident_mb()
        assert r.change(Transition.TRANSITION_CONFIGURE)
        loaded = resident_mb()
        assert r.change(Transition.TRANSITION_CLEANUP)
        return before, loaded, resident_mb()

    around()  # libraries are loaded once and stay
    before, loaded, after = around()
    assert r.node._pipeline is None
    assert loaded - before > 20 and after - before < 0.5 * (loaded - before)


def test_a_transition_that_fails_says_why_in_one_line_and_leaves_the_state(robot):
    def factory(config):
        if config.threads == 1:
            raise AssetError("the landmark model is missing; run `hmr models fetch`")
        return build_pipeline(config)

    r = robot("-p", "autostart:=false", factory=factory)
    assert not r.change(Transition.TRANSITION_CONFIGURE)
    assert r.state() == "unconfigured"
    r.statuses.clear()
    r.spin_until(r.said(DiagnosticStatus.ERROR, "unconfigured: the landmark model is missing"))
    answer = r.enable(True)
    assert not answer.success and "the landmark model is missing" in answer.message
    assert r.set("threads", integer_value=2).successful
    assert r.enable(True).success and r.state() == "active"


def test_a_topic_name_that_is_none_is_refused_while_inactive(robot):
    r = robot()
    r.node.autostart()
    r.enable(False)
    result = r.set("input.image_topic", string_value="a topic!")
    assert not result.successful and "is no topic name" in result.reason
    assert r.enable(True).success


def test_autostart_and_set_enabled(robot, rendered):
    r = robot()
    r.node.autostart()
    assert r.state() == "active"
    assert r.enable(True).success
    answer = r.enable(False)
    assert answer.success and r.state() == answer.message == "inactive"
    assert r.enable(False).success
    assert r.enable(True).success and len(r.configs) == 1  # nothing is loaded again
    r.show(rendered[0][0], lambda: any(a.humans for a in r.answers))


def test_reset_forgets_everybody(robot, rendered):
    r = robot()
    r.node.autostart()
    r.show(rendered[0][0], lambda: any(a.humans for a in r.answers))
    before = {h.track_id for a in r.answers for h in a.humans}
    assert r.call(Trigger, "reset", Trigger.Request()).success
    r.show(rendered[0][0], lambda: any(h.track_id not in before for h in r.answers[-1].humans))


def test_an_inactive_node_computes_nothing_and_listens_to_no_image(robot):
    r = robot()
    r.node.autostart()
    assert "hmr_worker" in {t.name for t in threading.enumerate()}
    r.enable(False)
    assert "hmr_worker" not in {t.name for t in threading.enumerate()}
    topics = {s.topic_name for s in r.node.subscriptions}
    assert not topics & {"/image", "/camera_info"}
    assert [t for t in r.node.timers if not t.is_canceled()] == [r.node._diagnostics_timer]


def test_what_can_change_live_does_and_what_cannot_says_when(robot, rendered):
    r = robot()
    r.node.autostart()
    r.show(rendered[0][0], lambda: any(a.humans for a in r.answers))
    assert r.set("tracker.keep_landmark_score", double_value=1.0).successful  # nobody is that certain
    assert r.set("tracker.min_landmark_score", double_value=1.0).successful
    r.show(rendered[0][0], lambda: not r.answers[-1].humans)
    assert r.set("tracker.min_landmark_score", double_value=0.5).successful
    assert r.set("tracker.keep_landmark_score", integer_value=0).successful  # an integer is a number too
    r.show(rendered[0][0], lambda: bool(r.answers[-1].humans))

    for name, value, reason in (
        (
            "threads",
            {"integer_value": 2},
            "'threads' changes when the node is configured, which is active; deactivate and",
        ),
        ("input.reliability", {"string_value": "reliable"}, "changes when the node is activated"),
        ("tracker.max_people", {"integer_value": 0}, ""),
        ("output.searching_s", {"double_value": float("nan")}, ""),
        ("recover", {"string_value": "magic"}, "choose one of kinematic, posture"),
        ("tracker.max_poeple", {"integer_value": 3}, "'tracker.max_poeple'; did you mean 'tracker.max_people'?"),
    ):
        result = r.set(name, **value)
        assert not result.successful and result.reason and reason in result.reason, name
    assert r.set("threads", integer_value=1).successful  # what it is already
    r.enable(False)
    assert r.set("input.reliability", string_value="reliable").successful
    assert r.enable(True).success
    r.show(rendered[0][0], lambda: any(a.humans for a in r.answers))


def test_markers_have_a_lifetime_and_go_when_the_node_stops(robot, rendered):
    r = robot("-p", "output.marker_lifetime_s:=2.5")
    r.node.autostart()
    r.client.create_subscription(MarkerArray, "/hmr/markers", lambda m: r.markers.extend(m.markers), 10)
    r.show(rendered[0][0], lambda: bool(r.markers))
    shown = r.markers[0].lifetime
    assert shown.sec + shown.nanosec * 1e-9 == pytest.approx(2.5)
    r.markers.clear()
    r.enable(False)
    r.spin_until(lambda: any(m.action == Marker.DELETE for m in r.markers))


def test_a_person_out_of_sight_is_searched_for(robot, rendered):
    r = robot("-p", "output.searching_s:=2.0")
    r.node.autostart()
    r.show(rendered[0][0], lambda: sum(bool(a.humans) for a in r.answers) > 5)
    grey = np.full_like(rendered[0][0], 110)
    r.show(grey, lambda: any(h.tracking_state == h.STATE_SEARCHING for h in r.answers[-1].humans))
    ghost = r.answers[-1].humans[0]
    assert np.isfinite(ghost.pelvis.covariance).all() and ghost.pelvis.covariance[0] > 0
    r.show(grey, lambda: not r.answers[-1].humans)


def test_stamps_of_zero_become_the_time_of_receipt(robot, rendered):
    r = robot()
    r.node.autostart()
    r.show(rendered[0][0], lambda: any(a.humans for a in r.answers), stamp=False)
    now = r.client.get_clock().now().nanoseconds * 1e-9
    assert abs(r.answers[-1].header.stamp.sec - now) < 60
    r.show(rendered[0][0], r.said(DiagnosticStatus.WARN, "stamps of zero"), stamp=False)
