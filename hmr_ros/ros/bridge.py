"""cv_bridge for the image encodings that our own table lacks; loaded only when the first such image comes.

Where NumPy is newer than the one that cv_bridge was built for, loading it fails or even ends the process: nothing that
the own table can do depends on it.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from hmr_ros.errors import InputError
from hmr_ros.types import Image

_CURE = "install cv_bridge (apt install ros-$ROS_DISTRO-cv-bridge) or let the driver publish bgr8"


def convert_with_cv_bridge(message: Any) -> Image:
    """sensor_msgs/Image -> BGR [H,W,3]; InputError where cv_bridge is missing, does not load or cannot convert it."""
    bridge = _bridge()
    if bridge is None:
        raise InputError(f"cv_bridge, which may know it, is not installed or does not load; {_CURE}")
    try:
        return np.asarray(bridge.imgmsg_to_cv2(message, "bgr8"), np.uint8)
    except Exception as error:  # CvBridgeError, cv2.error and what its Boost module raises
        raise InputError(
            f"cv_bridge cannot convert it: {' '.join(str(error).split()) or type(error).__name__}"
        ) from error


@functools.cache  # a failed load is not tried again for every image
def _bridge() -> Any:
    try:
        from cv_bridge import CvBridge

        bridge = CvBridge()
        bridge.encoding_to_cvtype2("bgr8")  # loads the compiled part
    except Exception:  # ImportError, and what a NumPy of another ABI raises
        return None
    return bridge
