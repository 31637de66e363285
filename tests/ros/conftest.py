"""ROS tests need rclpy and the built messages, and a domain of their own."""

import importlib.util
import os

import pytest

os.environ.setdefault("ROS_DOMAIN_ID", str(101 + os.getpid() % 100))
os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
MISSING = importlib.util.find_spec("rclpy") is None or importlib.util.find_spec("hmr_ros.msg") is None

if MISSING:
    collect_ignore_glob = ["test_*.py"]


def pytest_configure(config):
    if MISSING:
        config.issue_config_time_warning(pytest.PytestWarning("no ROS 2 here: tests/ros is left out"), 2)
