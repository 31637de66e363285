"""What of ROS 2 is there; imports nothing of it, so it answers on machines without."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from hmr_ros.errors import HmrError
from hmr_ros.io.model_store import share_file
from hmr_ros.ros.environment import PROFILE_VARIABLES

_SETUP = "run `make setup`, or source your ROS 2 installation"
_MODULES = {  # module -> (what for, cure)
    "rclpy": ("live node, demo", _SETUP),
    "std_srvs": ("services of the node", _SETUP),
    "hmr_ros.msg": ("messages of this package", "run `make setup` or `colcon build`, then source"),
    "tf2_msgs": ("/tf", _SETUP),
    "cv_bridge": ("image encodings beyond the usual ones", "comes with a ROS installation; bgr8 and others need none"),
    "launch_ros": ("launch files", "comes with a ROS installation; without it use `hmr live`"),
}


def ros_checks() -> list[tuple[str, bool, str, str]]:
    """(name, is it there, detail, cure) of everything ROS."""
    checks = []
    for module, (purpose, cure) in _MODULES.items():
        checks.append((module, _there(module), purpose, cure))
    checks.append(_profile())
    return checks


def _there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _profile() -> tuple[str, bool, str, str]:
    name = "DDS profile for images"
    variable = next((v for v in PROFILE_VARIABLES if os.environ.get(v)), None)
    if variable:
        chosen = os.environ[variable]
        return (name, Path(chosen).is_file(), chosen, f"{variable} names a file that is not there; unset it")
    try:
        path = share_file("config/fastdds_profile.xml")
    except HmrError as error:
        return (name, False, "", str(error))
    exports = " ".join(f"{v}={path}" for v in PROFILE_VARIABLES)
    cure = f"only our own processes set it; for the camera's: export {exports}"
    return (name, False, "not set in this shell", cure)
