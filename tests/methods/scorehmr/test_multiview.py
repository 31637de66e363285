"""Two views of one rendered person: calibrated views agree in the world, uncalibrated ones in the pose."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import yaml

from hmr_ros.body.joints import SMPL_LIMBS
from hmr_ros.cli import main
from hmr_ros.evaluate.metrics import procrustes_errors
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.io.results import load_humans
from hmr_ros.io.video import open_source
from hmr_ros.synth.motion import demo_motion
from hmr_ros.synth.render import render_motion
from hmr_ros.synth.scene import look_at
from hmr_ros.types import GravitySource

FRAMES = 12


@pytest.fixture(scope="module")
def scene(tmp_path_factory, open_body):
    """Two videos, their views and the true joints in each camera."""
    root = tmp_path_factory.mktemp("views")
    motion = demo_motion(15.0)
    motion = replace(motion, poses=motion.poses[:FRAMES], trans=motion.trans[:FRAMES])
    views, truths = [], []
    for name, eye in (("front", [0.3, 1.1, 3.2]), ("side", [2.9, 1.2, 1.4])):
        view = look_at(guess_camera(480, 360), np.array(eye), np.array([0.1, 0.95, 0.0]))
        video = cv2.VideoWriter(str(root / f"{name}.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 15.0, (480, 360))
        joints = []
        for image, truth in render_motion(motion, open_body, view):
            video.write(image)
            joints.append(truth.joints)
        video.release()
        views.append(view)
        truths.append(np.array(joints))
    return root, views, truths


def calibration(root, views, known):
    entries = []
    for name, view in zip(("front", "side"), views, strict=True):
        K = view.camera.K
        entry = {"source": f"{name}.mp4", "camera": f"{K[0, 0]},{K[1, 1]},{K[0, 2]},{K[1, 2]}"}
        if known:
            entry |= {"R": view.R_camera_world.ravel().tolist(), "t": view.t_camera_world.tolist()}
        entries.append(entry)
    path = root / f"views_{known}.yaml"
    path.write_text(yaml.safe_dump({"views": entries} | ({"up": "y"} if known == "upright" else {})))
    return path


def error(table, truth):
    a, b = table.joints[:, SMPL_LIMBS], truth[table.frame][:, SMPL_LIMBS]
    return procrustes_errors(a, b).mean()


def test_calibrated_views_agree_in_the_world(scene, tmp_path):
    root, views, truths = scene
    assert main(["multiview", str(calibration(root, views, True)), "--out", str(tmp_path)]) == 0
    tables = [load_humans(tmp_path / name / "humans.npz") for name in ("front", "side")]
    world = [
        (t.joints - v.t_camera_world) @ v.R_camera_world for t, v in zip(tables, views, strict=True)
    ]  # rows: R^T (x - t)
    np.testing.assert_allclose(world[0], world[1], atol=2e-3)
    single = []
    for name, view, truth in zip(("front", "side"), views, truths, strict=True):
        K = view.camera.K
        camera = f"{K[0, 0]},{K[1, 1]},{K[0, 2]},{K[1, 2]}"
        out = tmp_path / f"{name}_alone"
        assert main(["run", str(root / f"{name}.mp4"), "--camera", camera, "--out", str(out), "--no-overlay"]) == 0
        single.append(error(load_humans(out / "humans.npz"), truth))
    assert error(tables[0], truths[0]) < min(single)


def worlds(tables):
    """Of each view, checked against its own rows: R_world_camera and t_world_camera."""
    for table in tables:
        pelvis = np.einsum("nab,nb->na", table.R_world_camera, table.joints[:, 0]) + table.t_world_camera
        np.testing.assert_allclose(pelvis, table.root_world, atol=1e-6)
    np.testing.assert_allclose(tables[0].root_world, tables[1].root_world, atol=2e-3)
    return [(t.R_world_camera[0], t.t_world_camera[0]) for t in tables]


@pytest.mark.parametrize("known", ["upright", True])
def test_the_world_of_calibrated_views(scene, tmp_path, known):
    """The calibration's own, turned, where it says which axis is up; else the first camera's, over the floor."""
    root, views, _ = scene
    assert main(["multiview", str(calibration(root, views, known)), "--out", str(tmp_path)]) == 0
    tables = [load_humans(tmp_path / name / "humans.npz") for name in ("front", "side")]
    found = worlds(tables)
    assert tables[0].contacts.max() > 0.5
    if known == "upright":
        assert set(tables[1].gravity_source) == {GravitySource.PARAMETER}
        turn = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])  # y up -> z up
        for (R, t), view in zip(found, views, strict=True):
            np.testing.assert_allclose(R, turn @ view.R_camera_world.T, atol=1e-9)
            np.testing.assert_allclose(t, -R @ view.t_camera_world, atol=1e-6)
    else:
        assert set(tables[1].gravity_source) <= {GravitySource.ESTIMATE, GravitySource.LEVEL}
        between = found[1][0].T @ found[0][0]
        np.testing.assert_allclose(between, views[1].R_camera_world @ views[0].R_camera_world.T, atol=1e-9)
        np.testing.assert_allclose(found[0][1][:2], 0, atol=1e-9)
        assert abs(found[0][1][2] - 1.1) < 0.15  # where the first camera was put


@pytest.mark.parametrize(
    ("known", "up", "said"),
    [(True, "w", "up is 'w'; give the axis"), (True, 3, "up is 3"), (False, "z", "no view has")],
)
def test_an_axis_that_cannot_be_up(scene, tmp_path, capsys, known, up, said):
    root, views, _ = scene
    tree = yaml.safe_load(calibration(root, views, known).read_text())
    path = root / "wrong.yaml"
    path.write_text(yaml.safe_dump(tree | {"up": up}))
    assert main(["multiview", str(path), "--out", str(tmp_path)]) == 1
    (line,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("hmr: ")]
    assert said in line


def test_uncalibrated_views_share_the_pose(scene, tmp_path):
    root, views, _ = scene
    assert main(["multiview", str(calibration(root, views, False)), "--out", str(tmp_path)]) == 0
    front, side = (load_humans(tmp_path / name / "humans.npz") for name in ("front", "side"))
    both = np.intersect1d(front.frame, side.frame)
    a, b = front.body_pose[np.isin(front.frame, both)], side.body_pose[np.isin(side.frame, both)]
    np.testing.assert_allclose(a, b, atol=1e-4)
    assert np.abs(front.global_orient[0] - side.global_orient[0]).max() > 0.2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("views: 3", "two or more"),
        ("views: [{source: a.mp4}, {camera: '1,1,0,0'}]", "names no source"),
        ("views: [{source: a.mp4, R: [1, 0]}, {source: b.mp4}]", "9 finite numbers"),
        ("views: [{source: a.mp4, R: [2,0,0,0,1,0,0,0,1], t: [0,0,0]}, {source: b.mp4}]", "not a rotation"),
        ("views: [{source: a.mp4}, {source: b.mp4}]", "a.mp4"),
        ("views: [", "not valid YAML"),
        ("views: [{source: a.mp4, R: [1,0,0,0,1,0,0,0,1]}, {source: b.mp4}]", "view a has R alone"),
        ("views: [{source: a.mp4, t: [0,0,0]}, {source: b.mp4}]", "view a has t alone"),
        (
            "views: [{source: a.mp4, R: [1,0,0,0,1,0,0,0,1], t: [0,0,0]}, {source: b.mp4}]",
            "view b has no R and t; give them for every view, or for none",
        ),
        ("views: [{source: a.mp4, camera: [1, 2]}, {source: b.mp4}]", "camera of view a is [1, 2]"),
        ("views: [{source: a.mp4, camera: {K: 1}}, {source: b.mp4}]", "give [fx, fy, cx, cy] or a camera_info file"),
        ("views: [{source: a.mp4, name: x}, {source: b.mp4, name: x}]", "several views have the name x"),
        ("views: [{source: a.mp4, name: ../../x}, {source: b.mp4}]", "cannot be the folder of view 0"),
    ],
)
def test_bad_calibrations_are_one_line(tmp_path, capsys, text, message):
    path = tmp_path / "views.yaml"
    path.write_text(text)
    assert main(["multiview", str(path), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def mistaken(entry, mistake):
    """A calibration as users write it by mistake, in a world with z up: R of level cameras in a y-up world is its own
    transpose nearly, and the mistake none."""
    R, t = np.array(entry["R"]).reshape(3, 3) @ np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]), np.array(entry["t"])
    R, t = {
        "none": (R, t), "t is in millimetres": (R, 1e3 * t), "R is transposed": (R.T, t),
        "camera's place": (R.T, -R.T @ t),
        "check R, t": (R, t + (entry["source"] == "side.mp4") * np.array([0, 0, 20])),  # one camera moved
    }[mistake]  # fmt: skip
    return {**entry, "R": R.ravel().tolist(), "t": t.tolist()}


@pytest.mark.parametrize("mistake", ["t is in millimetres", "R is transposed", "camera's place", "check R, t"])
def test_calibrations_that_contradict_the_views_name_the_mistake(scene, tmp_path, capsys, mistake):
    root, views, _ = scene
    entries = yaml.safe_load(calibration(root, views, True).read_text())["views"]
    right, entries = entries, [mistaken(entry, mistake) for entry in entries]
    path = root / "mistaken.yaml"
    path.write_text(yaml.safe_dump({"views": entries}))
    assert main(["multiview", str(path), "--out", str(tmp_path / "out")]) == 1
    (line,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("hmr: ")]
    assert "contradict what they see: front and side" in line and mistake in line
    path.write_text(yaml.safe_dump({"views": [mistaken(entry, "none") for entry in right]}))
    assert main(["multiview", str(path), "--out", str(tmp_path / "out"), "--max-frames", "4"]) == 0


def test_equal_file_names_and_lists_of_intrinsics(scene, tmp_path):
    root, views, _ = scene
    entries = yaml.safe_load(calibration(root, views, False).read_text())["views"]
    for entry, folder in zip(entries, ("a", "b"), strict=True):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "clip.mp4").write_bytes((root / entry["source"]).read_bytes())
        entry |= {"source": f"{folder}/clip.mp4", "camera": [float(v) for v in entry["camera"].split(",")]}
    path = tmp_path / "views.yaml"
    path.write_text(yaml.safe_dump({"views": entries}))
    assert main(["multiview", str(path), "--out", str(tmp_path / "out")]) == 0
    first, second = (load_humans(tmp_path / "out" / name / "humans.npz") for name in ("clip_0", "clip_1"))
    assert np.abs(first.global_orient[0] - second.global_orient[0]).max() > 0.2  # not one view twice
    np.testing.assert_allclose(first.K, views[0].camera.K, atol=1e-3)


def test_views_of_different_rates_are_paired_by_time(scene, tmp_path):
    """The side view at half the rate sees the same moments, and both give the pose that equal rates give."""
    root, views, _ = scene
    slow = cv2.VideoWriter(str(root / "slow.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 7.5, (480, 360))
    for frame in list(open_source(str(root / "side.mp4"), None))[::2]:
        slow.write(frame.image)
    slow.release()
    entries = yaml.safe_load(calibration(root, views, True).read_text())["views"]
    entries[1] |= {"source": "slow.mp4", "name": "side"}
    path = root / "rates.yaml"
    path.write_text(yaml.safe_dump({"views": entries}))
    assert main(["multiview", str(path), "--out", str(tmp_path)]) == 0
    tables = [load_humans(tmp_path / name / "humans.npz") for name in ("front", "side")]
    for table, truth in zip(tables, scene[2], strict=True):
        assert table.frame.tolist() == list(range(FRAMES // 2))
        np.testing.assert_allclose(table.stamp_ns, np.arange(FRAMES // 2) * 1e9 / 7.5, atol=2e6)
        at_time = replace_frames(table, 2 * table.frame)
        shifted = replace_frames(table, np.maximum(0, 2 * table.frame - 2))
        assert error(at_time, truth) < error(shifted, truth)


def replace_frames(table, frames):
    return replace(table, frame=frames)
