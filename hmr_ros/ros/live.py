"""`hmr live` and `hmr fuse`: the nodes without a launcher."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hmr_ros.config import HmrConfig
from hmr_ros.errors import ConfigError
from hmr_ros.pipeline import Pipeline
from hmr_ros.ros.environment import prepare_environment
from hmr_ros.ros.start_arguments import FUSION_ARGUMENTS, ros_arguments

if TYPE_CHECKING:
    from hmr_ros.ros.managed import ManagedNode

_SECURITY = (
    "ROS_SECURITY_ENABLE is true: ROS_SECURITY_KEYSTORE and the enclave must be there, and Fast DDS must be built with"
    " security (SECURITY.md)"
)


def run_live(argv: list[str], pipeline_factory: Callable[[HmrConfig], Pipeline]) -> int:
    """Run the node `hmr` until Ctrl-C or SIGTERM; `argv` as in `parameters.ros_arguments`."""
    arguments = ros_arguments(argv)
    prepare_environment()

    def make() -> ManagedNode:
        from hmr_ros.ros.node import HmrNode

        return HmrNode(pipeline_factory)

    return _run(arguments, make)


def run_fuse(argv: list[str]) -> int:
    """Run the node `fusion` until Ctrl-C or SIGTERM; `argv` is the cameras' file, then as for `run_live`."""
    if argv and ":=" not in argv[0] and not argv[0].startswith("-"):
        argv = [f"cameras:={argv[0]}", *argv[1:]]
    arguments = ros_arguments(argv, FUSION_ARGUMENTS)
    prepare_environment()

    def make() -> ManagedNode:
        from hmr_ros.ros.fusion_node import FusionNode

        return FusionNode()

    return _run(arguments, make)


def _run(arguments: list[str], make: Callable[[], ManagedNode]) -> int:
    import rclpy

    from hmr_ros.ros.ending import Ending

    _prefer_latency()
    with Ending() as ending:
        _start_ros(arguments)
        node = None
        try:
            node = _made(make)
            if not node.autostart() and not ending.asked:
                return 1
            ending.spin(node)
        finally:
            with ending.deferred():
                if node is not None:
                    node.stop()
                    node.destroy_node()
                rclpy.try_shutdown()
    return 0


def _start_ros(arguments: list[str]) -> None:
    """`rclpy.init`; ConfigError where it does not take the arguments, e.g. a parameter file that is not there."""
    import rclpy

    try:
        rclpy.init(args=["hmr", *arguments], signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    except RuntimeError as error:
        cure = _SECURITY if _is_secured() else "config/live.yaml shows a parameter file"
        raise ConfigError(f"ROS does not take its arguments: {_said(error)}; {cure}") from error


def _made(node: Callable[[], Any]) -> Any:
    """The node; ConfigError where ROS is asked for security that it cannot give."""
    try:
        return node()
    except RuntimeError as error:
        if not _is_secured():
            raise
        raise ConfigError(f"ROS refuses the node: {_said(error)}; {_SECURITY}") from error


def _is_secured() -> bool:
    return os.environ.get("ROS_SECURITY_ENABLE", "") == "true"


def _said(error: RuntimeError) -> str:
    """What ROS says of an error; its text goes on with the places in ROS's own sources."""
    said = re.split(r", at /|\n", str(error))[0]
    return re.sub("^(failed to initialize rcl|error creating node): ", "", said)


def _prefer_latency() -> None:
    """The worker shares the interpreter with the executor: hand over fast, and keep OpenCV's threads out of the way."""
    import cv2

    sys.setswitchinterval(0.0005)
    cv2.setNumThreads(1)
