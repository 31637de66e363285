"""glTF 2.0 (.glb), written by pygltflib: the person's skinned mesh and one animation; y up, metres."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from hmr_ros import __version__
from hmr_ros.body.joints import SMPL_JOINTS, SMPL_PARENTS
from hmr_ros.errors import InputError
from hmr_ros.exchange.files.extra import needed
from hmr_ros.exchange.files.tracks import Track
from hmr_ros.geometry.rotations import quaternion_from_matrix
from hmr_ros.io.results import Y_UP
from hmr_ros.types import Array, Floats, Ints

_INFLUENCES = 4  # joints a vertex, as JOINTS_0 holds
# glTF's own numbers
_UBYTE, _USHORT, _UINT, _FLOAT = 5121, 5123, 5125, 5126
_VERTICES, _INDICES = 34962, 34963
_KINDS = {1: "SCALAR", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
_CLOTH = [0.35, 0.52, 0.75, 1.0]  # linear RGBA


def write_glb(track: Track, path: Path) -> None:
    """Mesh of the track's mean shape in T-pose, skin with four joints a vertex, keys at the frames of the track.

    glTF has no pose correctives: those of an SMPL file are left out (the open body has none).
    """
    gltf = needed("pygltflib", "glTF")
    data = _Buffer(gltf)
    times = data.add((track.times - track.times[0]).astype(np.float32), bounds=True)
    root, turns = (track.root @ Y_UP.T).astype(np.float32), _quaternions(track)
    keys = [data.add(turns[:, joint]) for joint in range(len(SMPL_JOINTS))]
    samplers = [gltf.AnimationSampler(input=times, output=key, interpolation="LINEAR") for key in keys]
    samplers.append(gltf.AnimationSampler(input=times, output=data.add(root), interpolation="LINEAR"))
    targets = [(joint, "rotation") for joint in range(len(SMPL_JOINTS))] + [(0, "translation")]
    channels = [
        gltf.AnimationChannel(sampler=i, target=gltf.AnimationChannelTarget(node=node, path=what))
        for i, (node, what) in enumerate(targets)
    ]
    name = f"person_{track.track_id}"
    nodes = _bones(gltf, track, root[0], turns[0])
    nodes.append(gltf.Node(name=name, mesh=0, skin=0))
    mesh = gltf.Mesh(name=name, primitives=[_primitive(gltf, data, track)])
    inverse = data.add(_inverse_bind(track.rest))
    document = gltf.GLTF2(
        asset=gltf.Asset(version="2.0", generator=f"hmr_ros {__version__}"),
        scene=0, scenes=[gltf.Scene(nodes=[len(nodes) - 1, 0])], nodes=nodes, meshes=[mesh],
        materials=[
            gltf.Material(
                name="body",
                pbrMetallicRoughness=gltf.PbrMetallicRoughness(
                    baseColorFactor=_CLOTH, metallicFactor=0.0, roughnessFactor=0.8
                ),
            )
        ],
        skins=[gltf.Skin(name=name, joints=list(range(len(SMPL_JOINTS))), skeleton=0, inverseBindMatrices=inverse)],
        animations=[gltf.Animation(name=name, samplers=samplers, channels=channels)],
        accessors=data.accessors, bufferViews=data.views, buffers=[gltf.Buffer(byteLength=len(data.content))],
    )  # fmt: skip
    document.set_binary_blob(bytes(data.content))
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_bytes(b"".join(document.save_to_bytes()))
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"cannot write {path}: {error.strerror}; check folder and disk space") from error


def skin_weights(track: Track) -> tuple[Ints, Floats]:
    """The four strongest joints [V,4] of every vertex and their weights [V,4], which sum to 1; unused: joint 0."""
    order = np.argsort(-track.body.weights, axis=1, kind="stable")[:, :_INFLUENCES]
    weights = np.maximum(np.take_along_axis(track.body.weights, order, 1), 0)
    weights = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return np.where(weights > 0, order, 0), weights


class _Buffer:
    """The binary part, with an accessor and a view for each array; all begin at multiples of four bytes."""

    def __init__(self, gltf: Any) -> None:
        self._gltf = gltf
        self.content, self.views, self.accessors = bytearray(), [], []  # type: bytearray, list[Any], list[Any]

    def add(self, array: Array, target: int | None = None, *, bounds: bool = False) -> int:
        """Append [N] or [N,C]; the accessor's number."""
        kind = {np.uint8: _UBYTE, np.uint16: _USHORT, np.uint32: _UINT, np.float32: _FLOAT}[array.dtype.type]
        width = array.shape[1] if array.ndim == 2 else 1
        content = np.ascontiguousarray(array).tobytes()
        view = self._gltf.BufferView(
            buffer=0, byteOffset=len(self.content), byteLength=len(content), target=target
        )  # fmt: skip
        self.content += content + bytes(-len(content) % 4)
        self.views.append(view)
        rows = array.reshape(len(array), width)
        low_high = {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()} if bounds else {}
        self.accessors.append(
            self._gltf.Accessor(
                bufferView=len(self.views) - 1, componentType=kind, count=len(array), type=_KINDS[width], **low_high
            )
        )
        return len(self.accessors) - 1


def _primitive(gltf: Any, data: _Buffer, track: Track) -> Any:
    shaped = track.body.v_template + track.body.shapedirs @ track.betas
    joints, weights = skin_weights(track)
    small = len(shaped) < 65535
    return gltf.Primitive(
        attributes=gltf.Attributes(
            POSITION=data.add(shaped.astype(np.float32), _VERTICES, bounds=True),
            NORMAL=data.add(_normals(shaped, track.body.faces), _VERTICES),
            JOINTS_0=data.add(joints.astype(np.uint8), _VERTICES),
            WEIGHTS_0=data.add(weights, _VERTICES),
        ),
        indices=data.add(track.body.faces.reshape(-1).astype(np.uint16 if small else np.uint32), _INDICES),
        material=0,
    )


def _bones(gltf: Any, track: Track, root: Floats, turns: Floats) -> list[Any]:
    """The 24 joints as nodes in the pose of the first frame."""
    places = track.body.bones(track.betas)
    places[0] = root
    return [
        gltf.Node(
            name=name, translation=places[joint].tolist(), rotation=turns[joint].tolist(),
            children=np.flatnonzero(joint == SMPL_PARENTS).tolist(),
        )
        for joint, name in enumerate(SMPL_JOINTS)
    ]  # fmt: skip


def _quaternions(track: Track) -> Floats:
    """[F,24,4] x, y, z, w, without jumps to the other sign."""
    rotations = track.rotations.copy()
    rotations[:, 0] = Y_UP @ rotations[:, 0]
    quat = quaternion_from_matrix(rotations)[..., [1, 2, 3, 0]]
    turned = np.sign((quat[1:] * quat[:-1]).sum(-1))
    quat[1:] *= np.cumprod(np.where(turned == 0, 1.0, turned), axis=0)[..., None]
    return quat.astype(np.float32)


def _inverse_bind(rest: Floats) -> Floats:
    """[24,16] column by column: from the mesh's axes to those of each joint in the T-pose."""
    matrices = np.tile(np.eye(4, dtype=np.float32), (len(rest), 1, 1))
    matrices[:, 3, :3] = -rest  # transposed
    return matrices.reshape(len(rest), 16)


def _normals(vertices: Floats, faces: Ints) -> Floats:
    """Unit normals [V,3], by area."""
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normals = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normals, faces[:, k], np.cross(b - a, c - a))
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(length > 0, normals / np.where(length > 0, length, 1), [0.0, 1.0, 0.0]).astype(np.float32)
