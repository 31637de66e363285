"""ROS tests need rclpy and the built messages, and a domain of their own."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for live_robot
os.environ.setdefault("ROS_DOMAIN_ID", str(101 + os.getpid() % 100))
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
MISSING = importlib.util.find_spec("rclpy") is None or importlib.util.find_spec("hmr_ros.msg") is None

if MISSING:
    collect_ignore_glob = ["test_*.py"]


def pytest_configure(config):
    if MISSING:
        config.issue_config_time_warning(pytest.PytestWarning("no ROS 2 here: tests/ros is left out"), 2)


@pytest.fixture
def robot():
    """Starts the node with ROS arguments and a client of it, see live_robot.py."""
    from live_robot import Robot

    made = []

    def start(*arguments, **options):
        made.append(Robot(*arguments, **options))
        return made[-1]

    yield start
    for r in made:
        r.close()
