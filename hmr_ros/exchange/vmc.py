"""The VMC protocol (protocol.vmc.info): a person as the bones of an avatar, OSC over UDP.

Bones are Unity's HumanBodyBones in its axes: x right, y up, z forward, left-handed. The hips are in the axes of `root`,
whose z is the camera's way forward; `root` itself is turned by half a turn, so that somebody who faces the camera faces
+z, as avatars do. The origin is where the person was first seen. The floor's height is not known: the lower foot stands
on it.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from hmr_ros.body.joints import SMPL
from hmr_ros.body.model import BodyModel, forward_kinematics
from hmr_ros.errors import ConfigError
from hmr_ros.exchange.addresses import Address, address_of
from hmr_ros.exchange.motion import BodyPose
from hmr_ros.exchange.resample import Sample
from hmr_ros.geometry.rotations import matrix_from_quaternion, quaternion_from_matrix
from hmr_ros.types import Floats

EXAMPLE = "127.0.0.1:39539"
BONES = {
    "pelvis": "Hips", "spine1": "Spine", "spine2": "Chest", "spine3": "UpperChest", "neck": "Neck", "head": "Head",
    "left_hip": "LeftUpperLeg", "left_knee": "LeftLowerLeg", "left_ankle": "LeftFoot", "left_foot": "LeftToes",
    "right_hip": "RightUpperLeg", "right_knee": "RightLowerLeg", "right_ankle": "RightFoot", "right_foot": "RightToes",
    "left_collar": "LeftShoulder", "left_shoulder": "LeftUpperArm", "left_elbow": "LeftLowerArm",
    "left_wrist": "LeftHand", "right_collar": "RightShoulder", "right_shoulder": "RightUpperArm",
    "right_elbow": "RightLowerArm", "right_wrist": "RightHand",
}  # fmt: skip
UNITY_FROM_WORLD = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])  # from x forward, y left, z up
UNITY_FROM_SMPL = np.diag([-1.0, 1.0, 1.0])  # of bodies at rest: from x left, y up, z forward
_ROOT = [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]  # half a turn about y: towards the camera
_PLACE = "sfffffff"  # name, position xyz, quaternion xyzw
_LOADED, _CALIBRATED, _NORMAL_MODE = 1, 3, 0
_FEET = [SMPL[n] for n in ("left_ankle", "right_ankle", "left_foot", "right_foot")]
_BONES_A_PACKET = 14  # so that a packet fits into one of Ethernet


class VmcBones:
    """Samples -> OSC packets."""

    def __init__(self, body: BodyModel) -> None:
        self._body, self._osc = body, _python_osc()
        self._origin: Floats | None = None  # [2] m, of the avatar's floor in the world
        self._start_s = time.monotonic()
        self._soles = body.rest_joints(np.zeros(body.shapedirs.shape[-1]))[_FEET, 1] - body.v_template[:, 1].min()

    def __call__(self, sample: Sample) -> list[bytes]:
        """The packets of one moment; the last one ends it."""
        positions, rotations = self.bones(sample.pose)
        messages: list[tuple[str, str, list[Any]]] = [("/VMC/Ext/Root/Pos", _PLACE, ["root", *_ROOT])]
        for joint, bone in BONES.items():
            place = SMPL[joint]
            numbers = [*positions[place].tolist(), *np.roll(rotations[place], -1).tolist()]
            messages.append(("/VMC/Ext/Bone/Pos", _PLACE, [bone, *numbers]))
        tracked = int(sample.fresh)
        messages.append(("/VMC/Ext/OK", "iiii", [_LOADED, _CALIBRATED, _NORMAL_MODE, tracked]))
        messages.append(("/VMC/Ext/T", "f", [time.monotonic() - self._start_s]))
        return [self._bundle(messages[i : i + _BONES_A_PACKET]) for i in range(0, len(messages), _BONES_A_PACKET)]

    def bones(self, pose: BodyPose) -> tuple[Floats, Floats]:
        """Of SMPL's joints: places [24,3] m and rotations [24,4] wxyz in the axes of the parent bone, the pelvis' in
        those of the root.

        With U = UNITY_FROM_WORLD and S = UNITY_FROM_SMPL a local rotation is S R S, that of the hips U R S.
        """
        local = matrix_from_quaternion(pose.rotations)
        turned = UNITY_FROM_SMPL @ local @ UNITY_FROM_SMPL
        turned[0] = UNITY_FROM_WORLD @ local[0] @ UNITY_FROM_SMPL
        places = self._body.bones(pose.betas) @ UNITY_FROM_SMPL
        places[0] = UNITY_FROM_WORLD @ self._hips(pose, local)
        return places, quaternion_from_matrix(turned)

    def _hips(self, pose: BodyPose, local: Floats) -> Floats:
        """The pelvis [3] m over the avatar's floor, axes of the world."""
        if self._origin is None:
            self._origin = pose.pelvis[:2].copy()
        _, joints = forward_kinematics(local, self._body.rest_joints(pose.betas))
        lowest = float((joints[_FEET, 2] - self._soles).min())
        return np.array([*(pose.pelvis[:2] - self._origin), joints[0, 2] - lowest])

    def _bundle(self, messages: list[tuple[str, str, list[Any]]]) -> bytes:
        bundle = self._osc.osc_bundle_builder.OscBundleBuilder(self._osc.osc_bundle_builder.IMMEDIATELY)
        for address, kinds, values in messages:
            message = self._osc.osc_message_builder.OscMessageBuilder(address)
            for kind, value in zip(kinds, values, strict=True):
                message.add_arg(value, kind)
            bundle.add_content(message.build())
        packet: bytes = bundle.build().dgram
        return packet


class VmcSender:
    """Packets to one program; where none listens they are lost."""

    def __init__(self, text: str, body: BodyModel, warn: Callable[[str], object]) -> None:
        """`text` is its host:port; ConfigError where there is no such host. One warning where it is another machine."""
        address = check_vmc(text)
        self._bones = VmcBones(body)
        self._socket = _connected(address)
        if not address.is_loopback:
            warn(f"stream.vmc: where people are is sent to {address}, unencrypted; {EXAMPLE} is this machine")

    def prepare(self, sample: Sample | None) -> list[bytes]:
        """What is to be sent for the sample of this moment; None: nobody is there."""
        return [] if sample is None else self._bones(sample)

    def send(self, packet: bytes) -> None:
        """At once, or not at all."""
        try:
            self._socket.send(packet)
        except OSError:  # nobody listens, or the network is full or away: the next pose comes in 20 ms
            return

    def close(self) -> None:
        """Leave the network."""
        self._socket.close()


def check_vmc(text: str) -> Address:
    """The address; ConfigError where it makes no sense or python-osc is not there."""
    _python_osc()
    return address_of(text, "stream.vmc", EXAMPLE)


def _connected(address: Address) -> socket.socket:
    try:
        if address.host == "*":
            raise OSError
        family, kind, protocol, _, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)[0]
    except OSError as error:
        raise ConfigError(f"stream.vmc: there is no host '{address.host}'; give one such as {EXAMPLE}") from error
    made = socket.socket(family, kind, protocol)
    try:
        made.setblocking(False)
        made.connect(place)
    except OSError as error:
        made.close()
        raise ConfigError(f"stream.vmc: cannot send to {address}: {error.strerror}; is there a network?") from error
    return made


def _python_osc() -> ModuleType:
    try:
        import pythonosc.osc_bundle_builder
        import pythonosc.osc_message_builder
    except ImportError as error:
        raise ConfigError("stream.vmc needs python-osc: pip install python-osc, or leave it empty") from error
    assert pythonosc.osc_message_builder
    module: ModuleType = pythonosc
    return module
