"""What differs from one ROS 2 installation to the next, and what must be set before ROS 2 starts."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
from collections.abc import Callable, Mapping
from typing import Any

from hmr_ros.errors import RosUnavailableError
from hmr_ros.io.model_store import share_file

# Fast DDS 3 (Kilted and later) reads the first, Fast DDS 2 (Humble, Jazzy) the second alone
PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


def prepare_environment() -> None:
    """Check that ROS 2 and our messages are there, and choose the DDS profile unless the user chose one."""
    require_ros()
    os.environ.update(profile_environment(os.environ, str(share_file("config/fastdds_profile.xml"))))


def profile_environment(environment: Mapping[str, str], profile: str) -> dict[str, str]:
    """Variables that give a process the DDS profile with room for images, or what the user has chosen.

    A choice under one name is given under the other too: Fast DDS reads one of them and is silent about the rest.
    """
    chosen = next((environment[name] for name in PROFILE_VARIABLES if environment.get(name)), profile)
    return {name: chosen for name in PROFILE_VARIABLES if not environment.get(name)}


def require_ros() -> None:
    """RosUnavailableError with the cure where rclpy or the generated messages are missing."""
    for name in ("rclpy", "lifecycle_msgs", "std_srvs"):
        if importlib.util.find_spec(name) is None:
            raise RosUnavailableError(
                f"{name} is not in this Python; run `make setup`, or source your ROS 2 installation"
            )
    if importlib.util.find_spec("hmr_ros.msg") is None:
        raise RosUnavailableError("the hmr_ros messages are not built; run `make setup` or `colcon build`, then source")


def subscription_event_callbacks() -> Any:
    """rclpy's class `SubscriptionEventCallbacks`, which Humble keeps in another module."""
    try:
        from rclpy.event_handler import SubscriptionEventCallbacks
    except ModuleNotFoundError:
        from rclpy.qos_event import SubscriptionEventCallbacks
    return SubscriptionEventCallbacks


def subscribed(node: Any, kind: Any, topic: str, callback: Callable[[Any], None], qos: Any, events: Any = None) -> Any:
    """A subscription whose QoS the user may override (`qos_overrides.TOPIC.subscription.*`)."""
    from rclpy.qos_overriding_options import QoSOverridingOptions

    name = f"qos_overrides.{node.resolve_topic_name(topic)}.subscription."
    # only where there are some: rclpy never forgets what it declared, and `input.reliability` may change
    given = any(p.startswith(name) for p in getattr(node, "_parameter_overrides", {}))
    options = QoSOverridingOptions.with_default_policies() if given else None
    return node.create_subscription(kind, topic, callback, qos, event_callbacks=events, qos_overriding_options=options)


def give_back_memory() -> None:
    """Hand freed memory back to the system, where the C library can: glibc keeps it otherwise."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
