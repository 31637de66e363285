"""End to end: a camera process and the node process on real DDS, watched from a third."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from hmr_ros.msg import HumanArray, HypothesisArray
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import GetParameters
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from hmr_ros.io.encodings import image_bytes, stamp_ns
from hmr_ros.ros.convert import humans_from_msg
from hmr_ros.ros.demo.clip import DemoClip
from hmr_ros.ros.demo.run import play
from hmr_ros.ros.environment import prepare_environment


@pytest.fixture(scope="module", autouse=True)
def profile():
    prepare_environment()


@pytest.fixture
def clip(tmp_path, rendered):
    images, truths, camera = rendered
    np.save(tmp_path / "frames.npy", np.stack(images))
    return DemoClip(tmp_path / "frames.npy", len(images), 15.0, camera, list(truths))


def test_images_become_people(tmp_path, clip):
    recording = play(clip, tmp_path, seconds=4.0)
    assert len(recording.sent_ns) == 60
    assert len(recording.latency_s) >= 30  # the machine may be busy; speed is measured elsewhere
    assert set(recording.humans) <= set(recording.sent_ns)
    people = [h for humans in recording.humans.values() for h in humans]
    assert len(people) >= 25 and {h.track_id for h in people} == {people[0].track_id}
    stamp, humans = sorted(recording.humans.items())[-1]
    truth = clip.truth[recording.sent_ns.index(stamp) % len(clip)]
    assert np.linalg.norm(humans[0].joints_2d - truth.joints_2d, axis=1).mean() < 15


class Watcher:
    """The node as a process of its own, and this process as publisher and reader."""

    def __init__(self, *arguments, node="/hmr", image_topic="/image", info_topic="/camera_info"):
        self.node_process = subprocess.Popen(
            [sys.executable, "-m", "hmr_ros", "live", *arguments], stderr=subprocess.PIPE, text=True
        )
        rclpy.init()
        self.name = node
        self.node = rclpy.create_node("watcher")
        self.images = self.node.create_publisher(Image, image_topic, 10)
        self.infos = self.node.create_publisher(CameraInfo, info_topic, 10)
        self.clock = self.node.create_publisher(Clock, "/clock", 1)
        self.sim_ns = None  # time on /clock; None: real time
        self.status = self.diagnosed_at = None
        self.answers, self.frames, self.markers, self.meshes, self.overlays = [], [], [], [], []
        self.node.create_subscription(HumanArray, f"{node}/humans", self.answers.append, 10)
        self.node.create_subscription(TFMessage, "/tf", lambda m: self.frames.extend(m.transforms), 100)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self.on_diagnostics, 10)

    def on_diagnostics(self, message):
        (self.status,), self.diagnosed_at = message.status, stamp_ns(message.header.stamp)

    def wait(self, condition, timeout=40.0, poll_s=0.05):
        deadline = time.monotonic() + timeout
        while not condition():
            rclpy.spin_once(self.node, timeout_sec=poll_s)
            assert time.monotonic() < deadline, f"timed out; the last status was {self.status}"

    def send(self, image, encoding="bgr8", k=None):
        message = Image(height=image.shape[0], width=image.shape[1], encoding=encoding, step=3 * image.shape[1])
        message.header.stamp, message.header.frame_id = self.now(), "optical"
        message.data = image_bytes(image)
        if k is not None:
            self.infos.publish(CameraInfo(header=message.header, k=k))
        self.images.publish(message)

    def now(self):
        if self.sim_ns is None:
            return self.node.get_clock().now().to_msg()
        self.sim_ns += 50_000_000
        time_msg = Time(nanoseconds=self.sim_ns).to_msg()
        self.clock.publish(Clock(clock=time_msg))
        return time_msg

    def send_until(self, condition, image, every_s=0.05, **options):
        sent_at = -1.0

        def attempt():
            nonlocal sent_at
            if self.images.get_subscription_count() and time.monotonic() - sent_at >= every_s:
                sent_at = time.monotonic()
                self.send(image, **options)
            return condition()

        self.wait(attempt, poll_s=min(every_s, 0.05))

    def said(self, level, text):
        """Condition: the last status has this level, and its message these words."""
        return lambda: self.status is not None and self.status.level == level and text in self.status.message

    def parameters(self, *names):
        client = self.node.create_client(GetParameters, f"{self.name}/get_parameters")
        self.wait(client.service_is_ready)
        future = client.call_async(GetParameters.Request(names=names))
        self.wait(future.done)
        return future.result().values

    def close(self):
        self.node.destroy_node()
        rclpy.try_shutdown()
        self.node_process.send_signal(signal.SIGTERM)
        _, self.log = self.node_process.communicate(timeout=15)
        return self.node_process.returncode


@pytest.fixture
def watcher():
    made = []

    def start(*arguments, **options):
        made.append(Watcher(*arguments, **options))
        return made[-1]

    yield start
    for w in made:
        if w.node_process.poll() is None:
            w.node.destroy_node()
            rclpy.try_shutdown()
            w.node_process.kill()


def test_topics_on_demand_and_a_clean_end(watcher, rendered):
    w = watcher()
    w.send_until(lambda: any(a.humans for a in w.answers), rendered[0][0])
    w.node.create_subscription(MarkerArray, "/hmr/markers", w.markers.append, 10)
    w.node.create_subscription(Marker, "/hmr/mesh", w.meshes.append, 10)
    w.node.create_subscription(Image, "/hmr/overlay", w.overlays.append, 10)
    w.send_until(lambda: w.markers and w.meshes and w.overlays, rendered[0][0])
    assert len(w.meshes[0].points) == 3 * 13776
    assert (w.overlays[0].width, w.overlays[0].height) == (480, 360)
    assert w.answers[-1].header.frame_id == "optical"
    assert w.close() == 0


def test_bad_images_are_said_and_survived(watcher, rendered):
    w = watcher()
    w.wait(lambda: w.images.get_subscription_count() > 0)
    for _ in range(5):
        w.send(rendered[0][0], encoding="made_up")
        time.sleep(0.1)
    w.send_until(lambda: any(a.humans for a in w.answers), rendered[0][0], k=[0.0] * 9)
    human = humans_from_msg(w.answers[-1])[0]
    assert np.isfinite(human.joints).all() and human.transl[2] > 0
    assert w.close() == 0
    assert "encoding 'made_up' is unknown" in w.log and "zero or invalid matrix" in w.log


_ROBOT = """
/**:
  ros__parameters:
    input: {image_topic: /file/image, camera_info_topic: /file/info}
    output: {tf_prefix: person_, diagnostics_period_s: 1}
    tracker: {max_occlusion_s: 2}
"""
_START_NS = 1_000_000_000_000  # of the simulated time


@pytest.fixture
def robot(watcher, tmp_path):
    """The node of a simulated robot: a namespace, a user's file and an argument that contradicts the file."""
    file = tmp_path / "robot.yaml"
    file.write_text(_ROBOT)
    given = [f"config:={file}", "image_topic:=/arg/image", "namespace:=robot", "use_sim_time:=true"]
    w = watcher(*given, node="/robot/hmr", image_topic="/arg/image", info_topic="/file/info")
    w.sim_ns = _START_NS
    return w


def test_a_node_on_a_robot(robot, rendered):
    image, K = rendered[0][0], rendered[2].K.reshape(-1)
    robot.wait(robot.said(DiagnosticStatus.STALE, "no image on /arg/image yet"))
    assert robot.status.name == "/robot/hmr: people"
    occlusion, info, prefix = robot.parameters("tracker.max_occlusion_s", "input.camera_info_topic", "output.tf_prefix")
    assert (occlusion.type, occlusion.double_value) == (ParameterType.PARAMETER_DOUBLE, 2.0)
    assert (info.string_value, prefix.string_value) == ("/file/info", "person_")

    robot.send_until(robot.said(DiagnosticStatus.WARN, "no CameraInfo on /file/info"), image, every_s=0.2)
    robot.send_until(robot.said(DiagnosticStatus.OK, "running"), image, every_s=0.2, k=K)
    check_frames(robot)
    assert _START_NS < robot.diagnosed_at <= robot.sim_ns  # the time of /clock
    values = {v.key: v.value for v in robot.status.values}
    assert abs(float(values["latency_ms_p50"])) < 60e3

    robot.send_until(lambda: "images dropped" in robot.status.message, image, every_s=0.005, k=K)
    assert robot.status.level in (DiagnosticStatus.WARN, DiagnosticStatus.ERROR)
    robot.send_until(robot.said(DiagnosticStatus.ERROR, "encoding 'made_up' is unknown"), image, encoding="made_up")
    robot.wait(robot.said(DiagnosticStatus.STALE, "no image on /arg/image for "))
    assert robot.close() == 0


def check_frames(robot):
    """Everybody in the last answer has stood on /tf, in the image's frame at the image's time."""
    answer = next(a for a in reversed(robot.answers) if a.humans)
    stamp = stamp_ns(answer.header.stamp)
    assert _START_NS < stamp <= robot.sim_ns
    robot.wait(lambda: any(stamp_ns(f.header.stamp) == stamp for f in robot.frames))
    frames = {f.child_frame_id: f for f in robot.frames if stamp_ns(f.header.stamp) == stamp}
    assert set(frames) == {f"person_{h.track_id}" for h in answer.humans}
    for human in answer.humans:
        frame = frames[f"person_{human.track_id}"]
        at = frame.transform.translation
        assert frame.header.frame_id == "optical"
        pelvis = human.pelvis.pose.position
        between_hips = human.joints.reshape(24, 3)[1:3].mean(0)
        np.testing.assert_allclose([at.x, at.y, at.z], between_hips, atol=1e-5)
        np.testing.assert_allclose([pelvis.x, pelvis.y, pelvis.z], between_hips, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--ros-args", "-p", "recover:=magic"], "choose one of kinematic, posture"),
        (["--ros-args", "-p", "tracker.max_poeple:=3"], "did you mean 'tracker.max_people'?"),
        (["--ros-args", "-p", "input.image_topic:=a topic"], "'a topic' is no topic name"),
        (["--ros-args", "-p", "threads"], "ROS does not take its arguments"),
        (["--ros-args", "-p", "output.searching_s:=.nan"], "is nan; give 0 to 2"),
        (["--ros-args", "--params-file", "{tmp_path}/plain.yaml"], "Cannot have a value before ros__parameters"),
        (["config:={tmp_path}/plain.yaml"], "put its settings under `/**:` and `ros__parameters:`"),
        (["config:={tmp_path}/broken.yaml"], "is not valid YAML"),
    ],
)
def test_wrong_parameters_end_in_one_line(tmp_path, arguments, said):
    (tmp_path / "plain.yaml").write_text("threads: 3\n")
    (tmp_path / "broken.yaml").write_text("/**: {ros__parameters: [\n")
    arguments = [a.format(tmp_path=tmp_path) for a in arguments]
    command = [sys.executable, "-m", "hmr_ros", "live", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ))
    assert done.returncode == 1
    (line,) = [t for t in done.stderr.splitlines() if t.startswith("hmr: ")]
    assert said in line and "Traceback" not in done.stderr


def test_a_start_that_fails_ends_in_one_line():
    command = [sys.executable, "-m", "hmr_ros", "live", "--ros-args", "-p", "body:=/no/such/body.npz"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ))
    assert done.returncode == 1 and "Traceback" not in done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert "cannot configure: " in line and "/no/such/body.npz" in line


@pytest.mark.parametrize("folder", ["", "enclaves/hmr"])
def test_security_that_cannot_be_had_ends_in_one_line(tmp_path, folder):
    """No keystore, and an enclave without its keys; with or without security in the installed DDS."""
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    secured = {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce", "ROS_SECURITY_KEYSTORE": tmp_path}
    command = [sys.executable, "-m", "hmr_ros", "live", "--ros-args", "--enclave", "/hmr"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **secured}
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    (line,) = [t for t in done.stderr.splitlines() if t.startswith("hmr: ")]
    assert "SECURITY.md" in line


def test_two_cameras_have_ids_and_frames_of_their_own(watcher, rendered):
    """As multi_camera.launch.py starts them: a namespace each."""
    left = watcher("namespace:=left", "image_topic:=/image", "--ros-args", "-p", "threads:=1", node="/left/hmr")
    command = [sys.executable, "-m", "hmr_ros", "live", "namespace:=right", "image_topic:=/image"]
    right = subprocess.Popen([*command, "--ros-args", "-p", "threads:=1"])
    try:
        others = []
        left.node.create_subscription(HumanArray, "/right/hmr/humans", others.append, 10)
        left.send_until(
            lambda: any(a.humans for a in left.answers) and any(a.humans for a in others), rendered[0][0], every_s=0.1
        )
        left.wait(lambda: {"body_left_0", "body_right_0"} <= {f.child_frame_id for f in left.frames})
        ids = [{h.id for a in answers for h in a.humans} for answers in (left.answers, others)]
        assert ids[0] and ids[1] and not ids[0] & ids[1]
    finally:
        right.send_signal(signal.SIGTERM)
        assert right.wait(timeout=15) == 0


def test_hypotheses_for_whoever_listens(watcher, rendered):
    w = watcher("--ros-args", "-p", "hypotheses.count:=4")
    w.send_until(lambda: any(a.humans for a in w.answers), rendered[0][0])
    several = []
    w.node.create_subscription(HypothesisArray, "/hmr/hypotheses", several.append, 10)
    w.send_until(lambda: any(m.humans for m in several), rendered[0][0])
    message = next(m for m in several if m.humans)
    w.wait(lambda: any(a.header.stamp == message.header.stamp for a in w.answers))
    (answer,) = [a for a in w.answers if a.header.stamp == message.header.stamp]
    (human,), (found,) = answer.humans, message.humans
    joints = np.reshape(found.joints, (4, 24, 3))
    assert (found.track_id, found.count, len(found.rotations)) == (human.track_id, 4, 4 * 72)
    np.testing.assert_allclose(joints[:, 0], np.tile(human.joints[:3], (4, 1)), atol=1e-4)
    assert np.linalg.norm(joints[0] - joints[1], axis=-1).max() > 0.01
    assert w.close() == 0
