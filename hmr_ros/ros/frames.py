"""Frames on /tf: one a person, in the axes of REP-103, its joints on request; and the frame that an image is in."""

from __future__ import annotations

import importlib.util
from typing import Any

from geometry_msgs.msg import Pose, Transform, TransformStamped
from rclpy.node import Node
from std_msgs.msg import Header

from hmr_ros.body.axes import between_hips, joint_rotations, pelvis_pose
from hmr_ros.body.joints import SMPL_JOINTS
from hmr_ros.geometry.rotations import quaternion_of
from hmr_ros.io.encodings import stamp_ns
from hmr_ros.ros.notices import Notices
from hmr_ros.types import Floats, Human

BODY = "body_"  # REP-155: the frame of body ID is body_ID
_PLAIN_NODE = "/hmr"
PLAIN = BODY + "p"  # ids are parts of topic names, which begin with a letter


def person_prefix(fully_qualified_name: str, tf_prefix: str) -> str:
    """What stands before the track id in a person's frame. Where none is given, the names of nodes keep two cameras
    apart: /left/hmr has body_left_0, /hmr body_p0."""
    if tf_prefix:
        return tf_prefix
    if fully_qualified_name == _PLAIN_NODE:
        return PLAIN
    names = fully_qualified_name.strip("/").split("/")
    return BODY + "".join(f"{n}_" for n in (names[:-1] if names[-1] == _PLAIN_NODE[1:] else names))


def person_id(frame: str) -> str:
    """Id of the person with this frame."""
    return frame.removeprefix(BODY)


def image_header(header: Header, optical_frame: str, notices: Notices) -> Header:
    """Header of an answer in the optical frame of its image; what is odd about the frame is said once."""
    if optical_frame:
        return Header(stamp=header.stamp, frame_id=optical_frame)
    if not header.frame_id:
        notices.once("frame", "images have an empty frame_id: no frames on /tf; set input.optical_frame")
    elif "optical" not in header.frame_id:
        notices.once(
            "frame",
            f"images are in frame '{header.frame_id}', which is none of the usual names of an optical frame (x right, y"
            " down, z forward), in which answers are: if it is a body frame, set input.optical_frame",
        )
    return header


class FrameBroadcaster:
    """Transforms of people on /tf; each stamp once, none without a parent."""

    def __init__(self, node: Node, prefix: str) -> None:
        self._node, self._prefix = node, prefix
        self._last_ns: int | None = None
        self._publisher: Any = None
        if importlib.util.find_spec("tf2_msgs") is None:
            node.get_logger().info("tf2_msgs is not installed: no /tf; `make setup` builds it")
            return
        from tf2_msgs.msg import TFMessage

        self._message = TFMessage
        self._publisher = node.create_publisher(TFMessage, "/tf", 100)  # the QoS of tf2's broadcasters

    def __call__(self, people: list[Human], header: Header, joints: bool) -> None:
        """Broadcast everybody, in `header`'s frame at its stamp; `joints`: and theirs."""
        stamp = stamp_ns(header.stamp)
        if self._publisher is None or not people or not header.frame_id or stamp == self._last_ns:
            return
        self._last_ns = stamp
        transforms = [person_transform(h, header, self._prefix) for h in people]
        if joints:
            transforms += [t for h in people for t in joint_transforms(h, header, self._prefix)]
        self._publisher.publish(self._message(transforms=transforms))

    def close(self) -> None:
        """Leave the topic."""
        if self._publisher is not None:
            self._node.destroy_publisher(self._publisher)


def person_transform(human: Human, header: Header, prefix: str) -> TransformStamped:
    """Frame of a person: origin between the hips, x forward, y left, z up."""
    frame = f"{prefix}{human.track_id}"
    transform = _transform(*pelvis_pose(human))
    return TransformStamped(header=header, child_frame_id=frame, transform=transform)


def joint_transforms(human: Human, header: Header, prefix: str) -> list[TransformStamped]:
    """Frames of the joints, each a child of the person's: body_p7_left_knee; axes as the person's in the T-pose."""
    frame = f"{prefix}{human.track_id}"
    world = joint_rotations(human)
    body = world[0]
    rotations = body.T @ world
    positions = (human.joints - between_hips(human)) @ body
    parent = Header(stamp=header.stamp, frame_id=frame)
    return [
        TransformStamped(header=parent, child_frame_id=f"{frame}_{name}", transform=_transform(R, p))
        for name, R, p in zip(SMPL_JOINTS, rotations, positions, strict=True)
    ]


def fill_pose(pose: Pose, rotation: Floats, position: Floats) -> None:
    """Rotation [3,3] and position [3] m into a geometry_msgs/Pose."""
    at, turned = pose.position, pose.orientation
    at.x, at.y, at.z = position.tolist()
    turned.w, turned.x, turned.y, turned.z = quaternion_of(rotation)


def _transform(rotation: Floats, position: Floats) -> Transform:
    transform = Transform()
    at, turned = transform.translation, transform.rotation
    at.x, at.y, at.z = position.tolist()
    turned.w, turned.x, turned.y, turned.z = quaternion_of(rotation)
    return transform
