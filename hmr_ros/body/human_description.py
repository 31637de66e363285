"""SMPL as the twenty joints of ROS4HRI's human description (REP-155): a coarser body, so angles are clamped.

Axes, names and limits are those of the published human_description; lengths are the person's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from hmr_ros.body.axes import between_hips, joint_rotations
from hmr_ros.body.joints import SMPL
from hmr_ros.body.urdf import joint
from hmr_ros.types import Floats, Human

_BENT = 0.15  # sine from which an elbow or a knee shows in which plane it bends


@dataclass(frozen=True)
class HriJoint:
    """One revolute joint; names without the person's id."""

    name: str
    parent: str  # links
    child: str
    axis: tuple[int, int, int]
    low: float  # rad
    high: float


def _arm(side: str, s: int) -> tuple[HriJoint, ...]:
    return (
        HriJoint(f"{side}_y_shoulder", "torso", f"{side}_y_shoulder", (0, 0, -s), -1.7, 1.1),
        HriJoint(f"{side}_p_shoulder", f"{side}_y_shoulder", f"{side}_p_shoulder", (s, 0, 0), -0.4, 3.3),
        HriJoint(f"{side}_r_shoulder", f"{side}_p_shoulder", f"{side}_shoulder", (0, 0, s), -1.7, 1.5),
        HriJoint(f"{side}_elbow", f"{side}_shoulder", f"{side}_elbow", (0, -1, 0), 0.0, 2.5),
    )


def _leg(side: str, s: int) -> tuple[HriJoint, ...]:
    return (
        HriJoint(f"{side}_y_hip", "body", f"{side}_y_hip", (0, 0, -1), -0.1, 0.6),
        HriJoint(f"{side}_p_hip", f"{side}_y_hip", f"{side}_p_hip", (s, 0, 0), -0.4, 3.3),
        HriJoint(f"{side}_r_hip", f"{side}_p_hip", f"{side}_hip", (0, -1, 0), -0.4, 0.7),
        HriJoint(f"{side}_knee", f"{side}_hip", f"{side}_knee", (0, -1, 0), -2.5, 0.0),
    )


JOINTS = (
    HriJoint("waist", "body", "waist", (0, 1, 0), -0.2, 1.0),
    HriJoint("r_head", "torso", "r_head", (1, 0, 0), -1.0, 1.0),
    HriJoint("y_head", "r_head", "y_head", (0, 0, 1), -1.4, 1.4),
    HriJoint("p_head", "y_head", "p_head", (0, -1, 0), -1.5, 1.5),
    *_arm("l", 1), *_arm("r", -1), *_leg("l", 1), *_leg("r", -1),
)  # fmt: skip
_SIDES = (("l", "left", 1), ("r", "right", -1))


def hri_angles(human: Human) -> dict[str, float]:
    """Angles rad of all JOINTS, within their limits."""
    world = joint_rotations(human)
    body = world[0]
    up = body.T @ world[SMPL["spine3"]][:, 2]
    found = {"waist": _clamped("waist", float(np.arctan2(up[0], up[2])))}
    torso = body @ Rotation.from_euler("Y", found["waist"]).as_matrix()
    head = Rotation.from_matrix(torso.T @ world[SMPL["head"]]).as_euler("XZY")
    found |= _nearest([("r_head", "y_head", "p_head")], [head * [1, 1, -1]])
    for side, name, s in _SIDES:
        upper, bend = _segment(human, world, name, ("shoulder", "elbow", "wrist"), s)
        a, b, c = _euler("ZXZ", torso.T @ upper)
        twice = np.array([[a, b, c], [a + np.pi, -b, c + np.pi]]) * [-s, s, s]
        names = (f"{side}_y_shoulder", f"{side}_p_shoulder", f"{side}_r_shoulder")
        found |= _nearest([names, names], list(twice))
        found[f"{side}_elbow"] = _clamped(f"{side}_elbow", bend)
        upper, bend = _segment(human, world, name, ("hip", "knee", "ankle"), s)
        a, b, c = _euler("ZXY", body.T @ upper)
        twice = np.array([[a, b, c], [a + np.pi, np.pi - b, c + np.pi]]) * [-1, s, -1]
        names = (f"{side}_y_hip", f"{side}_p_hip", f"{side}_r_hip")
        found |= _nearest([names, names], list(twice))
        found[f"{side}_knee"] = _clamped(f"{side}_knee", -bend)
    return {j.name: found[j.name] for j in JOINTS}


def hri_urdf(human: Human, person_id: str) -> str:
    """URDF of the human description with this person's lengths; all names end in the id."""
    origins = _origins(human)
    links = ["body", *dict.fromkeys(j.child for j in JOINTS), "torso"]
    lines = ['<?xml version="1.0"?>', f'<robot name="human_{person_id}">']
    lines += [f'  <link name="{link}_{person_id}"/>' for link in links]
    for j in JOINTS:
        name, parent, child = (f"{n}_{person_id}" for n in (j.name, j.parent, j.child))
        axis, offset = " ".join(map(str, j.axis)), origins.get(j.name, np.zeros(3))
        lines += joint(name, "revolute", parent, child, offset, axis, (j.low, j.high))
    lines += joint(f"torso_{person_id}", "fixed", f"waist_{person_id}", f"torso_{person_id}", origins["torso"])
    return "\n".join([*lines, "</robot>", ""])


def _origins(human: Human) -> dict[str, Floats]:
    """Places [3] m of joints in their parent link, from this person's lengths."""

    def length(a: str, b: str) -> float:
        return float(np.linalg.norm(human.joints[SMPL[a]] - human.joints[SMPL[b]]))

    shoulders = human.joints[[SMPL["left_shoulder"], SMPL["right_shoulder"]]].mean(0)
    trunk = float(np.linalg.norm(shoulders - between_hips(human)))
    out = {"torso": np.array([0, 0, trunk]), "r_head": np.array([0, 0, length("neck", "head")])}
    for side, name, s in _SIDES:
        out[f"{side}_y_shoulder"] = np.array([0, s * length("left_shoulder", "right_shoulder") / 2, 0])
        out[f"{side}_elbow"] = np.array([0, 0, -length(f"{name}_shoulder", f"{name}_elbow")])
        out[f"{side}_y_hip"] = np.array([0, s * length("left_hip", "right_hip") / 2, 0])
        out[f"{side}_knee"] = np.array([0, 0, -length(f"{name}_hip", f"{name}_knee")])
    return out


def _segment(human: Human, world: Floats, name: str, joints: tuple[str, str, str], s: int) -> tuple[Floats, float]:
    """Axes [3,3] of a limb's upper segment (it points to -z, an elbow bends to +x, a knee to -x), and the bend rad."""
    start, middle, end = (human.joints[SMPL[f"{name}_{j}"]] for j in joints)
    upper, lower = _unit(middle - start), _unit(end - middle)
    is_arm = joints[0] == "shoulder"
    bend = float(np.arccos(np.clip(upper @ lower, -1, 1)))
    plane = lower - (lower @ upper) * upper
    if np.linalg.norm(plane) > _BENT:
        x = _unit(plane) if is_arm else -_unit(plane)
    else:  # straight: SMPL's twist says where it would bend
        x = world[SMPL[f"{name}_{joints[0]}"]][:, 0]
        x = _unit(x - (x @ upper) * upper)
    return np.stack([x, np.cross(-upper, x), -upper], axis=1), bend


def _euler(order: str, R: Floats) -> Floats:
    """Intrinsic angles [3] rad; where two axes coincide, the first turn is zero."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of gimbal lock
        return np.asarray(Rotation.from_matrix(R).as_euler(order))


def _nearest(names: list[tuple[str, str, str]], candidates: list[Floats]) -> dict[str, float]:
    """Of angles that mean the same, those that the limits change least; clamped."""
    best: dict[str, float] = {}
    least = np.inf
    for row, angles in zip(names, candidates, strict=True):
        wrapped = (np.asarray(angles) + np.pi) % (2 * np.pi) - np.pi
        clamped = {n: _clamped(n, float(a)) for n, a in zip(row, wrapped, strict=True)}
        changed = float(np.abs(wrapped - list(clamped.values())).sum())
        if changed < least:
            least, best = changed, clamped
    return best


def _clamped(name: str, angle: float) -> float:
    low, high = _LIMITS[name]
    return float(np.clip(angle, low, high))


_LIMITS = {j.name: (j.low, j.high) for j in JOINTS}


def _unit(v: Floats) -> Floats:
    unit: Floats = v / max(float(np.linalg.norm(v)), 1e-9)
    return unit
