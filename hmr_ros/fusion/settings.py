"""Settings of the node `fusion`; the same kind of table as the node `hmr` has (config.py)."""

from __future__ import annotations

from dataclasses import dataclass, field

from hmr_ros.config import OutputConfig
from hmr_ros.config_groups import ACTIVATE, LIVE, option


@dataclass(frozen=True)
class FusionOutput:
    """What the node publishes beside its topics."""

    target_frame: str = option(
        "world", "common frame of all cameras and of everything that is published", when=ACTIVATE
    )
    tf: bool = option(True, "broadcast one frame a person on /tf (only where tf2_msgs is installed)", when=LIVE)
    tf_joints: bool = option(False, "broadcast the joints of each person too, as children of the person", when=LIVE)
    tf_prefix: str = option("", "a person's frame is this and the id; empty: body_ with the node's names")
    marker_lifetime_s: float = option(
        1.0, "seconds after which markers vanish unless they are renewed; 0: never", at_least=0, at_most=60, when=LIVE
    )
    diagnostics_period_s: float = option(
        1.0, "seconds between two messages on /diagnostics", at_least=0.1, at_most=3600, when=LIVE
    )

    @property
    def published(self) -> OutputConfig:
        """What the publishers of both nodes go by. ROS4HRI needs an image, so it is the cameras' nodes' alone."""
        return OutputConfig(
            target_frame=self.target_frame, tf=self.tf, tf_joints=self.tf_joints, tf_prefix=self.tf_prefix,
            ros4hri=False, marker_lifetime_s=self.marker_lifetime_s,
        )  # fmt: skip


@dataclass(frozen=True)
class FusionConfig:
    """The whole configuration of the node `fusion`."""

    cameras: str = option(
        "", "file that names the cameras, with R and t where /tf does not say where they are (config/cameras.yaml)"
    )
    body: str = option("", "SMPL file (.npz or .pkl) that the cameras' nodes use; empty: the open body")
    autostart: bool = option(True, "configure and activate the node when it starts; false: wait for lifecycle commands")
    tolerance_s: float = option(
        0.05, "seconds by which stamps of one moment may differ among cameras", at_least=0, at_most=1, when=ACTIVATE
    )
    wait_s: float = option(
        0.1, "seconds for which an answer waits for cameras that are late", at_least=0, at_most=2, when=ACTIVATE
    )
    keep_s: float = option(
        1.5, "seconds for which the id of a person whom no camera sees is kept", at_least=0, at_most=3600, when=ACTIVATE
    )
    output: FusionOutput = field(default_factory=FusionOutput)
