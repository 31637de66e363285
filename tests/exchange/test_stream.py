"""Streams on real sockets. What is counted are poses and their numbers, not time."""

import os
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from poses import posed, turned_left

pytest.importorskip("zmq")
import zmq
from sonic_reader import headings, joined, read
from sonic_subscriber import Subscriber

from hmr_ros.config_groups import StreamConfig
from hmr_ros.errors import ConfigError
from hmr_ros.exchange.resample import Sample
from hmr_ros.exchange.sonic import SonicFrames, SonicSender
from hmr_ros.exchange.stream import LiveStream
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.geometry.turn import Turn

SPEED = 1.0  # rad/s, of a person who turns


@pytest.fixture
def listening(port):
    subscriber = Subscriber(f"tcp://127.0.0.1:{port}")
    yield subscriber
    subscriber.close()


@pytest.fixture
def stream(open_body, port):
    """Starts a stream at `port`; the warnings are kept in `stream.warnings`."""
    made = []

    def start(*, rotate=0, **given):
        config = StreamConfig(**{"sonic": f"tcp://127.0.0.1:{port}", **given})
        made.append(LiveStream(config, open_body, start.warnings.append, rotate=rotate))
        return made[-1]

    start.warnings = []
    yield start
    for one in made:
        one.close()


@pytest.fixture
def turned(person):
    """Makes the person who turns as they are at a time in s."""

    def at(seconds):
        return person(turned_left(SPEED * seconds), stamp_ns=round(seconds * 1e9))

    return at


def play(live, turned, seconds, fps=30):
    """Answers as they come from a camera."""
    start = time.monotonic()
    while (now := time.monotonic() - start) < seconds:
        live.offer(round(now * 1e9), [turned(now)])
        time.sleep(1 / fps)


def test_what_comes_at_30_hz_leaves_at_50_and_is_held_and_ends(stream, listening, turned):
    live = stream(hold_s=0.4)
    play(live, turned, 2.0)
    live.close(drain=True)
    listening.wait(lambda: len(listening.messages) > 50)
    fields = joined(listening.messages)
    assert set(np.diff(fields["frame_index"])) == {1}
    angles = headings(fields["body_quat"])
    # 50 frames show one second of the motion, wherever it did not wait for a late answer
    steps = np.diff(angles)
    assert np.median(steps[5:]) == pytest.approx(SPEED / 50, rel=0.2)
    assert steps.min() > -1e-5 and steps.max() <= 1.2 * SPEED / 50 + 1e-4


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_who_stands_before_a_camera_on_its_side_is_upright(stream, listening, person, degrees):
    live = stream(rotate=degrees)
    turn = Turn(degrees)
    lying = turn.back.human(person(posed()), turn.camera(guess_camera(640, 480)))  # in the image as it is
    for k in range(30):
        live.offer(k * 33_000_000, [lying])
        time.sleep(0.02)
    listening.wait(lambda: listening.messages)
    np.testing.assert_allclose(read(listening.messages[-1])["body_quat"][0], [1, 0, 0, 0], atol=1e-6)


def test_who_leaves_is_held_and_then_no_packet_comes(stream, listening, turned):
    live = stream(hold_s=0.5)
    play(live, turned, 0.7)
    for k in range(60):  # others know that nobody is there: the frames go on
        live.offer(round((0.7 + k / 30) * 1e9), [])
        time.sleep(1 / 30)
    roots = joined(listening.messages)["body_quat"]
    held = int((np.abs(np.diff(roots, axis=0)).max(1) < 1e-9)[-1:-40:-1].argmin())
    assert held == pytest.approx(25, abs=3)  # poses in half a second, all the same
    count = len(listening.messages)
    time.sleep(0.3)
    assert len(listening.messages) == count


def test_nobody_is_nothing(stream, listening):
    live = stream(vmc="127.0.0.1:39539")
    for k in range(20):
        live.offer(k * 33_000_000, [])
        time.sleep(0.02)
    live.close(drain=True)
    assert not listening.messages
    assert str(live.statistics) == "nobody was seen: nothing was sent"


def test_several_frames_a_message_lose_none(stream, listening, turned):
    live = stream(frames=5)
    play(live, turned, 1.0)
    live.close()
    listening.wait(lambda: len(listening.messages) > 7)
    time.sleep(0.3)
    sizes = [len(read(m)["frame_index"]) for m in listening.messages]
    assert set(sizes[:-1]) == {5}
    assert sum(sizes) <= live.statistics.fresh + live.statistics.held
    assert set(np.diff(joined(listening.messages)["frame_index"])) == {1}


def test_vmc_packets_arrive(stream, turned):
    pytest.importorskip("pythonosc")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(20.0)
        live = stream(sonic="", vmc=f"127.0.0.1:{receiver.getsockname()[1]}")
        play(live, turned, 0.3)
        packet = receiver.recv(2000)
    assert packet.startswith(b"#bundle\0") and b"/VMC/Ext/Root/Pos" in packet
    play(live, turned, 0.2)  # nobody listens any more: that is no error
    live.close()
    assert live.statistics.fresh > 5


def test_a_port_in_use_is_said_in_one_line(stream, open_body, port):
    stream()
    with pytest.raises(ConfigError, match=f"stream.sonic: port {port} of 127.0.0.1 is in use; end the other"):
        stream()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sonic": "127.0.0.1:5556"}, "stream.sonic is '127.0.0.1:5556'; give an address such as tcp://127.0.0.1:5556"),
        ({"sonic": "tcp://203.0.113.7:5556"}, "stream.sonic: cannot bind to 203.0.113.7:5556: .*; give an address of"),
        ({"sonic": "tcp://no.such.nic:5556"}, "stream.sonic: cannot bind to no.such.nic:5556"),
        ({"sonic": "", "vmc": "39539"}, "stream.vmc is '39539'; give an address such as 127.0.0.1:39539"),
        ({"sonic": "", "vmc": "no host.invalid:39539"}, "stream.vmc is 'no host"),
        ({"sonic": "", "vmc": "*:39539"}, "stream.vmc: there is no host"),
    ],
)
def test_bad_addresses_are_said_in_one_line(stream, given, said):
    with pytest.raises(ConfigError, match=said) as caught:
        stream(**given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "module", "said"),
    [
        ({}, "zmq", "stream.sonic needs pyzmq: pip install pyzmq"),
        (
            {"sonic": "", "vmc": "127.0.0.1:39539"},
            "pythonosc.osc_bundle_builder",
            "stream.vmc needs python-osc: pip install python-osc",
        ),
    ],
)
def test_a_missing_library_is_named(stream, monkeypatch, given, module, said):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=said):
        stream(**given)


def test_a_sender_that_fails_leaves_no_port_taken(stream, port):
    with pytest.raises(ConfigError, match=r"stream\.vmc is"):
        stream(vmc="nonsense")
    stream()


def test_who_opens_it_to_the_network_is_warned_once(stream, port):
    stream()
    assert not stream.warnings
    stream(sonic=f"tcp://*:{port + 1 if port < 65535 else 1024}")
    (warning,) = stream.warnings
    assert "whoever reaches *:" in warning


def test_a_reader_that_never_reads_holds_nobody_up(open_body, pose_made, port):
    sender = SonicSender(f"tcp://127.0.0.1:{port}", SonicFrames(open_body, count=50), print)
    context = zmq.Context()
    deaf = context.socket(zmq.SUB)
    deaf.setsockopt(zmq.RCVHWM, 1)
    deaf.subscribe(b"pose")
    deaf.connect(f"tcp://127.0.0.1:{port}")
    try:
        assert not sender.prepare(None)
        sample = Sample(pose_made(posed()), 0.0, True)
        (message,) = [m for _ in range(50) for m in sender.prepare(sample)]
        for _ in range(3000):  # 100 MB, far more than any queue on the way holds
            sender.send(message)
    finally:
        deaf.close(0)
        context.term()
        sender.close()


def test_answers_are_taken_without_waiting_when_the_stream_has_ended(stream, turned):
    live = stream()
    live.close()
    for k in range(1000):
        live.offer(k, [turned(0.0)])


def test_a_process_that_was_killed_is_said_once(stream, turned):
    live = stream()
    live._process.kill()
    live._process.wait()
    for k in range(5):
        live.offer(k * 33_000_000, [turned(k / 30)])
    (warning,) = stream.warnings
    assert "its process has ended" in warning


def test_it_ends_with_the_process_that_started_it(port):
    """However that ends."""
    code = f"""
import os
from hmr_ros.body.loading import load_body
from hmr_ros.config_groups import StreamConfig
from hmr_ros.exchange.stream import LiveStream
live = LiveStream(StreamConfig(sonic="tcp://127.0.0.1:{port}"), load_body(), print)
os.kill(os.getpid(), 9)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    assert subprocess.run([sys.executable, "-c", code], check=False, env=environment).returncode == -9
    deadline = time.monotonic() + 30
    while True:
        with socket.socket() as free:
            free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                free.bind(("127.0.0.1", port))
                return
            except OSError:
                assert time.monotonic() < deadline, "the stream outlives who started it"
                time.sleep(0.05)
