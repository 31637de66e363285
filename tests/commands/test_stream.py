"""`hmr stream` from outside: a rendered clip goes in, a subscriber reads what comes out."""

import socket
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("zmq")
sys.path.insert(0, str(Path(__file__).parents[1] / "exchange"))
from sonic_reader import joined
from sonic_subscriber import Subscriber

from hmr_ros.cli import main
from hmr_ros.commands.stream import PacedFrames
from hmr_ros.io.video import open_source, save_image

QUICK = ("--recover", "kinematic", "--refine", "none")


@pytest.fixture(scope="module")
def clip(walking_clip):
    """The walking person at 15 Hz."""
    return walking_clip[0] / "clip.mp4"


@pytest.fixture
def address():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{found.getsockname()[1]}"


def test_a_clip_is_played_at_its_own_pace(clip, rendered, address, capsys):
    subscriber = Subscriber(address)
    try:
        assert main(["stream", str(clip), "--sonic", address, *QUICK]) == 0
        subscriber.wait(lambda: subscriber.messages)
    finally:
        subscriber.close()
    fields = joined(subscriber.messages)
    assert set(np.diff(fields["frame_index"])) == {1}
    said = capsys.readouterr().out
    assert "frames answered" in said and "poses sent" in said
    # each pose that was sent is like one of the clip, bar the height: whose, nobody knows from images
    truths = [t.joints - t.joints[0] for t in rendered[1]]
    axes = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # of a level camera
    spans = np.linalg.norm([t[15] - t[7] for t in truths], axis=1)
    for quaternion, joints in zip(fields["body_quat"][::10], fields["smpl_joints"][::10], strict=True):
        w, v = quaternion[0], quaternion[1:]
        placed = joints + 2 * np.cross(v, np.cross(v, joints) + w * joints)
        nearest = min(np.linalg.norm(placed - t @ axes.T, axis=1).mean() for t in truths)
        assert nearest < 0.12
        assert 0.85 < np.linalg.norm(joints[15] - joints[7]) / np.median(spans) < 1.15


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "hmr stream needs somebody to stream to: give --sonic"),
        (("--sonic", "5556"), "stream.sonic is '5556'; give an address such as tcp://127.0.0.1:5556"),
        (("--vmc", "nowhere"), "stream.vmc is 'nowhere'; give an address such as 127.0.0.1:39539"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(clip, capsys, arguments, said):
    assert main(["stream", str(clip), *arguments, *QUICK]) == 1
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("hmr: ")]
    assert said in line


def test_boxes_from_a_topic_are_the_nodes_alone(clip, tmp_path, capsys, address):
    config = tmp_path / "robot.yaml"
    config.write_text("detector: {kind: external}\n")
    assert main(["stream", str(clip), "--sonic", address, "--config", str(config), *QUICK]) == 1
    assert "boxes come from a topic, which only the node reads" in capsys.readouterr().err


def test_one_image_is_no_stream(tmp_path, capsys, address):
    save_image(tmp_path / "one.png", np.zeros((60, 80, 3), np.uint8))
    assert main(["stream", str(tmp_path / "one.png"), "--sonic", address]) == 1
    assert "is one image; hmr stream takes a video" in capsys.readouterr().err


def test_the_port_of_another_stream_is_refused(clip, address, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(address.rpartition(":")[2])))
        taken.listen()
        assert main(["stream", str(clip), "--sonic", address, *QUICK]) == 1
    assert "is in use; end the other stream, or give another port" in capsys.readouterr().err


def test_slow_readers_get_the_newest_frame(clip):
    """All frames are read, and those that nobody took in time are counted."""
    paced = PacedFrames(open_source(str(clip), None))
    taken = []
    for frame in paced:
        taken.append(frame)
        if len(taken) == 3:
            time.sleep(0.5)  # busy for seven frames
    paced.close()
    indices = [f.index for f in taken]
    assert indices == sorted(set(indices)) and indices[-1] == 24
    assert len(taken) + paced.dropped == 25 and paced.dropped >= 5
    stamps = np.diff([f.stamp_ns for f in taken]) / np.diff(indices)
    np.testing.assert_allclose(stamps, 1e9 / 15, atol=1e5)
