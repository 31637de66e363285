"""Every export read back by somebody else's reader, to within 2 mm of the joints in the world."""

import csv
import json
import shutil
import subprocess

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from smplx.lbs import batch_rigid_transform

from hmr_ros.body.joints import SMPL, SMPL_JOINTS, SMPL_PARENTS
from hmr_ros.body.model import pose_matrices
from hmr_ros.cli import main
from hmr_ros.exchange.files.bvh import JOINTS, NAMES
from hmr_ros.exchange.files.smpl import SMPL_PELVIS, SMPLX_PELVIS
from hmr_ros.exchange.files.tracks import load_tracks
from hmr_ros.io.results import Y_UP, load_humans

TOLERANCE_M = 0.002


def converted(recording, out, kind, *options):
    assert main(["convert", str(recording.path), "--to", kind, "--out", str(out), *options]) == 0
    (path,) = out.iterdir()
    return path


def reposed(pose, root, rest):
    """Joints [F,24,3] m by smplx's kinematics for axis-angle [F,72] and the pelvis [F,3] m."""
    turns = torch.from_numpy(pose_matrices(pose[:, :3], pose[:, 3:]))
    joints = torch.from_numpy(np.tile(rest, (len(pose), 1, 1)))
    parents = torch.from_numpy(SMPL_PARENTS.copy())
    posed, _ = batch_rigid_transform(turns, joints, parents, dtype=torch.float64)
    return posed.numpy() - rest[0] + root[:, None]


def assert_same(joints, recording, which=slice(None)):
    assert np.abs(joints[:, which] - recording.joints[:, which]).max() < TOLERANCE_M


def test_amass(tmp_path, recording):
    clip = recording(fps=25.0)
    file = np.load(converted(clip, tmp_path / "o", "amass"))
    assert file["poses"].shape == (250, 156) and str(file["gender"]) == "neutral" and file["mocap_framerate"] == 25
    pose = np.concatenate([file["poses"][:, :66], np.zeros((250, 6))], 1)
    assert_same(reposed(pose, file["trans"] + SMPL_PELVIS, clip.body.rest_joints(file["betas"])), clip, slice(22))


def test_amass_comes_back_through_render(tmp_path, recording):
    clip = recording(np.arange(150, 250, 5), fps=25.0, stamps=np.arange(20) * 2e8)
    path = converted(clip, tmp_path / "o", "amass", "--max-gap", "0.3")
    options = ["--out", str(tmp_path / "c.mp4"), "--truth", str(tmp_path / "t.npz"), "--size", "64x48"]
    assert main(["render", str(path), *options]) == 0
    truth = load_humans(tmp_path / "t.npz")
    np.testing.assert_allclose(np.diff(truth.stamp_ns), 2e8 / 5, atol=2)
    found, wanted = truth.joints[::5], clip.joints
    assert len(found) == len(wanted)
    # the camera stands still: one rigid motion takes all frames of the world into it
    a, b = found.reshape(-1, 3), wanted.reshape(-1, 3)
    turn, _ = Rotation.align_vectors(a - a.mean(0), b - b.mean(0))
    assert np.abs(turn.apply(b - b.mean(0)) + a.mean(0) - a).max() < TOLERANCE_M


def test_smplx_as_gmr_takes_it(tmp_path, recording):
    clip = recording()
    file = np.load(converted(clip, tmp_path / "o", "smplx"))
    assert {k: file[k].shape for k in ("pose_body", "root_orient", "trans", "betas", "mocap_frame_rate")} == {
        "pose_body": (300, 63), "root_orient": (300, 3), "trans": (300, 3), "betas": (16,), "mocap_frame_rate": (),
    }  # fmt: skip
    rest = load_tracks(clip.path)[0][0].rest
    pose = np.concatenate([file["root_orient"], file["pose_body"], np.zeros((300, 6))], 1)
    assert_same(reposed(pose, file["trans"] + SMPLX_PELVIS, rest), clip, slice(22))
    tall = np.ptp((clip.body.v_template + clip.body.shapedirs @ load_tracks(clip.path)[0][0].betas)[:, 1])
    assert 1.66 + 0.1 * file["betas"][0] == pytest.approx(tall, abs=1e-6)  # as GMR guesses the height


def test_holosmpl_is_resampled_to_50_hz(tmp_path, recording):
    clip, fine = recording(fps=25.0), recording(fps=50.0, name="fine.npz")
    file = np.load(converted(clip, tmp_path / "o", "holosmpl"))
    poses, trans = (file[k].astype(float) for k in ("human_pose_aa", "human_root_trans"))
    joints = reposed(poses, trans + SMPL_PELVIS, clip.body.rest_joints(file["human_shape_beta"]))
    assert len(joints) == 499
    assert_same(joints[::2], clip)
    assert np.abs(joints - fine.joints[:499]).max() < 0.02  # between two frames, while arms and legs turn
    np.testing.assert_array_equal(file["human_root_height"], file["human_root_trans"][:, 2:])
    down = Rotation.from_rotvec(poses[:, :3]).inv().apply([0, 0, -1])
    np.testing.assert_allclose(file["human_gravity_projection"], down, atol=1e-5)
    metadata = json.loads(str(file["metadata"]))
    assert metadata["track_id"] == 7 and metadata["frame_count"] == 499 and metadata["target_fps"] == 50
    assert metadata["schema_version"] == "formal_human_npz_v1" and metadata["up_axis"] == "z"


def test_csv(tmp_path, recording):
    clip = recording(world=True)
    rows = list(csv.DictReader(converted(clip, tmp_path / "o", "csv").open()))
    joints = np.array([[[float(r[f"{j}_{a}"]) for a in "xyz"] for j in SMPL_JOINTS] for r in rows])
    assert_same(joints, clip)
    assert [float(r["time_s"]) for r in rows[:3]] == [0, 0.033333, 0.066667] and {r["measured"] for r in rows} == {"1"}


@pytest.mark.parametrize("kind", ["bvh", "bvh-lafan1"])
def test_bvh(tmp_path, recording, kind):
    pytest.importorskip("pybvh")
    bvhio = pytest.importorskip("bvhio")
    clip = recording(np.arange(180, 300))
    path = converted(clip, tmp_path / "o", kind)
    motion = bvhio.readAsBvh(str(path))
    assert motion.FrameCount == 120 and motion.FrameTime == pytest.approx(1 / 30)
    hierarchy = bvhio.convertBvhToHierarchy(motion.Root)
    bones = [hierarchy.filter(name, isEqual=True)[0] for name in NAMES.values()]
    for frame in range(0, 120, 7):
        hierarchy.loadPose(frame)
        joints = np.array([list(bone.PositionWorld) for bone in bones]) / 100 @ Y_UP
        assert np.abs(joints - clip.joints[frame, JOINTS]).max() < TOLERANCE_M


def test_bvh_stands_in_t_pose_at_rest(tmp_path, recording):
    pybvh = pytest.importorskip("pybvh")
    motion = pybvh.read_bvh_file(converted(recording(), tmp_path / "o", "bvh"))
    rest = dict(zip(motion.joint_names, motion.rest_pose_positions()[motion._non_end_site_indices()], strict=True))
    assert rest["LeftHand"][0] > 60 and rest["RightHand"][0] < -60 and rest["Head"][1] > 45 > -70 > rest["LeftToe"][1]
    assert abs(rest["LeftHand"][1] - rest["LeftArm"][1]) < 10 and rest["LeftToe"][2] > rest["LeftFoot"][2] + 5


# quaternions w, x, y, z from a human bone to a link of the Unitree H1 at rest (GMR's table for LAFAN1); the link's axes
# there are forward, left, up
H1 = {
    "Hips": (0.5, 0.5, 0.5, 0.5), "Spine2": (0.5, 0.5, 0.5, 0.5), "LeftUpLeg": (-0.5, 0.5, 0.5, -0.5),
    "RightLeg": (-0.5, 0.5, 0.5, -0.5), "LeftToe": (-0.7071, 0.7071, 0, 0), "RightToe": (-0.7071, 0.7071, 0, 0),
    "LeftArm": (0.5, 0.5, -0.5, -0.5), "RightArm": (0.5, 0.5, -0.5, -0.5), "LeftForeArm": (0.7071, 0.7071, 0, 0),
    "RightForeArm": (0.7071, 0.7071, 0, 0),
}  # fmt: skip


def test_lafan1s_axes_are_those_of_retargeting_tables(tmp_path, recording):
    """Somebody who stands like the robot at rest: arms hang, forearms point forward."""
    pybvh = pytest.importorskip("pybvh")
    pose = np.zeros((1, 24, 3))
    for side, sign in (("left", 1), ("right", -1)):
        pose[0, SMPL[f"{side}_shoulder"]] = [0, 0, -sign * np.pi / 2]
        pose[0, SMPL[f"{side}_elbow"]] = [0, -sign * np.pi / 2, 0]
    clip = recording([0])
    arrays = dict(np.load(clip.path))
    facing = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])  # world x
    orient = Rotation.from_matrix(arrays["R_world_camera"][0].T @ facing).as_rotvec()[None]
    np.savez(clip.path, **arrays | {"global_orient": orient, "body_pose": pose[:, 1:].reshape(1, 69)})
    motion = pybvh.read_bvh_file(converted(clip, tmp_path / "o", "bvh-lafan1"))
    world, names = {}, motion.joint_names
    for joint, angles in zip([n for n in motion.nodes if not n.is_end_site()], motion.joint_angles[0], strict=True):
        above = world[joint.parent.name] if joint.parent else Rotation.from_matrix(Y_UP.T)
        world[joint.name] = above * Rotation.from_euler("ZYX", angles)
    assert set(H1) <= set(names)
    for name, (w, x, y, z) in H1.items():
        link = world[name] * Rotation.from_quat([x, y, z, w])
        assert np.degrees(link.magnitude()) < 1, name


def test_glb(tmp_path, recording, read_glb):
    clip = recording(np.arange(170, 290))
    glb = read_glb(converted(clip, tmp_path / "o", "glb"))
    np.testing.assert_allclose(glb.times, np.arange(120) / 30, atol=1e-6)
    table = load_tracks(clip.path)[0][0]
    for frame in range(0, 120, 9):
        assert np.abs(glb.joints(frame) @ Y_UP - clip.joints[frame]).max() < TOLERANCE_M
        pose = Rotation.from_matrix(table.rotations[frame]).as_rotvec().reshape(-1)
        surface = clip.body.vertices(pose[:3], pose[3:], table.betas, table.root[frame] - table.rest[0])
        off = np.linalg.norm(glb.vertices(frame) @ Y_UP - surface, axis=1)
        assert off.mean() < 0.0005 and off.max() < 0.02  # four joints a vertex where the body has up to seven


def test_glb_is_well_formed(tmp_path, recording, read_glb):
    glb = read_glb(converted(recording(np.arange(40)), tmp_path / "o", "glb"))
    faces = glb.faces
    shape = glb.data("POSITION")
    volume = np.einsum("ij,ij->i", shape[faces[:, 0]], np.cross(shape[faces[:, 1]], shape[faces[:, 2]])).sum() / 6
    assert 0.03 < volume < 0.15  # outside is outside
    np.testing.assert_allclose(np.linalg.norm(glb.data("NORMAL"), axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(glb.data("WEIGHTS_0").sum(1), 1, atol=1e-6)
    assert glb.data("JOINTS_0").max() < 24 and glb.turns.shape == (40, 24, 4)
    np.testing.assert_allclose(np.linalg.norm(glb.turns, axis=-1), 1, atol=1e-5)
    assert (np.einsum("fjq,fjq->fj", glb.turns[1:], glb.turns[:-1]) > 0).all()  # no jump to the other sign


def test_glb_passes_khronos_validator(tmp_path, recording):
    """With `npm install gltf-validator` in the folder that GLTF_VALIDATOR names, or anywhere node finds it."""
    pytest.importorskip("pygltflib")
    node = shutil.which("node")
    script = (
        "const v = require('gltf-validator'), fs = require('fs');"
        "v.validateBytes(new Uint8Array(fs.readFileSync(process.argv[1])))"
        ".then(r => console.log(JSON.stringify(r.issues)))"
    )
    if (
        node is None
        or subprocess.run([node, "-e", "require('gltf-validator')"], capture_output=True, check=False).returncode
    ):
        pytest.skip("node with gltf-validator is not there")
    for rows in (np.arange(30), [5]):
        path = converted(recording(rows), tmp_path / f"o{len(rows)}", "glb")
        done = subprocess.run([node, "-e", script, str(path)], capture_output=True, text=True, check=True)
        issues = json.loads(done.stdout)
        assert issues["numErrors"] == issues["numWarnings"] == issues["numInfos"] == issues["numHints"] == 0, issues


def test_glb_opens_in_trimesh(tmp_path, recording):
    trimesh = pytest.importorskip("trimesh")
    pytest.importorskip("pygltflib")
    scene = trimesh.load(converted(recording(np.arange(3)), tmp_path / "o", "glb"))
    (mesh,) = scene.geometry.values()
    assert len(mesh.vertices) == 6890 and mesh.is_watertight


def test_a_squat_and_raised_arms_come_out_right(tmp_path, recording):
    """In the world, by the motion that was played: the pelvis sinks, then both hands rise above the head."""
    clip = recording()
    joints = load_tracks(clip.path)[0][0].joints
    stand, squat, raised = joints[180], joints[210], joints[270]
    assert stand[0, 2] - squat[0, 2] > 0.3 and abs(squat[SMPL["left_foot"], 2] - stand[SMPL["left_foot"], 2]) < 0.15
    hands, head = [SMPL["left_wrist"], SMPL["right_wrist"]], SMPL["head"]
    assert (raised[hands, 2] > raised[head, 2]).all() and (stand[hands, 2] < stand[head, 2] - 0.5).all()
