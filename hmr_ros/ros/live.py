"""`hmr live`: the node without a launcher."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Callable
from typing import Any

from hmr_ros.config import HmrConfig
from hmr_ros.pipeline import Pipeline
from hmr_ros.ros.environment import prepare_environment
from hmr_ros.ros.parameters import ros_arguments


def run_live(argv: list[str], pipeline_factory: Callable[[HmrConfig], Pipeline]) -> int:
    """Run the node `hmr` until Ctrl-C or SIGTERM; `argv` as in `parameters.ros_arguments`."""
    arguments = ros_arguments(argv)
    prepare_environment()
    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

    from hmr_ros.ros.node import HmrNode

    _prefer_latency()
    signal.signal(signal.SIGTERM, _interrupt)
    rclpy.init(args=["hmr", *arguments], signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    node = None
    try:
        node = HmrNode(pipeline_factory)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        gc.collect()
        gc.freeze()  # what is loaded now stays: do not search it for garbage during a frame
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        if node is not None:
            node.stop()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _prefer_latency() -> None:
    """The worker shares the interpreter with the executor: hand over fast, and keep OpenCV's threads out of the way."""
    import cv2

    sys.setswitchinterval(0.0005)
    cv2.setNumThreads(1)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt
