"""People for ROS4HRI (REP-155) and for social navigation, where their messages are installed."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Header, String

from hmr_ros.body.human_description import hri_angles, hri_urdf
from hmr_ros.body.joints import BLAZEPOSE
from hmr_ros.ros.frames import BODY, person_id
from hmr_ros.ros.notices import Notices
from hmr_ros.types import Floats, Frame, Human, TrackingState

_DEPTH = 10
_TRACKED = "/humans/bodies/tracked"
# order of Skeleton2D; the neck, which BlazePose lacks, is between the shoulders
_SKELETON = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "left_eye", "right_eye",
    "left_ear", "right_ear",
)  # fmt: skip


def skeleton_2d(human: Human, width: int, height: int) -> Floats:
    """The 18 points [18,3] of Skeleton2D: x, y as shares of the image, confidence; what is outside has none."""
    points = human.keypoints_2d
    neck = points[[BLAZEPOSE["left_shoulder"], BLAZEPOSE["right_shoulder"]]]
    rows = [
        np.r_[neck[:, :2].mean(0), neck[:, 2].min()] if name == "neck" else points[BLAZEPOSE[name]]
        for name in _SKELETON
    ]
    scaled = np.array(rows) / [width, height, 1.0]
    outside = ((scaled[:, :2] < 0) | (scaled[:, :2] > 1)).any(1)
    scaled[outside, 2] = 0.0
    clipped: Floats = np.clip(scaled, 0.0, 1.0)
    return clipped


class HriPublisher:
    """/humans/bodies/tracked, and for each body joint_states, urdf and, of an image, roi and skeleton2d."""

    def __init__(self, node: Node, prefix: str, notices: Notices, *, images: bool = True) -> None:
        """Publishes nothing where hri_msgs is missing, or where people's frames are not called body_ID.

        `images`: bodies are seen in one, in which they have a region and points.
        """
        self._node, self._prefix, self._notices, self._images = node, prefix, notices, images
        self._bodies: dict[str, dict[str, Any]] = {}
        self._tracked: Any = None
        if importlib.util.find_spec("hri_msgs") is None:
            return
        if not prefix.startswith(BODY) or not prefix.removeprefix(BODY)[:1].isalpha():
            rule = f"frames must be called {BODY}ID with an ID that begins with a letter"
            notices.once("hri", f"no ROS4HRI topics: {rule}; leave output.tf_prefix empty")
            return
        import hri_msgs.msg

        self._messages = hri_msgs.msg
        self._tracked = node.create_publisher(self._messages.IdsList, _TRACKED, _DEPTH)

    def __call__(self, frame: Frame | None, people: list[Human], image_header: Header) -> None:
        """Everybody in one image, or of several cameras."""
        if self._tracked is None:
            return
        if not self._images and self._node.count_publishers(_TRACKED) > 1:
            cure = "set output.ros4hri: false for the cameras' nodes"
            self._notices.once("hri_twice", f"others publish {_TRACKED} too, so that people are there twice: {cure}")
        ids = {person_id(f"{self._prefix}{h.track_id}"): h for h in people}
        for gone in self._bodies.keys() - ids.keys():
            self._leave(gone)
        for name, human in ids.items():
            self._publish(name, human, frame, image_header)
        self._tracked.publish(self._messages.IdsList(header=image_header, ids=list(ids)))

    def close(self) -> None:
        """Leave all topics."""
        for name in list(self._bodies):
            self._leave(name)
        if self._tracked is not None:
            self._node.destroy_publisher(self._tracked)

    def _publish(self, name: str, human: Human, frame: Frame | None, header: Header) -> None:
        topics = self._bodies.get(name) or self._join(name, human)
        if topics["joint_states"].get_subscription_count():
            angles = hri_angles(human)
            names = [f"{joint}_{name}" for joint in angles]
            topics["joint_states"].publish(JointState(header=header, name=names, position=list(angles.values())))
        if frame is None or not self._images or human.state == TrackingState.SEARCHING:
            return
        if topics["roi"].get_subscription_count():
            topics["roi"].publish(self._region(human, frame, header))
        if topics["skeleton2d"].get_subscription_count():
            topics["skeleton2d"].publish(self._skeleton(human, frame, header))

    def _region(self, human: Human, frame: Frame, header: Header) -> Any:
        height, width = frame.image.shape[:2]
        x0, y0, x1, y1 = np.clip(human.boxes_xyxy / [width, height, width, height], 0, 1).tolist()
        return self._messages.NormalizedRegionOfInterest2D(
            header=header, xmin=x0, ymin=y0, xmax=x1, ymax=y1, c=float(np.clip(human.score, 0, 1))
        )

    def _skeleton(self, human: Human, frame: Frame, header: Header) -> Any:
        height, width = frame.image.shape[:2]
        point = self._messages.NormalizedPointOfInterest2D
        skeleton = [point(x=x, y=y, c=c) for x, y, c in skeleton_2d(human, width, height).tolist()]
        return self._messages.Skeleton2D(header=header, skeleton=skeleton)

    def _join(self, name: str, human: Human) -> dict[str, Any]:
        base = f"/humans/bodies/{name}"
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        create, messages = self._node.create_publisher, self._messages
        self._bodies[name] = {
            "joint_states": create(JointState, f"{base}/joint_states", _DEPTH),
            "urdf": create(String, f"{base}/urdf", latched),
        }
        if self._images:
            self._bodies[name]["roi"] = create(messages.NormalizedRegionOfInterest2D, f"{base}/roi", _DEPTH)
            self._bodies[name]["skeleton2d"] = create(messages.Skeleton2D, f"{base}/skeleton2d", _DEPTH)
        self._bodies[name]["urdf"].publish(String(data=hri_urdf(human, name)))
        return self._bodies[name]

    def _leave(self, name: str) -> None:
        for publisher in self._bodies.pop(name).values():
            self._node.destroy_publisher(publisher)


class PeoplePublisher:
    """/people with position and velocity, which social navigation reads."""

    def __init__(self, node: Node, prefix: str) -> None:
        """Publishes nothing where people_msgs is missing."""
        self._node, self._prefix = node, prefix
        self._publisher: Any = None
        if importlib.util.find_spec("people_msgs") is None:
            return
        import people_msgs.msg

        self._messages = people_msgs.msg
        self._publisher = node.create_publisher(self._messages.People, "/people", _DEPTH)

    def __call__(self, people: list[Human], header: Header) -> None:
        """Everybody of one answer, in its frame."""
        if self._publisher is None:
            return
        rows = [self._person(h) for h in people if h.pelvis is not None]
        self._publisher.publish(self._messages.People(header=header, people=rows))

    def close(self) -> None:
        """Leave the topic."""
        if self._publisher is not None:
            self._node.destroy_publisher(self._publisher)

    def _person(self, human: Human) -> Any:
        person = self._messages.Person(name=person_id(f"{self._prefix}{human.track_id}"))
        state = human.pelvis
        assert state is not None
        person.position.x, person.position.y, person.position.z = state.position.tolist()
        person.velocity.x, person.velocity.y, person.velocity.z = state.velocity[:3].tolist()
        person.reliability = float(np.clip(human.score, 0, 1))
        return person
