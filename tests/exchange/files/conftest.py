"""A recording of one person by a tilted camera, with its truth in the world."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hmr_ros.body.model import BodyModel
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.io.results import save_arrays
from hmr_ros.synth.motion import demo_motion
from hmr_ros.types import Floats

BETAS = np.array([1.2, -0.5, 0.3, 0.2, 0, 0, 0, 0, 0, 0])
Z_UP = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])  # of the motion's axes (y up, facing z): facing x


@dataclass(frozen=True)
class Recording:
    path: Path
    joints: Floats  # [F,24,3] m, z-up world
    fps: float
    body: BodyModel


@pytest.fixture
def recording(tmp_path, open_body):
    """Makes humans.npz of the demo's motion (walk, wave, squat from 6 s, arms up from 8 s) or of some frames."""

    def make(rows=None, *, fps=30.0, world=True, stamps=None, name="humans.npz", betas=BETAS, track_ids=None, **more):
        motion = demo_motion(fps)
        rows = np.arange(len(motion.poses)) if rows is None else np.asarray(rows)
        rng = np.random.default_rng(0)
        shapes = betas + rng.normal(0, 0.02, (len(rows), 10))
        shapes -= shapes.mean(0) - betas  # the mean is exact
        R_world_camera = Z_UP @ matrix_from_axis_angle(np.array([0.3, 0.4, 2.9]))  # y-up world of the motion
        pose = motion.poses[rows]
        root = (open_body.rest_joints(betas)[0] + motion.trans[rows]) @ Z_UP.T
        R_body = Z_UP @ matrix_from_axis_angle(pose[:, :3])
        orient = axis_angle_from_matrix(R_world_camera.T @ R_body)
        pelvis = (root - [0.0, 0.0, 1.4]) @ R_world_camera + [0, 0, 4.0]
        transl = pelvis - open_body.rest_joints(shapes)[:, 0]
        joints = open_body.joints(orient, pose[:, 3:], shapes, transl)
        truth = open_body.joints(axis_angle_from_matrix(R_body), pose[:, 3:], np.tile(betas, (len(rows), 1)), 0 * root)
        given = {"R_world_camera": np.tile(R_world_camera, (len(rows), 1, 1)), "root_world": root} if world else {}
        path = tmp_path / name
        save_arrays(
            path, frame=rows, stamp_ns=np.round(rows / fps * 1e9 if stamps is None else stamps).astype(np.int64),
            track_id=np.zeros(len(rows), int) + 7 if track_ids is None else np.asarray(track_ids), global_orient=orient,
            body_pose=pose[:, 3:], betas=shapes, transl=transl, joints=joints, joints_2d=joints[..., :2],
            K=np.eye(3), body_model=np.array("open"), **(given | more),
        )  # fmt: skip
        return Recording(path, truth - truth[:, :1] + root[:, None], fps, open_body)

    return make


SIZES = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}
TYPES = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}


class Glb:
    """Reads a .glb with pygltflib and poses it as a viewer does."""

    def __init__(self, path):
        import pygltflib

        self.gltf = pygltflib.GLTF2().load(str(path))
        (animation,) = self.gltf.animations
        found = {(c.target.node, c.target.path): animation.samplers[c.sampler] for c in animation.channels}
        self._skin = self.gltf.skins[0]
        self.times = self._read(found[self._skin.joints[0], "rotation"].input)[:, 0]
        self.turns = np.stack([self._read(found[j, "rotation"].output) for j in self._skin.joints], 1)
        self._root = self._read(found[self._skin.joints[0], "translation"].output)
        self._primitive = self.gltf.meshes[0].primitives[0]
        self.faces = self._read(self._primitive.indices).reshape(-1, 3).astype(int)

    def data(self, name):
        return self._read(getattr(self._primitive.attributes, name))

    def joints(self, frame):
        return self._world(frame)[:, :3, 3]

    def vertices(self, frame):
        inverse = self._read(self._skin.inverseBindMatrices).reshape(-1, 4, 4).swapaxes(1, 2)
        matrices = self._world(frame) @ inverse
        points = np.c_[self.data("POSITION"), np.ones(len(self.data("POSITION")))]
        chosen = matrices[self.data("JOINTS_0").astype(int)]
        return np.einsum("vk,vkab,vb->va", self.data("WEIGHTS_0"), chosen, points)[:, :3]

    def _world(self, frame):
        world = {}
        order = [self._skin.joints[0]]
        above = {c: n for n, node in enumerate(self.gltf.nodes) for c in node.children or []}
        for node in order:
            order += self.gltf.nodes[node].children or []
            local = np.eye(4)
            local[:3, :3] = Rotation.from_quat(self.turns[frame, self._skin.joints.index(node)]).as_matrix()
            local[:3, 3] = self._root[frame] if node not in above else self.gltf.nodes[node].translation
            world[node] = world[above[node]] @ local if node in above else local
        return np.array([world[j] for j in self._skin.joints])

    def _read(self, number):
        accessor = self.gltf.accessors[number]
        view = self.gltf.bufferViews[accessor.bufferView]
        start = (view.byteOffset or 0) + (accessor.byteOffset or 0)
        kind, width = np.dtype(TYPES[accessor.componentType]), SIZES[accessor.type]
        assert start % kind.itemsize == 0
        blob = self.gltf.binary_blob()
        rows = np.frombuffer(blob, kind, accessor.count * width, start).reshape(accessor.count, width)
        if accessor.min:
            np.testing.assert_array_equal(rows.min(0), np.asarray(accessor.min, kind))
            np.testing.assert_array_equal(rows.max(0), np.asarray(accessor.max, kind))
        return rows.astype(float)


@pytest.fixture
def read_glb():
    """The reader of .glb; without pygltflib the test is skipped."""
    pytest.importorskip("pygltflib")
    return Glb
