"""Rendered images and their truth belong together."""

import numpy as np
import pytest

from hmr_ros.body.joints import SMPL
from hmr_ros.body.loading import load_body
from hmr_ros.errors import ConfigError, InputError
from hmr_ros.geometry.camera import guess_camera, project
from hmr_ros.io.results import load_humans, save_arrays
from hmr_ros.io.video import open_source
from hmr_ros.synth.motion import demo_motion
from hmr_ros.synth.render import placed_in, render_file
from hmr_ros.synth.scene import background, clothes, look_at, view_of_motion
from hmr_ros.world.gravity import rotation_of_tilt


def test_truth_is_the_body_of_its_parameters(rendered):
    _, truths, camera = rendered
    for t in truths[::6]:
        again = load_body().joints(t.global_orient, t.body_pose, t.betas, t.transl)
        np.testing.assert_allclose(again, t.joints, atol=1e-9)
        np.testing.assert_allclose(project(t.joints, camera.K), t.joints_2d)


def test_camera_frame_is_the_world_seen_from_the_view():
    body, rng = load_body(), np.random.default_rng(0)
    pose, trans, betas = rng.normal(0, 0.3, 72), np.array([0.3, 0.9, -0.2]), rng.normal(0, 1, 10)
    view = look_at(guess_camera(64, 48), np.array([1.0, 1.5, 3.0]), np.zeros(3))
    world = body.joints(pose[:3], pose[3:], betas, trans)
    seen = world @ view.R_camera_world.T + view.t_camera_world
    np.testing.assert_allclose(placed_in(view, body, pose, trans, betas).joints, seen, atol=1e-9)


def test_upright_and_facing_the_camera_is_half_a_turn_about_x():
    view = look_at(guess_camera(64, 48), np.array([0, 1.0, 3.0]), np.array([0, 1.0, 0]))
    t = placed_in(view, load_body(), np.zeros(72), np.zeros(3), np.zeros(10))
    np.testing.assert_allclose(np.abs(t.global_orient), [np.pi, 0, 0], atol=1e-6)
    assert t.joints_2d[SMPL["head"], 1] < t.joints_2d[SMPL["left_ankle"], 1]
    assert t.joints_2d[SMPL["left_hip"], 0] > t.joints_2d[SMPL["right_hip"], 0]


def test_the_person_is_where_the_truth_says(rendered):
    images, truths, camera = rendered
    room = background(camera.width, camera.height, 0)
    for image, truth in zip(images[::8], truths[::8], strict=True):
        changed = np.argwhere((image != room).any(-1))
        box = np.r_[changed.min(0), changed.max(0)]
        px = project(truth.vertices, camera.K)[:, ::-1]
        np.testing.assert_allclose(box, np.r_[px.min(0), px.max(0)], atol=4)


def test_demo_motion_loops_and_stays_on_the_ground():
    motion = demo_motion(30.0)
    assert len(motion.poses) == 300
    steps = np.abs(np.diff(np.concatenate([motion.poses[:, 3:], motion.poses[:1, 3:]]), axis=0))
    assert steps.max() < 0.35
    body = load_body()
    joints = body.joints(motion.poses[:, :3], motion.poses[:, 3:], np.zeros((300, 10)), motion.trans)
    lowest = joints[:, [SMPL["left_foot"], SMPL["right_foot"]], 1].min(1)
    assert np.ptp(lowest) < 0.2


@pytest.mark.parametrize("seed", range(4))
def test_random_cameras_see_the_whole_motion(seed):
    motion, camera = demo_motion(3.0), guess_camera(320, 240)
    view = view_of_motion(motion.trans, camera, seed)
    for pose, trans in zip(motion.poses, motion.trans, strict=True):
        px = placed_in(view, load_body(), pose, trans, np.zeros(10)).joints_2d
        assert (px > 0).all() and (px < [320, 240]).all()


def test_render_file_writes_clip_and_truth(tmp_path):
    motion = demo_motion(10.0)
    save_arrays(tmp_path / "m.npz", poses=motion.poses[:5], trans=motion.trans[:5])
    render_file(
        [tmp_path / "m.npz"], tmp_path / "c.mp4", tmp_path / "t.npz", camera="300,300,160,120", size="320x240",
        fps=10.0, seed=1, max_frames=3, vertices=True, body=None,
    )  # fmt: skip
    truth = load_humans(tmp_path / "t.npz")
    assert len(list(open_source(str(tmp_path / "c.mp4"), None))) == len(truth.frame) == 3
    assert truth.vertices.shape == (3, 6890, 3) and truth.K[0, 0] == 300


def test_a_lifelike_clip_has_the_truth_of_a_painted_one(tmp_path):
    motion = demo_motion(10.0)
    save_arrays(tmp_path / "m.npz", poses=motion.poses[:2], trans=motion.trans[:2])
    truths, images = [], []
    for look in ("painted", "lifelike", "lifelike"):
        render_file(
            [tmp_path / "m.npz"], tmp_path / "c.mp4", tmp_path / "t.npz", camera=None, size="160x120", fps=10.0,
            seed=1, max_frames=2, vertices=False, body=None, look=look,
        )  # fmt: skip
        truths.append(load_humans(tmp_path / "t.npz"))
        images.append([f.image for f in open_source(str(tmp_path / "c.mp4"), None)])
    np.testing.assert_array_equal(truths[0].joints, truths[1].joints)
    assert (images[0][0] != images[1][0]).mean() > 0.5
    np.testing.assert_array_equal(images[1], images[2])


GOOD = {"camera": None, "size": "64x48", "fps": 10.0, "seed": 0, "max_frames": 2, "vertices": False, "body": None}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_frames", 0), ("max_frames", -1), ("fps", 0.0), ("fps", -3.0), ("fps", float("nan")), ("seed", -1),
        ("size", "axb"), ("size", "64"), ("size", "0x48"), ("size", "64x99999"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_used_are_named(tmp_path, name, value):
    save_arrays(tmp_path / "m.npz", poses=np.zeros((3, 72)), trans=np.zeros((3, 3)))
    with pytest.raises(ConfigError, match=f"--{name.replace('_', '-')}") as caught:
        render_file([tmp_path / "m.npz"], tmp_path / "c.mp4", None, **{**GOOD, name: value})
    assert "\n" not in str(caught.value) and not (tmp_path / "c.mp4").exists()


def test_a_folder_that_cannot_be_made_is_explained(tmp_path):
    save_arrays(tmp_path / "m.npz", poses=np.zeros((3, 72)), trans=np.zeros((3, 3)))
    for out, truth in (("m.npz/c.mp4", "t.npz"), ("c.mp4", "m.npz/t.npz")):
        with pytest.raises(InputError, match="choose another folder"):
            render_file([tmp_path / "m.npz"], tmp_path / out, tmp_path / truth, **GOOD)


def test_one_seed_gives_one_scene():
    body = load_body()
    assert (background(64, 48, 3) == background(64, 48, 3)).all() and (
        background(64, 48, 3) != background(64, 48, 4)
    ).any()
    assert (clothes(body, 3) == clothes(body, 3)).all() and (clothes(body, 3) != clothes(body, 4)).any()


def test_demo_motion_is_the_same_at_every_rate():
    slow, fast = demo_motion(10.0), demo_motion(30.0)
    np.testing.assert_allclose(slow.poses, fast.poses[::3], atol=1e-9)
    np.testing.assert_allclose(slow.trans, fast.trans[::3], atol=1e-9)


def test_demo_motion_stays_within_the_joints_of_a_person():
    angles = np.linalg.norm(demo_motion(30.0).poses.reshape(-1, 24, 3), axis=-1).max(0)
    for joint, limit in (("knee", 2.4), ("elbow", 1.7), ("hip", 2.0), ("ankle", 1.0), ("shoulder", 1.9)):
        assert max(angles[SMPL[f"{side}_{joint}"]] for side in ("left", "right")) < limit, joint


def test_a_tilted_camera_and_the_truth_of_its_world(tmp_path, motion_file, open_body):
    render_file(
        [motion_file], tmp_path / "clip.mp4", tmp_path / "truth.npz", camera=None, size="96x72", fps=None, seed=0,
        max_frames=40, vertices=False, body=None, tilt=(-25.0, 5.0),
    )  # fmt: skip
    truth = load_humans(tmp_path / "truth.npz")
    R = truth.R_world_camera[0]
    np.testing.assert_allclose(R, rotation_of_tilt(-25.0, 5.0), atol=1e-9)
    np.testing.assert_allclose(truth.joints[:, 0] @ R.T + truth.t_world_camera, truth.root_world, atol=1e-9)
    assert truth.t_world_camera[0, 2] > 1.5  # it looks down on people
    assert 0.7 < truth.root_world[0, 2] < 1.1  # over the floor
    assert truth.contacts.shape == (40, 4)


@pytest.mark.parametrize("tilt", [(85.0, 0.0), (0.0, 400.0), (float("nan"), 0.0)])
def test_tilts_that_no_camera_has(tmp_path, motion_file, tilt):
    with pytest.raises(ConfigError, match="give a pitch of -80 to 80"):
        render_file(
            [motion_file], tmp_path / "clip.mp4", None, camera=None, size="96x72", fps=None, seed=0, max_frames=2,
            vertices=False, body=None, tilt=tilt,
        )  # fmt: skip
