"""How deep the limb joints lie inside the open body, seen from anywhere: the table of hmr_ros/methods/pchmr/targets.py.

`python benchmarks/depth_table.py TRAIN.npz [--people 600]`: recorded poses of random shapes before random cameras;
the surface around each joint's pixel (a landmark's error beside it) as evidence/depth.py reads it. Least squares over
the direction of view in the axes of the bone that ends at the joint; hidden joints are left out.
"""

import argparse
from pathlib import Path

import numpy as np

from hmr_ros.body.joints import LIMB_JOINTS, SMPL_LIMBS, SMPL_PARENTS
from hmr_ros.body.loading import load_body
from hmr_ros.body.model import forward_kinematics, pose_matrices
from hmr_ros.evidence.depth import PATCH_M, surface_depths
from hmr_ros.geometry.camera import guess_camera, project
from hmr_ros.geometry.rotations import axis_angle_from_matrix, matrix_from_axis_angle
from hmr_ros.io.results import load_arrays
from hmr_ros.methods.pchmr.targets import view_terms
from hmr_ros.synth.people import view_rotation
from hmr_ros.types import Floats
from hmr_ros.view.raster import mesh_depth

_LANDMARK_M = 0.012
_DEPTH_M = 2.5
_ROUNDS, _OUTLIER_M = 6, 0.05


def main() -> None:
    """Print one row a kind of joint."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("motion", type=Path)
    parser.add_argument("--people", type=int, default=600)
    args = parser.parse_args()
    terms, inside = samples(load_arrays(args.motion)["poses"], args.people)
    for left in range(0, len(LIMB_JOINTS), 2):
        A, b = np.concatenate(terms[left : left + 2]), np.concatenate(inside[left : left + 2])
        keep = (b > 0) & (b < 0.3)
        A, b = A[keep], b[keep]
        weight = np.ones(len(b))
        for _ in range(_ROUNDS):
            x = np.linalg.lstsq(A * weight[:, None], b * weight, rcond=None)[0]
            weight = 1 / np.hypot(1.0, (A @ x - b) / _OUTLIER_M) ** 2
        rest = (A @ x - b)[weight > 0.25]
        name = LIMB_JOINTS[left].removeprefix("left_")
        print(f'    "{name}": ({", ".join(f"{v:.3f}" for v in x)}),  # {rest.std():.3f}; {b.mean():.3f} {b.std():.3f}')


def samples(poses: Floats, count: int) -> tuple[list[Floats], list[Floats]]:
    """Terms [S,9] and depth inside [S] m of each limb joint; the right ones as if they were left."""
    body, camera, rng = load_body(None), guess_camera(640, 640), np.random.default_rng(0)
    terms: list[list[Floats]] = [[] for _ in SMPL_LIMBS]
    inside: list[list[float]] = [[] for _ in SMPL_LIMBS]
    for row in rng.integers(0, len(poses), count):
        pose, betas = poses[row].reshape(-1), rng.normal(0, 0.7, 10)
        root = axis_angle_from_matrix(view_rotation(rng, False) @ matrix_from_axis_angle(pose[:3]))
        transl = np.array([0.0, 0.0, _DEPTH_M])
        vertices = body.vertices(root, pose[3:], betas, transl)
        world, joints = forward_kinematics(pose_matrices(root, pose[3:]), body.rest_joints(betas))
        joints = joints + transl
        depth = mesh_depth(vertices, body.faces, camera.K, 640, 640)
        seen = joints[SMPL_LIMBS] + rng.normal(0, _LANDMARK_M, (12, 3))
        size = camera.K[0, 0] * PATCH_M / _DEPTH_M
        surface, _ = surface_depths(depth, project(seen, camera.K), size)
        rows = view_terms(joints[None, SMPL_LIMBS], world[None, SMPL_PARENTS[SMPL_LIMBS]])[0]
        for k in np.flatnonzero(np.isfinite(surface)):
            terms[k].append(rows[k])
            inside[k].append(float(joints[SMPL_LIMBS[k], 2] - surface[k]))
    return [np.array(t) for t in terms], [np.array(i) for i in inside]


if __name__ == "__main__":
    main()
