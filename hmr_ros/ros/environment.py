"""What must be set before ROS 2 starts: the DDS profile that lets pictures through."""

from __future__ import annotations

import importlib.util
import os

from hmr_ros.errors import RosUnavailableError
from hmr_ros.io.model_store import share_file

# the second name is what Humble's Fast DDS reads
PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


def prepare_environment() -> None:
    """Check that ROS 2 and our messages are there, and choose the DDS profile unless the user chose one."""
    require_ros()
    if not any(os.environ.get(name) for name in PROFILE_VARIABLES):
        profile = str(share_file("config/fastdds_profile.xml"))
        for name in PROFILE_VARIABLES:
            os.environ[name] = profile


def require_ros() -> None:
    """RosUnavailableError with the cure where rclpy or the generated messages are missing."""
    if importlib.util.find_spec("rclpy") is None:
        raise RosUnavailableError("rclpy is not in this Python; run `make setup`, or source your ROS 2 installation")
    if importlib.util.find_spec("hmr_ros.msg") is None:
        raise RosUnavailableError("the hmr_ros messages are not built; run `make setup` or `colcon build`, then source")
