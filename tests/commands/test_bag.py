"""`hmr bag`: every frame of one bag is answered in another."""

import itertools

import numpy as np
import pytest
from rosbags.rosbag2 import Writer
from rosbags.typesys import Stores, get_typestore

from hmr_ros.cli import main
from hmr_ros.commands.bag import Session
from hmr_ros.commands.tracks import TrackTable
from hmr_ros.config import HmrConfig, with_values
from hmr_ros.factory import build_pipeline, offline
from hmr_ros.io.bags import BagImages, HumanBagWriter
from hmr_ros.pipeline import Pipeline
from hmr_ros.world.recorded import RecordedGravity


@pytest.fixture
def bag(tmp_path, rendered, write_bag):
    """A bag of the walking person."""
    return write_bag(tmp_path / "in", rendered[0])


@pytest.mark.parametrize("extra", [[], ["--quality"]])
def test_every_frame_is_answered_with_its_stamp(bag, bag_stamps, tmp_path, capsys, caplog, read_humans, extra):
    assert main(["bag", str(bag), str(tmp_path / "out"), *extra]) == 0
    assert "8 frames, 8 people found ->" in capsys.readouterr().out
    found = read_humans(tmp_path / "out")
    assert [stamp for stamp, _ in found] == bag_stamps
    assert [m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for _, m in found] == bag_stamps
    assert {m.humans[0].track_id for _, m in found} == {0} and found[0][1].header.frame_id == "optical"
    assert "has no /cam/camera_info; the focal length is guessed; give --camera" in caplog.text


def test_a_given_camera_is_used(bag, tmp_path, rendered, caplog, read_humans):
    K = rendered[2].K.copy()
    K[:2] *= 1.25
    argv = ["bag", str(bag), str(tmp_path / "out"), "--max-frames", "2", "--recover", "kinematic"]
    assert main([*argv, "--camera", f"{K[0, 0]},{K[1, 1]},{K[0, 2]},{K[1, 2]}"]) == 0
    assert main([*argv[:2], str(tmp_path / "guess"), *argv[3:]]) == 0
    far, near = (read_humans(tmp_path / name)[0][1].humans[0].transl[2] for name in ("out", "guess"))
    assert far > 1.1 * near  # the same image through a longer lens


def test_depth_reaches_the_frames_beside_it(tmp_path, rendered, write_bag, monkeypatch, capsys):
    topic, seen, step = "/cam/depth/compressedDepth", [], Pipeline.step
    monkeypatch.setattr(Pipeline, "step", lambda self, frame: seen.append(frame.depth) or step(self, frame))
    path = write_bag(tmp_path / "in", rendered[0], topic)
    argv = ["bag", str(path), str(tmp_path / "out"), "--recover", "kinematic", "--depth-topic"]
    assert main([*argv, topic]) == 0
    assert "8 frames, 8 people found, 4 frames without depth ->" in capsys.readouterr().out
    assert [d is None for d in seen] == [False, True] * 4
    assert [round(1e3 * float(d[0, 0])) for d in seen[::2]] == [3000, 3002, 3004, 3006]
    assert main([*argv[:2], str(tmp_path / "other"), *argv[3:], "/cam/no_depth"]) == 1
    assert "has no depth topic /cam/no_depth; it has /cam/depth/compressedDepth, /cam/image" in capsys.readouterr().err


def test_an_interruption_keeps_what_is_done(bag, bag_stamps, tmp_path, read_humans):
    pipeline = build_pipeline(offline(with_values(HmrConfig(), {"temporal.lag": 3})))

    def interrupted(images):
        yield from itertools.islice(images, 5)
        raise KeyboardInterrupt

    with (
        BagImages(bag) as images,
        RecordedGravity(bag, HmrConfig()) as gravity,
        HumanBagWriter(tmp_path / "out") as writer,
    ):
        session = Session(images, writer, TrackTable(), pipeline, HmrConfig(), gravity)
        session.process(interrupted(images))
    assert session.interrupted and session.frames == 5
    assert [stamp for stamp, _ in read_humans(tmp_path / "out")] == bag_stamps[:5]  # those that waited for the lag, too


def write_encodings(path, encodings):
    types = get_typestore(Stores.ROS2_JAZZY)
    t = types.types
    with Writer(path, version=8) as writer:
        kind = "sensor_msgs/msg/Image"
        connection = writer.add_connection("/cam/image", kind, typestore=types)
        for i, encoding in enumerate(encodings, 1):
            header = t["std_msgs/msg/Header"](t["builtin_interfaces/msg/Time"](i, 0), "optical")
            message = t[kind](header, 48, 64, encoding, 0, 64, np.zeros(48 * 64, np.uint8))
            writer.write(connection, i * 10**9, types.serialize_cdr(message, kind))
    return path


def test_images_that_cannot_be_decoded_are_counted(tmp_path, capsys):
    path = write_encodings(tmp_path / "in", ["odd", "mono8", "odd", "rgb8"])
    assert main(["bag", str(path), str(tmp_path / "out"), "--recover", "kinematic"]) == 0
    out = capsys.readouterr().out
    assert "1 frames, 0 people found, 3 images left out" in out
    assert "2 images left out: image encoding 'odd' is unknown" in out
    assert "1 images left out: image of 64x48 rgb8 says 64 bytes a row (step), 192 are needed" in out


@pytest.mark.parametrize("encodings", [["odd"] * 3, []])
def test_a_bag_of_which_nothing_can_be_read_is_an_error(tmp_path, capsys, encodings):
    path = write_encodings(tmp_path / "in", encodings)
    assert main(["bag", str(path), str(tmp_path / "out"), "--recover", "kinematic"]) == 1
    (line,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("hmr: ")]
    assert "no image on /cam/image could be read" in line
    assert ("3 images left out: image encoding 'odd' is unknown" if encodings else "the topic is empty") in line
