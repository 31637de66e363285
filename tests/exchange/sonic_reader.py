"""A reader of SONIC's pose messages written from the description of the format; it shares no code with the package."""

import json
import struct

import numpy as np

KINDS = {"f32": "f", "f64": "d", "i32": "i", "i64": "q", "u8": "B", "bool": "?"}
REQUIRED = {
    "smpl_joints": (24, 3), "smpl_pose": (21, 3), "joint_pos": (29,), "joint_vel": (29,), "body_quat": (4,),
    "frame_index": (),
}  # fmt: skip


def read(message):
    """Fields of one message as arrays [N,...]; AssertionError where it is not what protocol v3 asks for."""
    assert message[:4] == b"pose"
    header, data = message[4 : 4 + 1280], message[4 + 1280 :]
    text, _, padding = header.partition(b"\0")
    assert not padding.strip(b"\0")
    described = json.loads(text)
    assert described["v"] == 3 and described["endian"] == "le"
    fields = {}
    for field in described["fields"]:
        size = int(np.prod(field["shape"]))
        kind = f"<{size}{KINDS[field['dtype']]}"
        numbers, data = struct.unpack(kind, data[: struct.calcsize(kind)]), data[struct.calcsize(kind) :]
        fields[field["name"]] = np.array(numbers).reshape(field["shape"])
    assert not data
    for name, shape in REQUIRED.items():
        assert fields[name].shape[1:] == shape, name
        assert len(fields[name]) == len(fields["frame_index"])
        assert np.isfinite(fields[name]).all()
    return fields


def joined(messages):
    """Fields of several messages, one after another."""
    several = [read(m) for m in messages]
    return {name: np.concatenate([f[name] for f in several]) for name in REQUIRED}


def product(a, b):
    """Hamilton product of quaternions wxyz."""
    (aw, ax, ay, az), (bw, bx, by, bz) = a, b
    return np.array(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ]
    )


def rotated(quaternion, points):
    """Points [J,3] turned by a quaternion wxyz."""
    conjugate = quaternion * [1, -1, -1, -1]
    return np.array([product(product(quaternion, [0, *p]), conjugate)[1:] for p in points])


def headings(quaternions):
    """Angles about z [N] rad, without jumps, of quaternions [N,4] wxyz that turn about z alone."""
    return np.unwrap(2 * np.arctan2(quaternions[:, 3], quaternions[:, 0]), period=2 * np.pi)
