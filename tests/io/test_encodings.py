"""Every encoding leads back to the image it was made from."""

import struct
import zlib
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from hmr_ros.errors import InputError
from hmr_ros.io.encodings import ENCODINGS, decode_compressed, decode_image, image_bytes

RNG = np.random.default_rng(0)
# smooth, so that colour filter mosaics and chroma sampling lose little
SMOOTH = cv2.resize(RNG.integers(0, 255, (6, 8, 3), np.uint8), (64, 48), interpolation=cv2.INTER_CUBIC)
GREY = cv2.cvtColor(SMOOTH, cv2.COLOR_BGR2GRAY)


def message(encoding, pixels, big=False, padding=0):
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(pixels.shape[0], -1)
    rows = np.pad(rows, ((0, 0), (0, padding)))
    return SimpleNamespace(
        encoding=encoding, height=pixels.shape[0], width=pixels.shape[1], step=rows.shape[1],
        is_bigendian=int(big), data=image_bytes(rows),
    )  # fmt: skip


def mosaic(order):
    """Colour filter array whose first two rows are `order`, e.g. RG / GB."""
    out = np.empty(GREY.shape, np.uint8)
    for i, letter in enumerate(order):
        out[i // 2 :: 2, i % 2 :: 2] = SMOOTH[i // 2 :: 2, i % 2 :: 2, "BGR".index(letter.upper())]
    return out


def yuv(order):
    y, u, v = (cv2.cvtColor(SMOOTH, cv2.COLOR_BGR2YUV)[..., i] for i in range(3))
    luma, chroma = (0, 1) if order == "yuyv" else (1, 0)
    out = np.empty((*GREY.shape, 2), np.uint8)
    out[..., luma] = y
    out[:, ::2, chroma], out[:, 1::2, chroma] = u[:, ::2], v[:, ::2]
    return out


COLOUR = {
    "bgr8": SMOOTH, "8UC3": SMOOTH, "rgb8": SMOOTH[..., ::-1],
    "bgra8": np.dstack([SMOOTH, GREY]), "rgba8": np.dstack([SMOOTH[..., ::-1], GREY]),
}  # fmt: skip


@pytest.mark.parametrize("encoding", COLOUR)
@pytest.mark.parametrize("padding", [0, 5])
def test_colour_is_exact(encoding, padding):
    np.testing.assert_array_equal(decode_image(message(encoding, COLOUR[encoding], padding=padding)), SMOOTH)


@pytest.mark.parametrize("order", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_patterns_are_told_apart(order):
    found = decode_image(message(f"bayer_{order}8", mosaic(order)))
    assert np.abs(found[4:-4, 4:-4].astype(int) - SMOOTH[4:-4, 4:-4]).mean() < 4


@pytest.mark.parametrize(("encoding", "order"), [("yuv422", "uyvy"), ("yuv422_yuy2", "yuyv")])
def test_yuv(encoding, order):
    # OpenCV's YUV is full range and its 4:2:2 reader is video range: compare the structure, not the scale
    found = decode_image(message(encoding, yuv(order))).astype(float)
    for channel in range(3):
        assert np.corrcoef(found[..., channel].ravel(), SMOOTH[..., channel].ravel())[0, 1] > 0.95


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_grey(encoding):
    np.testing.assert_array_equal(decode_image(message(encoding, GREY))[..., 1], GREY)


@pytest.mark.parametrize("big", [False, True])
def test_mono16_takes_the_upper_byte(big):
    pixels = (GREY.astype(np.uint16) << 8).astype(">u2" if big else "<u2")
    np.testing.assert_array_equal(decode_image(message("mono16", pixels, big))[..., 0], GREY)


@pytest.mark.parametrize(("encoding", "dtype"), [("16UC1", "<u2"), ("32FC1", "<f4")])
def test_depth_keeps_its_order_and_survives_holes(encoding, dtype):
    depth = np.tile(np.linspace(500, 4000, 64), (48, 1)).astype(dtype)
    if encoding == "32FC1":
        depth[0, 0], depth[0, 1] = np.nan, np.inf
    grey = decode_image(message(encoding, depth))[10, :, 0].astype(int)
    assert (np.diff(grey) >= 0).all() and grey[-1] > grey[0]


def test_every_encoding_of_the_table_is_tested():
    tested = {*COLOUR, *(f"bayer_{o}8" for o in ("rggb", "bggr", "gbrg", "grbg"))}
    tested |= {"yuv422", "yuv422_yuy2", "mono8", "8UC1", "mono16", "16UC1", "32FC1"}
    assert tested == set(ENCODINGS)


def test_unknown_encoding_names_the_known_ones():
    with pytest.raises(InputError, match="'nv12' is unknown; known are bgr8"):
        decode_image(message("nv12", GREY))


def test_a_fallback_is_asked_only_for_what_the_table_lacks():
    asked = []

    def fallback(image):
        asked.append(image.encoding)
        return SMOOTH

    np.testing.assert_array_equal(decode_image(message("mono8", GREY), fallback)[..., 0], GREY)
    assert decode_image(message("nv12", GREY), fallback) is SMOOTH and asked == ["nv12"]


def test_short_data_is_refused():
    short = message("bgr8", SMOOTH)
    short.data = short.data[:100]
    with pytest.raises(InputError, match="needs 9216 bytes and has 100"):
        decode_image(short)


def oversized_png():
    """A PNG whose header asks for more pixels than OpenCV reads."""
    data = bytearray(cv2.imencode(".png", np.zeros((4, 4), np.uint16))[1].tobytes())
    data[16:24] = struct.pack(">II", 100_000, 100_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def test_compressed_round_trip_and_garbage():
    png = cv2.imencode(".png", SMOOTH)[1]
    np.testing.assert_array_equal(decode_compressed(SimpleNamespace(data=png, format="png")), SMOOTH)
    for data in (b"", b"not an image", oversized_png()):
        with pytest.raises(InputError, match="cannot be decoded"):
            decode_compressed(SimpleNamespace(data=np.frombuffer(data, np.uint8), format="jpeg"))
    assert decode_image(SimpleNamespace(data=png, format="png")).shape == SMOOTH.shape
