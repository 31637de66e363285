"""What differs between ROS 2 installations."""

import subprocess
import sys

import pytest

from hmr_ros.ros.environment import PROFILE_VARIABLES, profile_environment

# Humble: the class is in rclpy.qos_event, and there is no rclpy.event_handler
_HUMBLE = """
import sys, types
import rclpy.node, rclpy.event_handler
humble = types.ModuleType("rclpy.qos_event")
humble.SubscriptionEventCallbacks = rclpy.event_handler.SubscriptionEventCallbacks
sys.modules["rclpy.qos_event"], sys.modules["rclpy.event_handler"] = humble, None
import hmr_ros.ros.node
from hmr_ros.ros.environment import subscription_event_callbacks
assert subscription_event_callbacks() is humble.SubscriptionEventCallbacks
"""


def test_the_node_loads_with_the_modules_of_humble():
    done = subprocess.run([sys.executable, "-c", _HUMBLE], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_a_process_gets_the_profile_for_images():
    assert profile_environment({"HOME": "/root"}, "p.xml") == dict.fromkeys(PROFILE_VARIABLES, "p.xml")
    assert profile_environment({PROFILE_VARIABLES[0]: ""}, "p.xml") == dict.fromkeys(PROFILE_VARIABLES, "p.xml")


@pytest.mark.parametrize("name", PROFILE_VARIABLES)
def test_a_profile_of_the_users_stays_and_is_found_under_both_names(name):
    environment = {name: "mine.xml"}
    environment |= profile_environment(environment, "p.xml")
    assert environment == dict.fromkeys(PROFILE_VARIABLES, "mine.xml")
    assert profile_environment(environment, "p.xml") == {}
