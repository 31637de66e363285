"""The library's front door: what `hmr run` answers, in three lines of Python and without ROS."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from hmr_ros import HumanMeshRecovery
from hmr_ros.cli import main
from hmr_ros.config import HmrConfig
from hmr_ros.errors import ConfigError, InputError
from hmr_ros.geometry.turn import Turn
from hmr_ros.io.results import load_humans
from hmr_ros.io.video import VideoWriter
from hmr_ros.types import Frame


@pytest.fixture(scope="module")
def hmr():
    return HumanMeshRecovery(threads=1)


def test_linear_algebra_is_held_to_one_thread_before_numpy_is_loaded():
    """Afterwards it would be too late: its threads would take turns with the networks'."""
    code = "import sys, os, hmr_ros; print('numpy' in sys.modules, os.environ['OPENBLAS_NUM_THREADS'])"
    free = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    for given, kept in (({}, "1"), ({"OPENBLAS_NUM_THREADS": "3"}, "3")):
        done = subprocess.run(
            [sys.executable, "-c", code], check=False, env=free | given, capture_output=True, text=True
        )
        assert done.stdout.split() == ["False", kept], done.stderr


def text(K):
    return f"{K[0, 0]},{K[1, 1]},{K[0, 2]},{K[1, 2]}"


def test_an_image_gives_what_the_command_gives(hmr, rendered, tmp_path):
    images, truths, camera = rendered
    people = hmr(images[3], K=camera.K)
    cv2.imwrite(str(tmp_path / "p.png"), images[3])
    assert main(["run", str(tmp_path / "p.png"), "--out", str(tmp_path / "o"), "--camera", text(camera.K)]) == 0
    table = load_humans(tmp_path / "o/humans.npz")
    assert len(people) == len(table.frame) == 1
    np.testing.assert_allclose(people[0].joints, table.joints[0], atol=1e-4)
    np.testing.assert_allclose(people[0].global_orient, table.global_orient[0], atol=1e-4)
    assert np.linalg.norm(people[0].joints_2d - truths[3].joints_2d, axis=-1).mean() < 15


def test_an_image_remembers_nobody(hmr, rendered):
    images, _, camera = rendered
    first = hmr(images[0], K=camera.K)
    hmr(images[20], K=camera.K)
    again = hmr(images[0], K=camera.K)
    np.testing.assert_array_equal(first[0].joints, again[0].joints)
    assert hmr(np.full((120, 160, 3), 127, np.uint8)) == []


def test_vertices_are_the_posed_surface(hmr, rendered):
    images, _, camera = rendered
    person = hmr(images[0], K=camera.K)[0]
    vertices = person.vertices()
    assert vertices.shape == person.body.v_template.shape
    joints = person.body.J_regressor @ vertices
    assert np.linalg.norm(joints - person.joints, axis=-1).mean() < 0.02


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_camera_mounted_sideways_sees_the_same_people(hmr, rendered, degrees):
    """The image as such a camera takes it; answers are in its own frame and pixels, depth turns along."""
    images, _, camera = rendered
    turn = Turn(degrees)
    upright = Frame(0, 0, images[3], camera, depth=np.full(images[3].shape[:2], 3.0, np.float32))
    taken = turn.back.frame(upright)
    sideways = HumanMeshRecovery(threads=1, input={"rotate": degrees})
    expected = hmr(upright.image, K=camera.K, depth=upright.depth)[0]
    person = sideways(taken.image, K=taken.camera.K, depth=taken.depth)[0]
    back = turn.human(person, taken.camera)
    for name in ("joints", "transl", "joints_2d", "keypoints_2d", "body_pose", "global_orient"):
        np.testing.assert_allclose(getattr(back, name), getattr(expected, name), atol=1e-3)
    x0, y0, x1, y1 = person.boxes_xyxy
    inside = (person.keypoints_2d[:, 0] >= x0) & (person.keypoints_2d[:, 0] <= x1) & (person.keypoints_2d[:, 1] >= y0)
    assert inside.mean() > 0.5 and y1 <= taken.image.shape[0] and x1 <= taken.image.shape[1]
    np.testing.assert_allclose(person.K, taken.camera.K)


def test_without_K_the_focal_length_is_guessed(hmr, rendered):
    images, _, camera = rendered
    person = hmr(images[0])[0]
    np.testing.assert_allclose(person.K, camera.K)  # the clip was rendered with that very guess
    K = camera.K.copy()
    K[[0, 1], [0, 1]] *= 2
    assert hmr(images[0], K=K)[0].transl[2] > 1.5 * person.transl[2]


def test_a_video_an_array_and_a_folder_are_the_same_people(rendered, tmp_path):
    """Every frame once, in order, with identities; a lossless folder gives what the arrays give."""
    images, _, camera = rendered
    hmr = HumanMeshRecovery(threads=1)
    for i, image in enumerate(images[:8]):
        cv2.imwrite(str(tmp_path / f"{i}.png"), image)
    arrays = list(hmr.track(iter(images[:8]), K=camera.K, fps=30.0))
    folder = list(hmr.track(tmp_path, K=camera.K))
    assert [f.index for f, _ in arrays] == [f.index for f, _ in folder] == list(range(8))
    for (frame, a), (_, b) in zip(arrays, folder, strict=True):
        assert {p.frame for p in a} == {frame.index} and [p.track_id for p in a] == [0]
        np.testing.assert_allclose(a[0].joints, b[0].joints, atol=1e-9)
    with VideoWriter(tmp_path / "clip.mp4", 15.0) as video:
        for image in images[:8]:
            video.write(image)
    clip = list(hmr.track(str(tmp_path / "clip.mp4"), K=camera.K))
    assert len(clip) == 8 and all(len(people) == 1 for _, people in clip)


def test_refinement_over_time_is_in_track_and_can_be_switched_off(rendered):
    images, _, camera = rendered
    plain = HumanMeshRecovery(refine="none", threads=1, tracker={"max_people": 1})
    assert (plain.config.refine, plain.config.tracker.max_people) == ("none", 1)
    refined = HumanMeshRecovery(threads=1)
    a, b = (list(h.track(images[:8], K=camera.K)) for h in (plain, refined))
    assert np.abs(a[5][1][0].body_pose - b[5][1][0].body_pose).max() > 1e-3


def test_two_videos_at_once_do_not_mix(rendered):
    images, _, camera = rendered
    hmr = HumanMeshRecovery(refine="none", threads=1)
    alone = [people[0].joints for _, people in hmr.track(images[:4], K=camera.K)]
    other = hmr.track(images[10:14], K=camera.K)
    both = []
    for _, people in hmr.track(images[:4], K=camera.K):
        both.append(people[0].joints)
        next(other)
    np.testing.assert_array_equal(alone, both)


def test_settings_come_from_a_file_too(tmp_path):
    (tmp_path / "c.yaml").write_text("temporal: {lag: 2}\nrefine: keypoints")
    config = HumanMeshRecovery(tmp_path / "c.yaml", refine="temporal").config
    assert (config.temporal.lag, config.refine) == (2, "temporal")
    assert HumanMeshRecovery().config == HmrConfig()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"refine": "magic"}, "choose one of"),
        ({"trackr": {"max_people": 1}}, "did you mean 'tracker.max_people'"),
        ({"tracker": {"max_people": 0}}, "give 1 to 64"),
        ({"tracker": 3}, "'tracker' is a group"),
        ({"config": HmrConfig(threads=0)}, "give 1 to 256"),
    ],
)
def test_bad_settings_are_explained(settings, said):
    with pytest.raises(ConfigError, match=said):
        HumanMeshRecovery(**settings)


def test_bad_images_and_cameras_are_explained(hmr, rendered):
    image = rendered[0][0]
    for bad in (image[..., 0], image.astype(np.float32), "p.png"):
        with pytest.raises(InputError, match=r"uint8 array \[H,W,3\]"):
            hmr(bad)
    with pytest.raises(InputError, match="not a camera matrix"):
        hmr(image, K=np.zeros((3, 3)))
    for distortion, fisheye, said in (
        ([0.1] * 15, False, "has 15 coefficients"),
        (np.full(5, np.nan), False, "finite"),
        ([0.1] * 6, True, "has 6 coefficients, fisheye has at most 4"),
    ):
        with pytest.raises(InputError, match=said):
            hmr(image, K=rendered[2].K, distortion=distortion, fisheye=fisheye)
    with pytest.raises(InputError, match="give K too"):
        list(hmr.track([image], distortion=np.zeros(5)))
    with pytest.raises(InputError, match="does not exist"):
        list(hmr.track("nothing.mp4"))
    with pytest.raises(InputError, match="fps"):
        list(hmr.track([image], fps=0.0))


def test_depth_of_an_image_reaches_its_frame(hmr, rendered, monkeypatch):
    images, _, camera = rendered
    pipeline, seen = hmr._image_pipeline, []
    monkeypatch.setattr(
        pipeline, "results", lambda frames: (seen.extend(frames), type(pipeline).results(pipeline, seen))[1]
    )
    depth = np.full(images[0].shape[:2], 2500, np.uint16)
    assert len(hmr(images[0], K=camera.K, depth=depth)) == 1
    np.testing.assert_allclose(seen[0].depth, 2.5)
    for bad, said in ((depth[:-1], "register it to the colour image"), (depth.astype(np.uint8), "16 bit millimetres")):
        with pytest.raises(InputError, match=said):
            hmr(images[0], depth=bad)


def test_depth_of_a_video_reaches_its_frames(rendered, tmp_path):
    images, _, camera = rendered
    hmr = HumanMeshRecovery(threads=1, recover="kinematic", refine="none")
    (tmp_path / "d").mkdir()
    for i, image in enumerate(images[:3]):
        cv2.imwrite(str(tmp_path / f"{i}.png"), image)
        cv2.imwrite(str(tmp_path / f"d/{i}.png"), np.full(image.shape[:2], 2000 + i, np.uint16))
    depths = [np.full(images[0].shape[:2], 2 + 1e-3 * i, np.float32) for i in range(3)]
    for source in (lambda: tmp_path, lambda: images[:3], lambda: iter(images[:3])):
        for depth in (lambda: tmp_path / "d", lambda: depths, lambda: iter(depths)):
            frames = [frame for frame, _ in hmr.track(source(), K=camera.K, depth=depth())]
            assert [round(float(f.depth[7, 9]), 3) for f in frames] == [2.0, 2.001, 2.002]
    for source, depth in ((tmp_path, depths[:2]), (images[:2], depths), (images[:2], tmp_path / "d")):
        with pytest.raises(InputError, match="give one for each frame"):
            next(hmr.track(source, K=camera.K, depth=depth))


def test_the_import_needs_no_ros_torch_or_networks():
    code = "import sys; from hmr_ros import HumanMeshRecovery; HumanMeshRecovery(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"rclpy", "torch", "onnxruntime", "ai_edge_litert", "scipy", "jaxtyping"}
