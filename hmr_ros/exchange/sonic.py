"""SONIC's stream of human motion (NVlabs/GR00T-WholeBodyControl, protocol v3) over ZeroMQ.

A message is the topic, a header of 1280 bytes and the fields one after another, little-endian:
`pose{"v":3,"endian":"le","count":N,"fields":[...]}` and zeros, then N frames. World: x forward, y left, z up. A person
who stands and faces +x has the identity as `body_quat`; `smpl_joints` are in that body's axes, from the pelvis.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from hmr_ros.body.axes import SMPL_FROM_BODY
from hmr_ros.body.model import BodyModel, forward_kinematics
from hmr_ros.errors import ConfigError
from hmr_ros.exchange.addresses import Address, address_of
from hmr_ros.exchange.motion import BodyPose
from hmr_ros.exchange.resample import Sample
from hmr_ros.geometry.rotations import axis_angle_from_quaternion, matrix_from_quaternion, quaternion_from_matrix
from hmr_ros.types import Floats

TOPIC = b"pose"
EXAMPLE = "tcp://127.0.0.1:5556"
_VERSION = 3
_HEADER_BYTES = 1280
_ROBOT_JOINTS = 29  # of the G1; of its wrists nothing is known here, and the others are not read
_QUEUE = 50  # messages for a slow reader, the rest is dropped
_LINGER_MS = 200  # for what is on its way when the stream is closed
_DTYPES = {np.dtype("<f4"): "f32", np.dtype("<i8"): "i64"}


class SonicFrames:
    """Samples -> messages of `count` frames, numbered from 0."""

    def __init__(self, body: BodyModel, count: int = 1, skeleton: str = "own") -> None:
        """`skeleton`: bones of the person's `own` shape, or of the `mean` shape of `body`."""
        self._body, self._count, self._mean = body, count, skeleton == "mean"
        self._waiting: list[tuple[Floats, Floats, Floats]] = []
        self._index = 0
        self._last = np.array([1.0, 0.0, 0.0, 0.0])  # root

    def __call__(self, sample: Sample | None) -> bytes | None:
        """The next message where one is full; with None the frames that still wait, if there are any."""
        if sample is not None:
            self._waiting.append(self._frame(sample.pose))
        if not self._waiting or (sample is not None and len(self._waiting) < self._count):
            return None
        joints, pose, root = (np.stack(column).astype("<f4") for column in zip(*self._waiting, strict=True))
        self._waiting = []
        unknown = np.zeros((len(joints), _ROBOT_JOINTS), "<f4")
        index = np.arange(self._index, self._index + len(joints), dtype="<i8")
        self._index += len(joints)
        return packed(
            {"smpl_joints": joints, "smpl_pose": pose, "joint_pos": unknown, "joint_vel": unknown, "body_quat": root,
             "frame_index": index}
        )  # fmt: skip

    def _frame(self, pose: BodyPose) -> tuple[Floats, Floats, Floats]:
        """smpl_joints [24,3] m, smpl_pose [21,3] rad, body_quat [4] wxyz."""
        local = matrix_from_quaternion(pose.rotations)
        root = quaternion_from_matrix(local[0] @ SMPL_FROM_BODY)
        if root @ self._last < 0:
            root = -root  # the same rotation; readers interpolate the numbers
        self._last = root
        local[0] = np.eye(3)
        rest = self._body.rest_joints(np.zeros_like(pose.betas) if self._mean else pose.betas)
        _, joints = forward_kinematics(local, rest)
        return (joints - joints[0]) @ SMPL_FROM_BODY, axis_angle_from_quaternion(pose.rotations[1:22]), root


def packed(fields: dict[str, Any]) -> bytes:
    """Arrays [N,...] as one message."""
    described = [{"name": n, "dtype": _DTYPES[a.dtype], "shape": list(a.shape)} for n, a in fields.items()]
    header = {"v": _VERSION, "endian": "le", "count": len(fields["frame_index"]), "fields": described}
    text = json.dumps(header, separators=(",", ":")).encode()
    return TOPIC + text.ljust(_HEADER_BYTES, b"\0") + b"".join(a.tobytes() for a in fields.values())


class SonicSender:
    """A ZeroMQ publisher that never waits for a reader."""

    def __init__(self, text: str, frames: SonicFrames, warn: Callable[[str], object]) -> None:
        """Bind to the address `text`; ConfigError where that cannot be. One warning where others can read it."""
        address, zmq = check_sonic(text)
        self._frames, self._busy, self._dont_wait = frames, zmq.Again, zmq.DONTWAIT
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        try:
            self._bind(zmq, address)
        except BaseException:
            self.close()
            raise
        if not address.is_loopback:
            warn(f"stream.sonic: whoever reaches {address} reads where people are; {EXAMPLE} is for this machine alone")

    def prepare(self, sample: Sample | None) -> list[bytes]:
        """What is to be sent for the sample of this moment; None: nobody is there."""
        message = self._frames(sample)
        return [] if message is None else [message]

    def send(self, message: bytes) -> None:
        """At once, or not at all."""
        try:
            self._socket.send(message, self._dont_wait)
        except self._busy:  # more than the queue holds: readers see it in frame_index
            return

    def close(self) -> None:
        """Leave the address."""
        self._socket.close(linger=_LINGER_MS)
        self._context.term()

    def _bind(self, zmq: ModuleType, address: Address) -> None:
        self._socket.setsockopt(zmq.SNDHWM, _QUEUE)
        if ":" in address.host:
            self._socket.setsockopt(zmq.IPV6, 1)
        numeric = Address("127.0.0.1", address.port) if address.host == "localhost" else address  # ZeroMQ asks no DNS
        try:
            self._socket.bind(f"tcp://{numeric}")
        except zmq.ZMQError as error:
            if error.errno == errno.EADDRINUSE:
                raise ConfigError(
                    f"stream.sonic: port {address.port} of {address.host} is in use; end the other stream, or give"
                    " another port"
                ) from error
            raise ConfigError(
                f"stream.sonic: cannot bind to {address}: {error.strerror}; give an address of this machine, such as"
                f" {EXAMPLE}"
            ) from error


def check_sonic(text: str) -> tuple[Address, ModuleType]:
    """The address and ZeroMQ; ConfigError where the one makes no sense or the other is not there."""
    address = address_of(text, "stream.sonic", EXAMPLE, "tcp://")
    try:
        import zmq
    except ImportError as error:
        raise ConfigError("stream.sonic needs pyzmq: pip install pyzmq, or leave it empty") from error
    module: ModuleType = zmq
    return address, module
