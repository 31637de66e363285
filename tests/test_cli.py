"""The command line end to end, without ROS: videos in, results out, bad input in one line."""

import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from hmr_ros.body.joints import SMPL_LIMBS, SMPL_PARENTS
from hmr_ros.cli import main
from hmr_ros.io.results import load_humans, load_hypotheses
from hmr_ros.io.video import open_source
from hmr_ros.pipeline import Pipeline
from hmr_ros.types import GravitySource
from hmr_ros.world.gravity import rotation_of_tilt


@pytest.fixture
def clip(walking_clip):
    """A rendered video with its truth and intrinsics."""
    return walking_clip


def test_run_then_evaluate(tmp_path, clip, capsys):
    folder, camera = clip
    assert main(["run", str(folder / "clip.mp4"), "--out", str(tmp_path), "--camera", camera]) == 0
    table = load_humans(tmp_path / "humans.npz")
    assert table.frame.tolist() == list(range(25)) and table.body_model == "open"
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["frames_with_people"] == 25 and not summary["camera"]["guessed"]
    drawn = list(open_source(str(tmp_path / "overlay.mp4"), None))
    assert len(drawn) == 25 and drawn[0].image.shape == (360, 480, 3)
    assert (
        main(["evaluate", str(tmp_path / "humans.npz"), str(folder / "truth.npz"), "--json", str(tmp_path / "e")]) == 0
    )
    result = json.loads((tmp_path / "e").read_text())
    assert result["recall"] == 1 and result["pa_mpjpe_limbs_mm"] < 90 and result["translation_mm"] < 500
    assert "pa_mpjpe_mm" in capsys.readouterr().out


def test_a_run_with_a_tilted_camera_over_a_floor(tmp_path, clip, capsys):
    folder, camera = clip
    options = [
        "--camera",
        camera,
        "--no-overlay",
        "--camera-pitch",
        "-10",
        "--camera-roll",
        "3",
        "--camera-height",
        "1.4",
    ]
    assert main(["run", str(folder / "clip.mp4"), "--out", str(tmp_path), *options]) == 0
    table = load_humans(tmp_path / "humans.npz")
    N = len(table.frame)
    np.testing.assert_allclose(table.R_world_camera, np.tile(rotation_of_tilt(-10, 3), (N, 1, 1)), atol=1e-9)
    np.testing.assert_allclose(table.t_world_camera, np.tile([0, 0, 1.4], (N, 1)), atol=1e-9)
    assert table.root_world.shape == (N, 3) and table.contacts.shape == (N, 4) and table.contacts.max() > 0.5
    assert set(table.gravity_source) == {GravitySource.PARAMETER}
    # without these options people say which way is up, and `hmr evaluate` has no world in this truth to compare
    assert main(["run", str(folder / "clip.mp4"), "--out", str(tmp_path), "--camera", camera, "--no-overlay"]) == 0
    assert set(load_humans(tmp_path / "humans.npz").gravity_source) == {GravitySource.ESTIMATE}
    assert main(["evaluate", str(tmp_path / "humans.npz"), str(folder / "truth.npz")]) == 0
    assert "root_tilt_deg" not in capsys.readouterr().out


def test_options_go_before_an_orientation_in_a_file(tmp_path, clip):
    folder, camera = clip
    (tmp_path / "c.yaml").write_text("camera: {orientation: [-0.5, 0.5, -0.5, 0.5]}")
    video = ["run", str(folder / "clip.mp4"), "--camera", camera, "--no-overlay", "--max-frames", "2"]
    for options, R in ((), rotation_of_tilt(0, 0)), (("--camera-pitch", "-10"), rotation_of_tilt(-10, 0)):
        assert main([*video, "--out", str(tmp_path), "--config", str(tmp_path / "c.yaml"), *options]) == 0
        table = load_humans(tmp_path / "humans.npz")
        np.testing.assert_allclose(table.R_world_camera[0], R, atol=1e-9)
        assert set(table.gravity_source) == {GravitySource.PARAMETER}


def test_a_tilt_that_no_camera_has(tmp_path, clip, capsys):
    options = ["--out", str(tmp_path), "--camera-pitch", "nan"]
    assert main(["run", str(clip[0] / "clip.mp4"), *options]) == 1
    assert "camera.pitch_deg" in capsys.readouterr().err


def test_hypotheses_and_uncertainty_of_a_run(tmp_path, clip):
    folder, camera = clip
    video, out = str(folder / "clip.mp4"), tmp_path / "o"
    options = ["--camera", camera, "--max-frames", "12", "--hypotheses", "10", "--uncertainty", "ellipses"]
    assert main(["run", video, "--out", str(out), *options]) == 0
    table = load_humans(out / "humans.npz")
    several = load_hypotheses(out / "hypotheses.npz", len(table.frame))
    assert several.joints.shape == (12, 10, 24, 3) and several.rotations.shape == (12, 10, 24, 3, 3)
    np.testing.assert_allclose(several.weights.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(several.joints[:, :, 0], np.repeat(table.joints[:, None, 0], 10, 1), atol=1e-5)
    # hypothesis k follows its person: from frame to frame it moves less than the hypotheses differ
    joints = several.joints - several.joints[:, :, :1]
    step = np.linalg.norm(np.diff(joints, axis=0), axis=-1).mean()
    assert step < 0.75 * np.linalg.norm(joints - joints.mean(1, keepdims=True), axis=-1).mean()
    assert main(["evaluate", str(out / "humans.npz"), str(folder / "truth.npz"), "--json", str(out / "e")]) == 0
    result = json.loads((out / "e").read_text())
    assert 0.8 < result["coverage_95"] <= 1 and result["sigma_error_spearman"] > 0.3
    best = [result[f"pa_mpjpe_limbs_best_of_{n}_mm"] for n in (1, 5, 10)]
    assert best[0] > best[1] >= best[2] and result["crps_mm"] > 0
    plain = tmp_path / "plain"
    assert main(["run", video, "--out", str(plain), "--camera", camera, "--max-frames", "12"]) == 0
    assert not (plain / "hypotheses.npz").exists()
    shown, bare = (next(iter(open_source(str(f / "overlay.mp4"), None))).image.astype(int) for f in (out, plain))
    assert np.abs(shown - bare).max() > 60


def test_picture_gives_a_picture_and_says_the_guess(tmp_path, rendered, capsys):
    cv2.imwrite(str(tmp_path / "p.png"), rendered[0][3])
    assert main(["run", str(tmp_path / "p.png"), "--out", str(tmp_path / "o")]) == 0
    assert (tmp_path / "o/overlay.png").exists() and len(load_humans(tmp_path / "o/humans.npz").frame) == 1
    assert "focal length guessed" in capsys.readouterr().out


def test_options_limit_the_work(tmp_path, clip):
    config = tmp_path / "c.yaml"
    config.write_text("tracker: {max_people: 1}")
    options = ["--max-frames", "4", "--no-overlay", "--config", str(config), "--steps", "1", "--recover", "kinematic"]
    assert main(["run", str(clip[0] / "clip.mp4"), "--out", str(tmp_path / "o"), *options]) == 0
    assert load_humans(tmp_path / "o/humans.npz").frame.max() == 3
    assert not (tmp_path / "o/overlay.mp4").exists()


def test_images_of_a_camera_on_its_side(tmp_path, rendered):
    """--rotate finds the person who lies in the images; answers are in their pixels."""
    folder = tmp_path / "images"
    folder.mkdir()
    for i, image in enumerate(rendered[0][:4]):
        cv2.imwrite(str(folder / f"{i}.png"), cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE))
    out = tmp_path / "o"
    assert main(["run", str(folder), "--out", str(out), "--rotate", "90", "--recover", "kinematic"]) == 0
    table = load_humans(out / "humans.npz")
    assert table.frame.tolist() == [0, 1, 2, 3]
    x, y = np.array([t.joints_2d for t in rendered[1][:4]]).transpose(2, 0, 1)
    turned = np.stack([y, rendered[2].width - 1 - x], -1)
    assert np.linalg.norm(table.joints_2d - turned, axis=-1).mean() < 15
    assert next(iter(open_source(str(out / "overlay.mp4"), None))).image.shape == (480, 360, 3)


def write_depth(folder, count, size=(480, 360)):
    folder.mkdir()
    for i in range(count):
        cv2.imwrite(str(folder / f"{i}.png"), np.full(size[::-1], 3000 + i, np.uint16))
    return folder


def test_depth_reaches_the_frames_of_a_run(tmp_path, clip, monkeypatch):
    seen, track = [], Pipeline.track
    monkeypatch.setattr(Pipeline, "track", lambda self, frame: seen.append(frame) or track(self, frame))
    options = ["--recover", "kinematic", "--max-frames", "3", "--no-overlay"]
    depth = str(write_depth(tmp_path / "d", 25))
    assert main(["run", str(clip[0] / "clip.mp4"), "--out", str(tmp_path / "o"), "--depth", depth, *options]) == 0
    assert [round(1e3 * float(f.depth[0, 0])) for f in seen] == [3000, 3001, 3002]


@pytest.mark.parametrize(
    ("count", "size", "said"),
    [
        (24, (480, 360), "has 24 depth images for 25 frames; give one for each frame"),
        (26, (480, 360), "has 26 depth images for 25 frames; give one for each frame"),
        (25, (424, 240), "is 424x240, the colour image is 480x360; register it to the colour image"),
    ],
)
def test_depth_that_does_not_fit_is_refused_at_the_start(tmp_path, clip, capsys, count, size, said):
    depth = write_depth(tmp_path / "d", count, size)
    assert main(["run", str(clip[0] / "clip.mp4"), "--out", str(tmp_path / "o"), "--depth", str(depth)]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("hmr: ") and said in line
    assert not (tmp_path / "o").exists()


def test_nobody_in_the_video_is_a_result_too(tmp_path):
    cv2.imwrite(str(tmp_path / "p.png"), np.full((120, 160, 3), 127, np.uint8))
    assert main(["run", str(tmp_path / "p.png"), "--out", str(tmp_path / "o")]) == 0
    assert len(load_humans(tmp_path / "o/humans.npz").frame) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nothing.mp4", "--out", "o"], "does not exist"),
        (["run", "CLIP", "--out", "o", "--engine", "tensorrt"], "use 'auto'"),
        (["run", "CLIP", "--out", "o", "--camera", "0,0,0,0"], "not a camera matrix"),
        (["run", "CLIP", "--out", "o", "--body", "no.npz"], "no.npz"),
        (["run", "CLIP", "--out", "o", "--config", "no.yaml"], "cannot read config"),
        (["run", "CLIP", "--out", "TRUTH"], "cannot write to"),
        (["evaluate", "no.npz", "TRUTH"], "cannot read no.npz"),
        (["render", "TRUTH", "--out", "o.mp4"], "has no poses and trans"),
        (["bag", "no", "out"], "does not exist"),
    ],
)
def test_errors_are_one_line(clip, capsys, monkeypatch, tmp_path, arguments, said):
    monkeypatch.chdir(tmp_path)
    names = {"CLIP": str(clip[0] / "clip.mp4"), "TRUTH": str(clip[0] / "truth.npz")}
    assert main([names.get(a, a) for a in arguments]) == 1
    error = capsys.readouterr().err.strip().splitlines()
    lines = [line for line in error if line.startswith("hmr: ")]
    assert len(lines) == 1 and said in lines[0]


# A shell's background jobs are started deaf to Ctrl-C, and the tests may be one.
LISTENING = """import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from hmr_ros.cli import main
sys.exit(main())"""


def test_interrupting_keeps_what_is_done(tmp_path, clip):
    images = tmp_path / "many"
    images.mkdir()
    frame = next(iter(open_source(str(clip[0] / "clip.mp4"), None))).image
    for i in range(400):
        cv2.imwrite(str(images / f"{i}.jpg"), frame)
    command = [sys.executable, "-c", LISTENING, "run", str(images), "--out", str(tmp_path / "o")]
    process = subprocess.Popen(command, env=dict(os.environ))
    deadline = time.monotonic() + 30
    while not (tmp_path / "o/overlay.mp4").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=20) == 130
    rows = len(load_humans(tmp_path / "o/humans.npz").frame)
    assert 0 < rows < 400
    # the image during which the signal came may be counted and not drawn
    assert rows - len(list(open_source(str(tmp_path / "o/overlay.mp4"), None))) in (0, 1)


@pytest.fixture(scope="module")
def many(tmp_path_factory, rendered):
    """A folder of eighty images."""
    folder = tmp_path_factory.mktemp("many")
    for i in range(80):
        cv2.imwrite(str(folder / f"{i}.jpg"), rendered[0][i % 25])
    return folder


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_people_are_kept_when_the_overlay_is_interrupted(tmp_path, many, number):
    command = [sys.executable, "-c", LISTENING, "run", str(many), "--out", str(tmp_path / "o"), "--quality"]
    process = subprocess.Popen([*command, "--recover", "kinematic"], env=dict(os.environ))
    deadline = time.monotonic() + 90
    while not (tmp_path / "o/overlay.mp4").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    assert process.wait(timeout=30) == 130
    assert len(load_humans(tmp_path / "o/humans.npz").frame) >= 79
    summary = json.loads((tmp_path / "o/summary.json").read_text())
    assert summary["interrupted"] and summary["frames"] == 80
    assert len(list(open_source(str(tmp_path / "o/overlay.mp4"), None))) < 80


def test_people_are_kept_when_their_refinement_is_interrupted(tmp_path, many, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("hmr_ros.methods.scorehmr.offline.refine_tracks", interrupted)
    argv = ["run", str(many), "--out", str(tmp_path / "o"), "--quality", "--max-frames", "6", "--no-overlay"]
    assert main(argv) == 130
    assert load_humans(tmp_path / "o/humans.npz").frame.tolist() == list(range(6))
    assert "kept as they were found, not refined" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_found_at_once(clip, many, tmp_path, capsys, monkeypatch):
    def no_pipeline(*_, **__):
        raise AssertionError("the run has started")

    for module in ("run", "bag", "multiview"):
        monkeypatch.setattr(f"hmr_ros.commands.{module}.offline", no_pipeline, raising=False)
    motion = tmp_path / "motion.npz"
    np.savez(motion, poses=np.zeros((2, 72)), trans=np.zeros((2, 3)))
    views = tmp_path / "views.yaml"
    views.write_text(f"views: [{{source: {clip[0]}/clip.mp4, name: a}}, {{source: {clip[0]}/clip.mp4, name: b}}]")
    for argv in (
        ["run", str(many), "--out", "/proc/none"],
        ["render", str(motion), "--out", "/proc/none/clip.mp4"],
        ["multiview", str(views), "--out", "/proc/none"],
    ):
        assert main(argv) == 1
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert line.startswith("hmr: cannot write to /proc/none")


def test_odd_names_are_results_too(tmp_path, rendered):
    folder = tmp_path / os.fsdecode(b"odd \xff")
    folder.mkdir()
    cv2.imwrite(str(tmp_path / "p.png"), rendered[0][3])
    (tmp_path / "p.png").rename(folder / "p.png")
    command = [sys.executable, "-m", "hmr_ros", "run", folder, "--out", folder / "out", "--recover", "kinematic"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {p.name for p in (folder / "out").iterdir()} == {"humans.npz", "overlay.mp4", "summary.json"}


@pytest.mark.parametrize("count", ["0", "-3", "many"])
def test_counts_are_counts(count, capsys):
    with pytest.raises(SystemExit):
        main(["run", "x.mp4", "--out", "o", "--max-frames", count])
    assert "--max-frames" in capsys.readouterr().err


def test_doctor_names_every_part(capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    names = {
        line[10:38].strip(): line[2:9].strip() for line in out.splitlines() if line[2:9].strip() in ("ok", "missing")
    }
    for name in (
        "pose_detection.tflite", "open body", "rclpy", "DDS profile for images", "tensorrt", "cuda-core", "pycuda",
        "CUDA device", "CUDA for engine: tensorrt", "engine: tensorrt", "onnxruntime", "pyzmq", "python-osc",
        "viser", "ray", "av",
    ):  # fmt: skip
        assert name in names
    assert names["onnxruntime"] == "ok" and "CPU (no CUDA" in out and "never by auto" in out


def test_bench_prints_every_stage_and_writes_json(tmp_path, capsys):
    argv = ["bench", "--people", "1", "2", "--repeats", "2", "--sizes", "640x480", "960x540"]
    assert main([*argv, "--json", str(tmp_path / "bench.json")]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("track", "evidence", "recover", "refine", "after tracking, all", "peak memory"))
    report = json.loads((tmp_path / "bench.json").read_text())
    assert {row["people"] for row in report["stages"]} == {1, 2}
    assert all(0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"] for row in report["stages"])
    whole = [row for row in report["stages"] if row["stage"] == "frame, search too"]
    assert [row["image"] for row in whole] == ["640x480", "960x540"]
    assert all(row["cores"] > 0 and row["frames_per_s"] > 0 for row in whole)


def test_bench_refuses_nobody(capsys):
    assert main(["bench", "--people", "0"]) == 1
    assert "1 or more" in capsys.readouterr().err
    assert main(["bench", "--sizes", "big"]) == 1
    assert "640x480" in capsys.readouterr().err


def test_another_smpl_file_gets_the_same_people(clip, tmp_path, open_body):
    """Parameters of the user's body, joints where they were."""
    parents = np.where(SMPL_PARENTS < 0, 2**32 - 1, SMPL_PARENTS).astype(np.uint32)
    v_template = open_body.v_template * [0.96, 1.08, 1.0]
    np.savez(
        tmp_path / "other.npz", v_template=v_template, shapedirs=open_body.shapedirs,
        posedirs=np.zeros((len(v_template), 3, 207)), J_regressor=open_body.J_regressor, weights=open_body.weights,
        f=open_body.faces.astype(np.uint32), kintree_table=np.stack([parents, np.arange(24, dtype=np.uint32)]),
    )  # fmt: skip
    found = []
    for extra in ([], ["--body", str(tmp_path / "other.npz")]):
        argv = [
            "run",
            str(clip[0] / "clip.mp4"),
            "--out",
            str(tmp_path / str(len(extra))),
            "--no-overlay",
            "--max-frames",
            "12",
            *extra,
        ]
        assert main(argv) == 0
        found.append(load_humans(tmp_path / str(len(extra)) / "humans.npz"))
    a, b = found
    assert a.body_model != b.body_model
    np.testing.assert_array_equal(a.frame, b.frame)
    error = np.linalg.norm(a.joints - b.joints, axis=-1)[:, SMPL_LIMBS]
    assert error[-1].mean() < 0.010
    assert np.abs(a.betas - b.betas).max() > 0.1


def test_engines_find_the_same_people(clip, tmp_path):
    folder, camera = clip
    found = []
    for engine in ("torch", "onnxruntime"):
        out = tmp_path / engine
        argv = ["run", str(folder / "clip.mp4"), "--camera", camera, "--engine", engine, "--no-overlay"]
        assert main([*argv, "--out", str(out)]) == 0
        found.append(load_humans(out / "humans.npz"))
    np.testing.assert_array_equal(found[0].frame, found[1].frame)
    assert np.linalg.norm(found[0].joints - found[1].joints, axis=-1).max() < 5e-4


def test_a_reader_who_has_seen_enough_is_no_error():
    command = f"{sys.executable} -m hmr_ros doctor | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 1
    assert "BrokenPipe" not in done.stderr
