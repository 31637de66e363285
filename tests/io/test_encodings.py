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


def video_range():
    """Y, U, V [H,W] as cameras send them: BT.601, 16 to 235 and 16 to 240."""
    b, g, r = (SMOOTH[..., i] / 255 for i in range(3))
    luma = 0.299 * r + 0.587 * g + 0.114 * b
    planes = 16 + 219 * luma, 128 + 224 * (b - luma) / 1.772, 128 + 224 * (r - luma) / 1.402
    return [np.rint(p).astype(np.uint8) for p in planes]


def packed(order):
    """[H,W,2]: the four letters of `order` are the bytes of two pixels."""
    planes = dict(zip("yuv", video_range(), strict=True))
    out = np.empty((*GREY.shape, 2), np.uint8)
    for byte, letter in enumerate(order):
        first = byte // 2 if letter == "y" else 0  # both pixels share their colour
        out[:, byte // 2 :: 2, byte % 2] = planes[letter][:, first::2]
    return out


def semiplanar(order, every):
    """Rows of luma, below them rows of pairs of colour, for each pixel or for each block of 2 x 2."""
    y, u, v = video_range()
    pairs = np.stack([u, v] if order == "uv" else [v, u], -1)[::every, ::every]
    return np.concatenate([y.reshape(-1), pairs.reshape(-1)]).reshape(-1, y.shape[1])


YUV = {
    **dict.fromkeys(("uyvy", "yuv422"), packed("uyvy")),
    **dict.fromkeys(("yuyv", "yuv422_yuy2", "yuy2"), packed("yuyv")), "yvyu": packed("yvyu"),
    "nv12": semiplanar("uv", 2), "nv21": semiplanar("vu", 2), "nv24": semiplanar("uv", 1), "nv42": semiplanar("vu", 1),
}  # fmt: skip
COLOUR = {
    "bgr8": SMOOTH, "8UC3": SMOOTH, "rgb8": SMOOTH[..., ::-1],
    "bgra8": np.dstack([SMOOTH, GREY]), "rgba8": np.dstack([SMOOTH[..., ::-1], GREY]),
    "8UC4": np.dstack([SMOOTH, GREY]),
}  # fmt: skip


@pytest.mark.parametrize("encoding", COLOUR)
@pytest.mark.parametrize("padding", [0, 5])
def test_colour_is_exact(encoding, padding):
    np.testing.assert_array_equal(decode_image(message(encoding, COLOUR[encoding], padding=padding)), SMOOTH)


@pytest.mark.parametrize("order", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_patterns_are_told_apart(order):
    found = decode_image(message(f"bayer_{order}8", mosaic(order)))
    assert np.abs(found[4:-4, 4:-4].astype(int) - SMOOTH[4:-4, 4:-4]).mean() < 4


@pytest.mark.parametrize("encoding", YUV)
@pytest.mark.parametrize("spelled", [str.lower, str.upper])
def test_yuv(encoding, spelled):
    found = decode_image(planes(spelled(encoding), YUV[encoding]))
    assert found.shape == SMOOTH.shape
    error = np.abs(found.astype(int) - SMOOTH)
    assert error.mean() < 8 and np.percentile(error, 99) < 40  # colour of neighbours is shared


def planes(encoding, rows, padding=0):
    """A message of the image's height with rows of colour below."""
    if rows.ndim == 2 and padding:
        wide = 2 if len(rows) == 3 * len(GREY) else 1  # bytes of a row of colour for one of a row of luma
        luma, chroma = rows[: len(GREY)], rows[len(GREY) :].reshape(-1, wide * rows.shape[1])
        parts = [np.pad(luma, ((0, 0), (0, padding))), np.pad(chroma, ((0, 0), (0, wide * padding)))]
        data = np.concatenate([p.reshape(-1) for p in parts])
    else:
        data = rows.reshape(-1)
    step = rows.shape[1] * (rows.shape[2] if rows.ndim == 3 else 1) + padding
    return SimpleNamespace(
        encoding=encoding, height=GREY.shape[0], width=GREY.shape[1], step=step, is_bigendian=0, data=image_bytes(data)
    )


@pytest.mark.parametrize("encoding", ["nv12", "nv21", "nv24", "nv42"])
def test_padding_of_rows_of_colour(encoding):
    plain, padded = (decode_image(planes(encoding, YUV[encoding], p)) for p in (0, 6))
    np.testing.assert_array_equal(plain, padded)


@pytest.mark.parametrize("encoding", ["nv12", "nv21", "yuyv"])
def test_odd_sizes_of_shared_colour_are_refused(encoding):
    odd = SimpleNamespace(encoding=encoding, height=5, width=7, step=14, is_bigendian=0, data=bytes(999))
    with pytest.raises(InputError, match="odd size"):
        decode_image(odd)


WIDE = {
    "bgr16": SMOOTH, "16UC3": SMOOTH, "rgb16": SMOOTH[..., ::-1], "bgra16": np.dstack([SMOOTH, GREY]),
    "16UC4": np.dstack([SMOOTH, GREY]), "rgba16": np.dstack([SMOOTH[..., ::-1], GREY]),
}  # fmt: skip


@pytest.mark.parametrize("encoding", WIDE)
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_wide_colour_has_the_same_brightness_with_any_bits(encoding, bits):
    found = decode_image(message(encoding, WIDE[encoding].astype(np.uint16) << (bits - 8)))
    np.testing.assert_array_equal(found, SMOOTH)


@pytest.mark.parametrize("order", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_wide_mosaics(order, bits):
    found = decode_image(message(f"bayer_{order}16", mosaic(order).astype(np.uint16) << (bits - 8)))
    assert np.abs(found[4:-4, 4:-4].astype(int) - SMOOTH[4:-4, 4:-4]).mean() < 4


@pytest.mark.parametrize("encoding", ["mono8", "8UC1"])
def test_grey(encoding):
    np.testing.assert_array_equal(decode_image(message(encoding, GREY))[..., 1], GREY)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_mono16_is_as_bright_with_any_number_of_bits(big, bits):
    pixels = (GREY.astype(np.uint16) << (bits - 8)).astype(">u2" if big else "<u2")
    np.testing.assert_array_equal(decode_image(message("mono16", pixels, big))[..., 0], GREY)


def test_one_mark_does_not_make_an_infrared_image_black():
    pixels = np.tile(GREY.astype(np.uint16) << 2, (4, 4))
    expected = pixels >> 2
    pixels[0, 0] = 65535
    found = decode_image(message("mono16", pixels))[..., 0]
    np.testing.assert_array_equal(found[1:], expected[1:])


def test_wide_png_is_not_black():
    """Ten bits in sixteen, as a file of an infrared camera."""
    png = cv2.imencode(".png", GREY.astype(np.uint16) << 2)[1]
    found = decode_compressed(SimpleNamespace(data=png, format="png"))
    np.testing.assert_array_equal(found, np.dstack([GREY] * 3))


@pytest.mark.parametrize("kind", ["16UC1", "32FC1"])
def test_compressed_depth_is_an_image_too(kind):
    metres = np.tile(np.linspace(0.5, 4, 64, dtype=np.float32), (48, 1))
    a, b = 600.0, -20.0
    stored = np.rint(metres * 1000 if kind == "16UC1" else a / metres + b).astype(np.uint16)
    data = struct.pack("<iff", 0, a, b) + cv2.imencode(".png", stored)[1].tobytes()
    found = decode_image(SimpleNamespace(data=data, format=f"{kind}; compressedDepth png"))[..., 0]
    assert (np.diff(found[10].astype(int)) >= 0).all() and found[10, -1] > 4 * found[10, 0]


@pytest.mark.parametrize(("encoding", "dtype"), [("16UC1", "<u2"), ("32FC1", "<f4")])
def test_depth_keeps_its_order_and_survives_holes(encoding, dtype):
    depth = np.tile(np.linspace(500, 4000, 64), (48, 1)).astype(dtype)
    if encoding == "32FC1":
        depth[0, 0], depth[0, 1] = np.nan, np.inf
    grey = decode_image(message(encoding, depth))[10, :, 0].astype(int)
    assert (np.diff(grey) >= 0).all() and grey[-1] > grey[0]


def test_every_encoding_of_the_table_is_tested():
    mosaics = {f"bayer_{order}{bits}" for order in ("rggb", "bggr", "gbrg", "grbg") for bits in (8, 16)}
    assert {*COLOUR, *WIDE, *YUV, *mosaics, "mono8", "8UC1", "mono16", "16UC1", "32FC1"} == set(ENCODINGS)


@pytest.mark.parametrize("name", ["BGR8", "Bgr8", " bgr8 ", "8uc3"])
def test_case_does_not_matter(name):
    np.testing.assert_array_equal(decode_image(message(name, SMOOTH)), SMOOTH)


def test_unknown_encoding_names_the_known_ones():
    with pytest.raises(InputError, match="'h264' is unknown; known are bgr8"):
        decode_image(message("h264", GREY))


def test_a_fallback_is_asked_only_for_what_the_table_lacks():
    asked = []

    def fallback(image):
        asked.append(image.encoding)
        return SMOOTH

    np.testing.assert_array_equal(decode_image(message("mono8", GREY), fallback)[..., 0], GREY)
    assert decode_image(message("odd", GREY), fallback) is SMOOTH and asked == ["odd"]


@pytest.mark.parametrize("kind", ["raw", "png", "jpeg", "depth"])
def test_the_limit_of_pixels_is_asked_before_decoding(kind):
    """Images at the limit are decoded; of one pixel fewer, nothing behind the declared size is looked at."""
    if kind == "raw":
        image = message("bgr8", SMOOTH)
    elif kind == "depth":
        stored = cv2.imencode(".png", np.full(SMOOTH.shape[:2], 900, np.uint16))[1].tobytes()
        image = SimpleNamespace(data=np.frombuffer(bytes(12) + stored, np.uint8), format="16UC1; compressedDepth png")
    else:
        image = SimpleNamespace(data=cv2.imencode(f".{kind}", SMOOTH)[1], format=kind)
    height, width = SMOOTH.shape[:2]
    assert decode_image(image, max_pixels=height * width).shape == SMOOTH.shape
    image.data = image.data[:200]  # whoever decodes this would complain of the data
    with pytest.raises(InputError, match=f"image of {width}x{height} has more than .* raise input.max_megapixels"):
        decode_image(image, max_pixels=height * width - 1)


def test_short_data_is_refused():
    short = message("bgr8", SMOOTH)
    short.data = short.data[:100]
    with pytest.raises(InputError, match="needs 9216 bytes and has 100"):
        decode_image(short)


def test_what_is_wrong_about_the_layout_is_named():
    narrow = message("bgr8", SMOOTH)
    narrow.step = narrow.width
    with pytest.raises(InputError, match=rf"{narrow.width} bytes a row \(step\), {3 * narrow.width} are needed"):
        decode_image(narrow)
    empty = message("bgr8", SMOOTH)
    empty.height = empty.width = empty.step = 0
    with pytest.raises(InputError, match=r"image is empty \(0x0\)"):
        decode_image(empty)


def oversized_png(side=100_000):
    """A PNG whose header asks for more pixels than anybody's camera has."""
    data = bytearray(cv2.imencode(".png", np.zeros((4, 4), np.uint16))[1].tobytes())
    data[16:24] = struct.pack(">II", side, side)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def oversized_chunk():
    """A PNG one of whose chunks claims two gigabytes, for which OpenCV would make room."""
    data = bytearray(cv2.imencode(".png", SMOOTH)[1].tobytes())
    data[33:37] = struct.pack(">I", (2 << 30) - 1)
    return bytes(data)


def oversized_jpeg():
    """The same as a JPEG: 30000 x 30000 in a kilobyte, which OpenCV would decode into gigabytes."""
    data = bytearray(cv2.imencode(".jpg", SMOOTH)[1].tobytes())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", 30000, 30000)
    return bytes(data)


def test_compressed_round_trip_and_garbage():
    png = cv2.imencode(".png", SMOOTH)[1]
    np.testing.assert_array_equal(decode_compressed(SimpleNamespace(data=png, format="png")), SMOOTH)
    for data in (b"", b"not an image", oversized_png(2_000), oversized_chunk()):
        with pytest.raises(InputError, match="cannot be decoded"):
            decode_compressed(SimpleNamespace(data=np.frombuffer(data, np.uint8), format="jpeg"))
    for data in (oversized_png(), oversized_png(30_000), oversized_jpeg()):
        with pytest.raises(InputError, match="more than 134 megapixels"):
            decode_compressed(SimpleNamespace(data=np.frombuffer(data, np.uint8), format="jpeg"))
    assert decode_image(SimpleNamespace(data=png, format="png")).shape == SMOOTH.shape
