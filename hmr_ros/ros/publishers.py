"""The node's outgoing topics; costly ones are made only while somebody listens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from hmr_ros.body.axes import moved
from hmr_ros.body.model import BodyModel
from hmr_ros.config import OutputConfig
from hmr_ros.msg import BodyModel as BodyModelMsg
from hmr_ros.msg import HumanArray, HypothesisArray
from hmr_ros.ros.convert import body_to_msg, humans_to_msg, hypotheses_to_msg, image_to_msg
from hmr_ros.ros.frames import FrameBroadcaster, person_prefix
from hmr_ros.ros.hri import HriPublisher, PeoplePublisher
from hmr_ros.ros.human_urdf import joint_state
from hmr_ros.ros.markers import MeshMarkers, SkeletonMarkers
from hmr_ros.ros.notices import Notices
from hmr_ros.types import Frame, Human
from hmr_ros.view.overlay import draw_humans
from hmr_ros.world.gravity import CameraPose

_DEPTH = 10


@dataclass(frozen=True)
class Answer:
    """What is published of one image."""

    frame: Frame | None  # None: of several cameras
    image_header: Header
    seen: list[Human]  # in the camera's frame
    people: list[Human]  # in the header's frame; those who were seen, then those who are searched for
    header: Header  # stamp of the image; its frame, or the target frame
    pose: CameraPose | None = None  # of the camera, where /tf or an Imu says it


class Publishers:
    """All publishers of a configured node."""

    def __init__(
        self, node: Node, config: OutputConfig, body: BodyModel, notices: Notices, *, images: bool = True
    ) -> None:
        """`images`: what is published belongs to images, on which it can be drawn."""
        self._node, self._body = node, body
        self.config = config  # may be replaced while the node runs
        self._prefix = person_prefix(node.get_fully_qualified_name(), config.tf_prefix)
        self.humans = self._publisher(HumanArray, "~/humans")
        self._hypotheses = self._publisher(HypothesisArray, "~/hypotheses")
        self._markers = self._publisher(MarkerArray, "~/markers")
        self._mesh = self._publisher(Marker, "~/mesh")
        self._joint_states = self._publisher(JointState, "~/joint_states")
        self._overlay = self._publisher(Image, "~/overlay", 1) if images else None
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._latched_body = node.create_publisher(BodyModelMsg, "~/body_model", latched)
        self._latched_body.publish(body_to_msg(body))
        self._frames = FrameBroadcaster(node, self._prefix)
        self._hri = HriPublisher(node, self._prefix, notices, images=images)
        self._people = PeoplePublisher(node, self._prefix)
        self._skeletons, self._meshes = SkeletonMarkers(), MeshMarkers(body)
        self._with_hri = False  # whether anybody was told on its topics who is there

    def publish(self, answer: Answer) -> None:
        """Everything about one frame; parameters first, what only people look at last."""
        people, header, config = answer.people, answer.header, self.config
        self.humans.publish(humans_to_msg(people, header, self._prefix))
        if config.tf:
            self._frames(*_under_world(answer), config.tf_joints)
        if config.ros4hri:
            self._hri(answer.frame, people, answer.image_header)
            self._people(people, header)
        elif self._with_hri:
            self._leave_hri()
        self._with_hri = config.ros4hri
        if self._hypotheses.get_subscription_count():
            self._hypotheses.publish(hypotheses_to_msg(people, header))
        if self._joint_states.get_subscription_count():
            for human in people:
                self._joint_states.publish(joint_state(human, header, f"{self._prefix}{human.track_id}"))
        if self._markers.get_subscription_count():
            self._markers.publish(self._skeletons(people, header, config.marker_lifetime_s))
        if self._mesh.get_subscription_count():
            for message in self._meshes(people, header, config.marker_lifetime_s):
                self._mesh.publish(message)
        if self._overlay is not None and answer.frame is not None and self._overlay.get_subscription_count():
            drawn = draw_humans(answer.frame.image, answer.seen, self._body)
            self._overlay.publish(image_to_msg(drawn, answer.image_header))

    def clear(self) -> None:
        """Delete the markers that are shown, and say that nobody is there to those who keep what they heard last."""
        self._markers.publish(self._skeletons([], Header()))
        for message in self._meshes([], Header()):
            self._mesh.publish(message)
        if self._with_hri:
            self._leave_hri()
        self._with_hri = False

    def _leave_hri(self) -> None:
        header = Header(stamp=self._node.get_clock().now().to_msg())
        self._hri(None, [], header)
        self._people([], header)

    def close(self) -> None:
        """Leave all topics."""
        topics = (
            self.humans, self._hypotheses, self._markers, self._mesh, self._joint_states, self._overlay,
            self._latched_body,
        )  # fmt: skip
        for publisher in filter(None, topics):
            self._node.destroy_publisher(publisher)
        for output in (self._frames, self._hri, self._people):
            output.close()

    def _publisher(self, kind: Any, topic: str, depth: int = _DEPTH) -> Any:
        options = QoSOverridingOptions.with_default_policies()
        return self._node.create_publisher(kind, topic, depth, qos_overriding_options=options)


def _under_world(answer: Answer) -> tuple[list[Human], Header]:
    """Everybody in the frame that their frames on /tf hang on: the world's where that is one on /tf, unless answers are
    wanted in another."""
    pose = answer.pose
    if pose is None or pose.place is None or answer.header.frame_id != answer.image_header.frame_id:
        return answer.people, answer.header
    header = Header(stamp=answer.header.stamp, frame_id=pose.frame)
    return [moved(h, pose.place) for h in answer.people], header
