"""The camera without a lens ends on a signal, and its log holds what was sent."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import rclpy
from sensor_msgs.msg import Image


@pytest.fixture
def started(tmp_path):
    """Starts one that sends to /test_camera, and gives its process, a node of ours, and its log."""
    frames, log = tmp_path / "frames.npy", tmp_path / "log.json"
    np.save(frames, np.zeros((2, 48, 64, 3), np.uint8))
    command = [sys.executable, "-m", "hmr_ros.ros.virtual_camera", "--frames", str(frames), "--log", str(log)]
    command += ["--camera", "50,50,32,24", "--seconds", "60", "--topic", "/test_camera"]
    rclpy.init()
    node, processes = rclpy.create_node("reader"), []

    def start(*arguments):
        processes.append(subprocess.Popen([*command, *arguments]))
        return processes[0], node, log

    yield start
    for process in processes:
        process.kill()
        process.wait()
    node.destroy_node()
    rclpy.try_shutdown()


def wait(node, process, condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline and process.poll() is None
        rclpy.spin_once(node, timeout_sec=0.1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_the_log_is_written(started, number):
    process, node, log = started()
    stamps = []
    node.create_subscription(Image, "/test_camera", lambda m: stamps.append(m.header.stamp), 10)
    wait(node, process, lambda: len(stamps) >= 5)
    process.send_signal(number)
    assert process.wait(timeout=15) == 0
    sent = json.loads(log.read_text())["stamps_ns"]
    assert 5 <= len(sent) < 1800
    assert {s.sec * 1_000_000_000 + s.nanosec for s in stamps} <= set(sent)


def test_nobody_need_wait_for_its_beginning(started):
    process, node, log = started("--start-at", str(time.time() + 600))
    node.create_subscription(Image, "/test_camera", lambda _: None, 10)
    wait(node, process, lambda: node.count_publishers("/test_camera"))
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=15) == 0
    assert json.loads(log.read_text())["stamps_ns"] == []
