"""Depth messages in metres, and each image with the one that belongs to it."""

import struct
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from hmr_ros.errors import InputError
from hmr_ros.io.depth_messages import DepthMatching, DepthQueue, ImagePeriod, decode_depth, is_compressed
from hmr_ros.types import Frame

MM = np.array([[0, 1, 500], [1500, 9999, 65535]], np.uint16)
METRES = np.array([[np.nan, 0.001, 0.5], [1.5, 9.999, 65.535]], np.float32)


def image_message(array, encoding, big=False, pad=0):
    array = array.astype(array.dtype.newbyteorder(">" if big else "<"))
    rows = array.view(np.uint8).reshape(len(array), -1)
    data = np.pad(rows, ((0, 0), (0, pad))) if pad >= 0 else rows[:, :pad]
    return SimpleNamespace(
        encoding=encoding, width=array.shape[1], height=len(array), step=data.shape[1], is_bigendian=big,
        data=data.tobytes(),
    )  # fmt: skip


def compressed(stored, text, header=bytes(12)):
    return SimpleNamespace(format=text, data=header + cv2.imencode(".png", stored)[1].tobytes())


def oversized():
    """A depth image whose PNG header asks for more pixels than OpenCV reads."""
    message = compressed(MM, "16UC1; compressedDepth")
    png = bytearray(message.data[12:])
    png[16:24] = struct.pack(">II", 100_000, 100_000)
    png[29:33] = struct.pack(">I", zlib.crc32(png[12:29]))
    return SimpleNamespace(format=message.format, data=message.data[:12] + bytes(png))


def inverse(depth, z0=100.0, far=10.0):
    """The quantisation of compressed_depth_image_transport's encoder, with its default parameters."""
    a = z0 * (z0 + 1)
    b = 1 - a / far
    with np.errstate(invalid="ignore", divide="ignore"):
        stored = np.where(depth < far, a / depth + b, 0)
    return stored.astype(np.uint16), struct.pack("<iff", 0, a, b)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("encoding", ["16UC1", "mono16"])
def test_millimetres(encoding, big):
    np.testing.assert_allclose(decode_depth(image_message(MM, encoding, big, pad=4)), METRES, rtol=1e-6)


@pytest.mark.parametrize("big", [False, True])
def test_metres(big):
    raw = METRES.copy()
    raw[0, 1] = np.inf
    expected = METRES.copy()
    expected[0, 1] = np.nan
    np.testing.assert_array_equal(decode_depth(image_message(raw, "32FC1", big)), expected)


@pytest.mark.parametrize(
    "text", ["16UC1; compressedDepth png", "16UC1; compressedDepth", "16UC1", "mono16; compressedDepth"]
)
def test_compressed_millimetres(text):
    np.testing.assert_allclose(decode_depth(compressed(MM, text)), METRES, rtol=1e-6)


def test_the_plain_transport_has_no_header():
    np.testing.assert_allclose(decode_depth(compressed(MM, "16UC1; png compressed ", b"")), METRES, rtol=1e-6)


def test_compressed_metres_are_inverse_depth():
    depth = np.linspace(0.5, 9.5, 200, dtype=np.float32).reshape(10, 20)
    depth[0, 0], depth[0, 1] = np.nan, 12.0
    stored, header = inverse(depth)
    again = decode_depth(compressed(stored, "32FC1; compressedDepth png", header))
    assert np.isnan(again[0, :2]).all() and again.dtype == np.float32
    step = depth**2 / (100 * 101)  # of depth for one step of the quantised inverse
    assert np.nanmax(np.abs(again - depth)[depth < 10] / step[depth < 10]) < 1.1


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (image_message(np.zeros((2, 2), np.uint8), "mono8"), "depth encoding 'mono8' is not one of 16UC1"),
        (image_message(np.zeros((2, 4), np.uint16), "16UC1", pad=-2), "check the driver"),
        (image_message(np.full((2, 2), 1500, np.float32), "32FC1"), "median of 1500 m; give metres"),
        (compressed(MM, "16UC1; compressedDepth rvl"), "let the driver publish compressedDepth png"),
        (compressed(MM, "bgr8; jpeg compressed bgr8"), "let the driver publish compressedDepth png"),
        (compressed(MM, "32FC1; png compressed", b""), "has no scale"),
        (compressed(MM.astype(np.uint8), "16UC1; compressedDepth"), "not 16 bit"),
        (SimpleNamespace(format="16UC1; compressedDepth", data=b"short"), "damaged"),
        (oversized(), "more than 134 megapixels"),
        (SimpleNamespace(format="16UC1; compressedDepth", data=b""), "damaged"),
        (SimpleNamespace(format="16UC1; compressedDepth", data=bytes(80)), "damaged"),
    ],
)
def test_what_cannot_be_decoded_is_named(message, said):
    with pytest.raises(InputError, match=said) as caught:
        decode_depth(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("/camera/depth/image_raw", False),
        ("/d/image/compressedDepth", True),
        ("/d/compressed", True),
        ("/compressed/d", False),
    ],
)
def test_the_topic_says_the_transport(topic, expected):
    assert is_compressed(topic) == expected


def test_the_nearest_message_within_half_a_frame():
    queue = DepthQueue()
    assert queue.nearest(0, 10**9) is None and not queue.is_past(0)
    for stamp in (100, 133, 166):
        queue.add(stamp, f"at {stamp}")
    assert (
        queue.nearest(135, 16) == "at 133" and queue.nearest(149, 16) == "at 133" and queue.nearest(151, 16) == "at 166"
    )
    assert queue.nearest(182, 16) == "at 166" and queue.nearest(183, 16) is None and queue.nearest(80, 16) is None
    assert queue.is_past(166) and not queue.is_past(167)


def test_after_a_jump_back_in_time_the_new_messages_count():
    """A bag that is played again, a simulation that starts over."""
    queue = DepthQueue()
    for stamp in (1000, 1033, 10):
        queue.add(stamp, stamp)
    assert queue.nearest(12, 16) == 10 and not queue.is_past(12)


def test_period_is_that_of_most_images():
    period = ImagePeriod()
    assert period.half_ns == 16_666_666
    for stamp in (0, 100, 200, 300, 5000, 5100, 100, 200):  # a pause and a jump back
        period.image(stamp)
    assert period.half_ns == 50


def frame(index, stamp):
    return Frame(index, stamp, np.zeros((2, 3, 3), np.uint8), None)


def run(events):
    """Events: ints are stamps [ms] of images, strings those of depth. Returns (image, depth) in ms in order."""
    period = ImagePeriod()
    for stamp in (34, 67):
        period.image(stamp * 10**6)
    matching, answers = DepthMatching(period), []
    for i, event in enumerate(events):
        if isinstance(event, str):
            matching.depth(int(event) * 10**6, event)
        else:
            matching.frame(frame(i, event * 10**6))
        answers += [(f.stamp_ns // 10**6, d) for f, d in matching.matched()]
    waited = len(answers)
    answers += [(f.stamp_ns // 10**6, d) for f, d in matching.matched(end=True)]
    return answers, waited


def test_depth_may_be_recorded_before_or_after_its_image():
    expected = [(100, "102"), (133, "135"), (166, "160")]
    assert run(["102", 100, "135", 133, "160", 166])[0] == expected
    assert run([100, 133, "102", "135", 166, "160"])[0] == expected
    assert run([100, "102", 133, "135", 166, "160"]) == (expected, 2)  # one answer waits for what may still come


def test_frames_without_near_depth_have_none():
    assert run([100, "100", 133, 166, "166"])[0] == [(100, "100"), (133, None), (166, "166")]
    assert run(["117", 100, 133])[0] == [(100, None), (133, "117")]


def test_a_depth_topic_that_stops_does_not_hold_the_images():
    answers, waited = run(["100", *range(100, 3000, 33)])
    assert [stamp for stamp, _ in answers] == list(range(100, 3000, 33))
    assert answers[0][1] == "100" and len(answers) - waited < 20
