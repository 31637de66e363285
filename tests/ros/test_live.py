"""End to end: a camera process and the node process on real DDS, watched from a third."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import rclpy
from hmr_ros.msg import HumanArray
from sensor_msgs.msg import CameraInfo, Image
from visualization_msgs.msg import Marker, MarkerArray

from hmr_ros.io.encodings import image_bytes
from hmr_ros.ros.convert import humans_from_msg
from hmr_ros.ros.demo.clip import DemoClip
from hmr_ros.ros.demo.run import play
from hmr_ros.ros.environment import prepare_environment


@pytest.fixture(scope="module", autouse=True)
def profile():
    prepare_environment()


@pytest.fixture
def clip(tmp_path, rendered):
    pictures, truths, camera = rendered
    np.save(tmp_path / "frames.npy", np.stack(pictures))
    return DemoClip(tmp_path / "frames.npy", len(pictures), 15.0, camera, list(truths))


def test_pictures_become_people(tmp_path, clip):
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

    def __init__(self, *arguments):
        self.node_process = subprocess.Popen(
            [sys.executable, "-m", "hmr_ros", "live", *arguments], stderr=subprocess.PIPE, text=True
        )
        rclpy.init()
        self.node = rclpy.create_node("watcher")
        self.images = self.node.create_publisher(Image, "/camera/image_raw", 10)
        self.infos = self.node.create_publisher(CameraInfo, "/camera/camera_info", 10)
        self.answers, self.markers, self.meshes, self.overlays = [], [], [], []
        self.node.create_subscription(HumanArray, "/hmr/humans", self.answers.append, 10)

    def wait(self, condition, timeout=40.0):
        deadline = time.monotonic() + timeout
        while not condition():
            rclpy.spin_once(self.node, timeout_sec=0.05)
            assert time.monotonic() < deadline, "timed out"

    def send(self, picture, encoding="bgr8", k=None):
        stamp = self.node.get_clock().now().to_msg()
        message = Image(height=picture.shape[0], width=picture.shape[1], encoding=encoding, step=3 * picture.shape[1])
        message.header.stamp, message.header.frame_id = stamp, "optical"
        message.data = image_bytes(picture)
        if k is not None:
            self.infos.publish(CameraInfo(header=message.header, k=k))
        self.images.publish(message)

    def send_until(self, condition, picture, **options):
        def attempt():
            if self.images.get_subscription_count():
                self.send(picture, **options)
            return condition()

        self.wait(attempt)

    def close(self):
        self.node.destroy_node()
        rclpy.try_shutdown()
        self.node_process.send_signal(signal.SIGTERM)
        _, self.log = self.node_process.communicate(timeout=15)
        return self.node_process.returncode


@pytest.fixture
def watcher():
    made = []

    def start(*arguments):
        made.append(Watcher(*arguments))
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


def test_bad_pictures_are_said_and_survived(watcher, rendered):
    w = watcher()
    w.wait(lambda: w.images.get_subscription_count() > 0)
    for _ in range(5):
        w.send(rendered[0][0], encoding="nv12")
        time.sleep(0.1)
    w.send_until(lambda: any(a.humans for a in w.answers), rendered[0][0], k=[0.0] * 9)
    human = humans_from_msg(w.answers[-1])[0]
    assert np.isfinite(human.joints).all() and human.transl[2] > 0
    assert w.close() == 0
    assert "encoding 'nv12' is unknown" in w.log and "zero or invalid matrix" in w.log


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-p", "recover:=magic"], "choose one of kinematic, posture"),
        (["--params-file", "{tmp_path}/plain.yaml"], "Cannot have a value before ros__parameters"),
    ],
)
def test_wrong_parameters_end_in_one_line(tmp_path, arguments, said):
    (tmp_path / "plain.yaml").write_text("threads: 3\n")
    arguments = [a.format(tmp_path=tmp_path) for a in arguments]
    command = [sys.executable, "-m", "hmr_ros", "live", "--ros-args", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ))
    assert done.returncode == 1
    (line,) = [t for t in done.stderr.splitlines() if t.startswith("hmr: ")]
    assert said in line and "Traceback" not in done.stderr
