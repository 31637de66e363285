"""Motion files of SMPL's family (.npz): AMASS, SMPL-X as GMR reads it, HoloSMPL.

They add a translation to a body whose pelvis does not lie at its origin: `trans` is the pelvis in the world less the
pelvis of their body's T-pose.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from hmr_ros import __version__
from hmr_ros.exchange.files.tracks import Track
from hmr_ros.geometry.rotations import axis_angle_from_matrix
from hmr_ros.io.results import save_arrays
from hmr_ros.types import Floats

SMPL_PELVIS = np.array([-0.002, -0.223, 0.028])  # m, T-pose of the mean SMPL body
SMPLX_PELVIS = np.array([0.00312, -0.35141, 0.01204])  # m, T-pose of the mean SMPL-X body
HOLOSMPL_FPS = 50.0
_AMASS_WIDTH = 156  # SMPL-H: 22 joints and the fingers
_GMR_HEIGHT_M, _GMR_PER_BETA_M = 1.66, 0.1  # GMR takes 1.66 + 0.1 betas[0] as the person's height


def write_amass(track: Track, path: Path) -> None:
    """AMASS: poses [F,156] (fingers zero), trans [F,3], betas [10], gender, mocap_framerate; z up."""
    poses = np.zeros((len(track.times), _AMASS_WIDTH))
    poses[:, :66] = _axis_angles(track)[:, :66]
    save_arrays(
        path, poses=poses, trans=track.root - SMPL_PELVIS, betas=track.betas, gender=np.array("neutral"),
        mocap_framerate=np.array(track.fps), mocap_frame_rate=np.array(track.fps), body_model=np.array(track.body.name),
    )  # fmt: skip


def write_smplx(track: Track, path: Path) -> None:
    """SMPL-X as GMR takes it: pose_body [F,63], root_orient [F,3], trans [F,3], betas [16], gender, mocap_frame_rate.

    The betas give the person's height alone: those of the open body mean nothing to SMPL-X.
    """
    pose, betas = _axis_angles(track), np.zeros(16)
    betas[0] = (height(track) - _GMR_HEIGHT_M) / _GMR_PER_BETA_M
    save_arrays(
        path, root_orient=pose[:, :3], pose_body=pose[:, 3:66], trans=track.root - SMPLX_PELVIS, betas=betas,
        gender=np.array("neutral"), mocap_frame_rate=np.array(track.fps), body_model=np.array(track.body.name),
    )  # fmt: skip


def write_holosmpl(track: Track, path: Path) -> None:
    """HoloSMPL: human_pose_aa [T,72], root translation and height, shape, gravity in the pelvis' axes; 50 Hz."""
    trans = track.root - SMPL_PELVIS
    metadata = {  # what HoloMotion's own check asks for, then what this is
        "schema_version": "formal_human_npz_v1", "canonical_coordinate_system": "canonical_z_up_xyz_m", "up_axis": "z",
        "unit": "meter", "slice_policy": "none", "frame_count": len(trans), "target_fps": track.fps,
        "canonical_pose_body_layout": "smpl_23_body", "formal_pose_72_policy": "concat_root_and_smpl_23_body",
        "dataset": "hmr_ros", "clip_id": path.stem, "hmr_ros_version": __version__, "track_id": track.track_id,
        "body_model": track.body.name,
    }  # fmt: skip
    save_arrays(
        path, human_pose_aa=_axis_angles(track).astype(np.float32), human_root_trans=trans.astype(np.float32),
        human_shape_beta=track.betas.astype(np.float32), human_root_height=trans[:, 2:].astype(np.float32),
        human_gravity_projection=(-track.rotations[:, 0, 2]).astype(np.float32),
        metadata=np.array(json.dumps(metadata)),
    )  # fmt: skip


def height(track: Track) -> float:
    """Standing height [m] of the person."""
    return float(np.ptp((track.body.v_template + track.body.shapedirs @ track.betas)[:, 1]))


def _axis_angles(track: Track) -> Floats:
    """[F,72] rad."""
    return axis_angle_from_matrix(track.rotations).reshape(len(track.times), 72)
