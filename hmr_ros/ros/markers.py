"""What RViz draws: skeleton lines and joint spheres, and the mesh as pre-serialised bytes."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point
from rclpy.duration import Duration
from rclpy.serialization import serialize_message
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from hmr_ros.body.joints import SMPL_PARENTS
from hmr_ros.body.model import BodyModel
from hmr_ros.types import Floats, Human, TrackingState
from hmr_ros.view.skeleton import track_color

_BONES = [(int(p), j) for j, p in enumerate(SMPL_PARENTS) if p >= 0]
_BONE_WIDTH_M, _JOINT_SIZE_M = 0.02, 0.045
_MESH_ALPHA, _SEARCHING_ALPHA = 0.9, 0.35
_SENTINEL = -1.2345678901234567e-89


class SkeletonMarkers:
    """Two markers a person with stable ids; people who are gone are deleted once, those out of sight are pale."""

    def __init__(self) -> None:
        self._shown: set[int] = set()

    def __call__(self, humans: list[Human], header: Header, lifetime_s: float = 0.0) -> MarkerArray:
        """Markers of one frame; without further ones they vanish after `lifetime_s` (0: never)."""
        markers = []
        for human in humans:
            points = [Point(x=x, y=y, z=z) for x, y, z in human.joints.tolist()]
            lines = _marker(header, "skeleton", human, Marker.LINE_LIST, lifetime_s)
            lines.scale.x = _BONE_WIDTH_M
            lines.points = [points[j] for bone in _BONES for j in bone]
            spheres = _marker(header, "joints", human, Marker.SPHERE_LIST, lifetime_s)
            spheres.scale.x = spheres.scale.y = spheres.scale.z = _JOINT_SIZE_M
            spheres.points = points
            markers += [lines, spheres]
        present = {h.track_id for h in humans}
        markers += [
            d for gone in sorted(self._shown - present) for d in _deletions(header, gone, ("skeleton", "joints"))
        ]
        self._shown = present
        return MarkerArray(markers=markers)


class MeshMarkers:
    """One TRIANGLE_LIST a person, as bytes: building 41 328 Point objects would take longer than the rest together."""

    def __init__(self, body: BodyModel) -> None:
        self._body = body
        self._shown: set[int] = set()

    def __call__(self, humans: list[Human], header: Header, lifetime_s: float = 0.0) -> list[bytes]:
        """Serialised visualization_msgs/Marker messages of one frame; `lifetime_s` as for skeletons."""
        out = []
        for human in humans:
            vertices = self._body.vertices(human.global_orient, human.body_pose, human.betas, human.transl)
            marker = _marker(header, "mesh", human, Marker.TRIANGLE_LIST, lifetime_s, _MESH_ALPHA)
            marker.scale.x = marker.scale.y = marker.scale.z = 1.0
            out.append(serialize_with_points(marker, vertices[self._body.faces.reshape(-1)]))
        present = {h.track_id for h in humans}
        for gone in sorted(self._shown - present):
            out += [bytes(serialize_message(m)) for m in _deletions(header, gone, ("mesh",))]
        self._shown = present
        return out


def serialize_with_points(marker: Marker, points: Floats) -> bytes:
    """CDR bytes of `marker` (which has no points itself) holding `points` [N,3] m.

    A marker with one unmistakable point shows where points go: doubles are aligned to 8 bytes, the count before them to
    4, so the bytes between the two are what the point adds beyond its own 24. What follows keeps its alignment.
    """
    marker.points = []
    without = bytes(serialize_message(marker))
    if not len(points):
        return without
    marker.points = [Point(x=_SENTINEL, y=_SENTINEL, z=_SENTINEL)]
    with_one = bytes(serialize_message(marker))
    marker.points = []
    first_at = with_one.index(3 * np.float64(_SENTINEL).tobytes())
    padding = len(with_one) - len(without) - 24
    count_at = first_at - padding - 4
    data = np.ascontiguousarray(points, "<f8").tobytes()
    count = np.uint32(len(points)).tobytes()
    return with_one[:count_at] + count + bytes(padding) + data + with_one[first_at + 24 :]


def _marker(header: Header, namespace: str, human: Human, kind: int, lifetime_s: float, alpha: float = 1.0) -> Marker:
    """A marker of one person in their colour, with no shape yet; pale where the person is out of sight."""
    blue, green, red = (c / 255 for c in track_color(human.track_id))
    marker = Marker(header=header, ns=namespace, id=human.track_id, type=kind, action=Marker.ADD)
    alpha = _SEARCHING_ALPHA if human.state == TrackingState.SEARCHING else alpha
    marker.color = ColorRGBA(r=red, g=green, b=blue, a=alpha)
    marker.lifetime = Duration(nanoseconds=round(1e9 * lifetime_s)).to_msg()
    marker.pose.orientation.w = 1.0
    return marker


def _deletions(header: Header, track_id: int, namespaces: tuple[str, ...]) -> list[Marker]:
    return [Marker(header=header, ns=n, id=track_id, action=Marker.DELETE) for n in namespaces]
