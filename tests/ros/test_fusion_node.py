"""The node `fusion` watched from a second context: two cameras' messages in, one set of people out."""

import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TransformStamped
from hmr_ros.msg import HumanArray
from live_robot import Peer
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Header
from std_srvs.srv import SetBool, Trigger

from hmr_ros.body.axes import moved
from hmr_ros.errors import ConfigError
from hmr_ros.geometry.rigid import Rigid
from hmr_ros.geometry.rotations import quaternion_from_matrix
from hmr_ros.ros.convert import humans_from_msg, humans_to_msg
from hmr_ros.ros.fusion_node import FusionNode
from hmr_ros.types import ScaleSource

PLACE = (0.2, 0.9, -0.1)


def yaml_of(cameras, extra=""):
    lines = ["cameras:"]
    for name, view in zip(("left", "right"), cameras, strict=True):
        R, t = view.R_camera_world.reshape(-1).tolist(), view.t_camera_world.tolist()
        lines.append(f"  {name}: {{image_topic: /{name}/image, R: {R}, t: {t}{extra}}}")
    return "\n".join(lines)


class Session(Peer):
    """The node, and a client that publishes for both cameras."""

    timeout_s = 20.0

    def __init__(self, file, *arguments):
        rclpy.init(args=["--ros-args", "-p", f"cameras:={file}", *arguments])
        super().__init__(FusionNode())
        self.publishers = {
            name: self.client.create_publisher(HumanArray, f"/{name}/hmr/humans", 10) for name in ("left", "right")
        }

    def connect(self):
        self.node.autostart()
        self.spin_until(lambda: all(p.get_subscription_count() for p in self.publishers.values()))
        self.spin_until(lambda: self.client.count_publishers("/fusion/humans"))

    def now(self):
        return self.client.get_clock().now().to_msg()

    def say(self, name, humans, stamp, frame_id=None):
        header = Header(stamp=stamp, frame_id=frame_id or f"{name}_optical")
        self.publishers[name].publish(humans_to_msg(humans, header, f"body_{name}_"))


@pytest.fixture
def session(tmp_path, cameras):
    made = []

    def start(*arguments, text=None):
        file = tmp_path / "cameras.yaml"
        file.write_text(yaml_of(cameras) if text is None else text)
        made.append(Session(file, *arguments))
        return made[-1]

    yield start
    for s in made:
        s.close()


@pytest.fixture
def people(cameras, seen_by):
    """What each camera's node says of somebody whom both see."""
    return {
        name: [seen_by(view, PLACE, track_id=k + 3)]
        for k, (name, view) in enumerate(zip(("left", "right"), cameras, strict=True))
    }


@pytest.fixture
def true_joints(cameras, people):
    view = cameras[0]
    return moved(people["left"][0], Rigid(view.R_camera_world, view.t_camera_world).inverse).joints


def test_two_cameras_see_one_person(session, people, true_joints):
    s = session()
    transforms = []
    tf = pytest.importorskip("tf2_msgs.msg").TFMessage
    s.client.create_subscription(tf, "/tf", lambda m: transforms.extend(m.transforms), 100)
    s.connect()
    stamps = []

    def show():
        stamps.append(s.now())
        for name in ("left", "right"):
            s.say(name, people[name], stamps[-1])
        time.sleep(0.05)
        s.spin_once()
        return len(s.answers) >= 6 and len(transforms) >= 5

    s.spin_until(show)
    answer = s.answers[-1]
    assert answer.header.frame_id == "world" and answer.header.stamp in stamps
    (human,) = humans_from_msg(answer)
    np.testing.assert_allclose(human.joints, true_joints, atol=0.005)
    assert human.scale is ScaleSource.CAMERAS and human.track_id == 0 and answer.humans[0].id == "fusion_0"
    assert human.pelvis is not None and np.linalg.eigvalsh(human.pelvis.pose_covariance).min() > 0
    assert transforms[-1].child_frame_id == "body_fusion_0" and transforms[-1].header.frame_id == "world"
    s.spin_until(lambda: any(v.key == "left: received_hz" for x in s.statuses for v in x.values))
    s.spin_until(lambda: any(x.level == DiagnosticStatus.OK and x.message == "running" for x in s.statuses))


def test_a_camera_that_stops_does_not_hold_up_the_other(session, people):
    s = session()
    s.connect()
    first = s.now()
    for name in ("left", "right"):
        s.say(name, people[name], first)
    s.spin_until(lambda: s.answers)
    for _ in range(5):
        s.say("left", people["left"], s.now())
        count = len(s.answers)
        s.spin_until(lambda count=count: len(s.answers) > count)
    assert [h.track_id for h in s.answers[-1].humans] == [0]

    def warned():
        s.say("left", people["left"], s.now())
        time.sleep(0.05)
        s.spin_once()
        return any("nothing from right on /right/hmr/humans" in x.message for x in s.statuses)

    s.spin_until(warned)


def test_where_a_camera_is_may_come_from_tf(session, people, cameras, true_joints):
    tf = pytest.importorskip("tf2_msgs.msg").TFMessage
    text = "cameras: {left: {image_topic: /a}, right: {image_topic: /b}}"
    s = session("-p", "output.target_frame:=map", text=text)
    s.connect()

    def show(done):
        def attempt():
            stamp = s.now()
            for name in ("left", "right"):
                s.say(name, people[name], stamp)
            time.sleep(0.05)
            s.spin_once()
            return done()

        s.spin_until(attempt)

    show(lambda: any("no transform from 'left_optical' to 'map'" in x.message for x in s.statuses))
    assert not s.answers
    latched = QoSProfile(depth=2, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    publisher = s.client.create_publisher(tf, "/tf_static", latched)
    transforms = []
    for name, view in zip(("left", "right"), cameras, strict=True):
        pose = Rigid(view.R_camera_world, view.t_camera_world).inverse
        message = TransformStamped(header=Header(frame_id="map"), child_frame_id=f"{name}_optical")
        t, q = message.transform.translation, message.transform.rotation
        t.x, t.y, t.z = pose.translation.tolist()
        q.w, q.x, q.y, q.z = quaternion_from_matrix(pose.rotation).tolist()
        transforms.append(message)
    publisher.publish(tf(transforms=transforms))
    show(lambda: s.answers and s.answers[-1].humans and s.answers[-1].humans[0].scale_source == ScaleSource.CAMERAS)
    (human,) = humans_from_msg(s.answers[-1])
    np.testing.assert_allclose(human.joints, true_joints, atol=0.005)
    assert s.answers[-1].header.frame_id == "map"


@pytest.mark.parametrize(
    ("change", "frame_id", "said"),
    [
        ({"body_model": "smpl"}, None, "its people have the body 'smpl'"),
        ({}, "world", "its people are in 'world' already"),
    ],
)
def test_a_camera_that_cannot_be_used_is_left_out_with_the_reason(session, people, change, frame_id, said):
    s = session()
    s.connect()
    odd = [replace(people["right"][0], **change)]

    def show():
        stamp = s.now()
        s.say("left", people["left"], stamp)
        s.say("right", odd, stamp, frame_id)
        time.sleep(0.05)
        s.spin_once()
        return any(x.level == DiagnosticStatus.ERROR and f"right is left out: {said}" in x.message for x in s.statuses)

    s.spin_until(show)
    assert humans_from_msg(s.answers[-1])[0].scale is ScaleSource.INTRINSICS


def test_what_is_not_finite_ends_nothing(session, people):
    s = session()
    s.connect()
    broken = [replace(people["right"][0], joints=np.full((24, 3), np.nan))]

    def show():
        stamp = s.now()
        s.say("right", broken, stamp)
        s.say("left", people["left"], stamp)
        time.sleep(0.02)
        s.spin_once()
        return len(s.answers) > 3

    s.spin_until(show)
    assert all(np.isfinite(h.joints).all() for m in s.answers for h in humans_from_msg(m))


def test_states_services_and_parameters_are_those_of_a_managed_node(session, people):
    s = session("-p", "autostart:=false")
    s.node.autostart()
    assert s.node.state == "unconfigured"
    assert s.call(SetBool, "set_enabled", SetBool.Request(data=True)).success and s.node.state == "active"
    assert s.call(Trigger, "reset", Trigger.Request()).success
    refused = s.node.set_parameters([rclpy.Parameter("tolerance_s", value=0.2)])[0]
    assert not refused.successful and "deactivate the node first" in refused.reason
    assert s.node.set_parameters([rclpy.Parameter("output.marker_lifetime_s", value=2.0)])[0].successful
    assert s.call(SetBool, "set_enabled", SetBool.Request(data=False)).success and s.node.state == "inactive"
    s.spin_until(lambda: any("inactive" in x.message for x in s.statuses))


def test_without_cameras_configuring_fails_with_the_cure(session):
    s = session("-p", "cameras:=''")
    assert not s.node.autostart() and "give cameras:=FILE" in str(s.node.failure)


def test_slips_are_named():
    rclpy.init(args=["--ros-args", "-p", "wait_ss:=0.2"])
    try:
        with pytest.raises(ConfigError, match="did you mean 'wait_s'"):
            FusionNode()
    finally:
        rclpy.try_shutdown()


def test_hmr_fuse_is_the_node_in_a_process_of_its_own(tmp_path, cameras, people, true_joints):
    file = tmp_path / "cameras.yaml"
    file.write_text(yaml_of(cameras))
    command = [sys.executable, "-m", "hmr_ros", "fuse", str(file), "namespace:=robot", "target_frame:=hall"]
    process = subprocess.Popen(command)
    rclpy.init()
    client = rclpy.create_node("client")
    try:
        answers = []
        client.create_subscription(HumanArray, "/robot/fusion/humans", answers.append, 10)
        publishers = {n: client.create_publisher(HumanArray, f"/robot/{n}/hmr/humans", 10) for n in ("left", "right")}
        deadline = time.monotonic() + 60
        while not (answers and answers[-1].humans and answers[-1].humans[0].scale_source == ScaleSource.CAMERAS):
            assert time.monotonic() < deadline and process.poll() is None
            header = Header(stamp=client.get_clock().now().to_msg(), frame_id="optical")
            for name, publisher in publishers.items():
                publisher.publish(humans_to_msg(people[name], header))
            rclpy.spin_once(client, timeout_sec=0.05)
        assert answers[-1].header.frame_id == "hall" and answers[-1].humans[0].id == "robot_fusion_0"
        np.testing.assert_allclose(humans_from_msg(answers[-1])[0].joints, true_joints, atol=0.005)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()
        client.destroy_node()
        rclpy.try_shutdown()
