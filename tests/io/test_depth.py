"""Depth of files: units, what is unknown, one image for each frame, and what is refused with its cure."""

import cv2
import numpy as np
import pytest

from hmr_ros.errors import InputError
from hmr_ros.io.depth import FramesWithDepth, depth_in_metres, open_depth, with_depth
from hmr_ros.io.video import VideoWriter, open_source

MM = np.array([[0, 1], [1500, 65535]], np.uint16)


def images(folder, count, size=(64, 48)):
    folder.mkdir()
    for i in range(count):
        cv2.imwrite(str(folder / f"{i}.png"), np.full((size[1], size[0], 3), 10 * i, np.uint8))
    return open_source(str(folder), None)


def depth_folder(folder, count, size=(64, 48)):
    folder.mkdir()
    for i in range(count):
        cv2.imwrite(str(folder / f"{i}.png"), np.full((size[1], size[0]), 1000 + i, np.uint16))
    return folder


def write_video(path, depths, bits=16):
    kind = {16: cv2.CV_16U, 8: cv2.CV_8U}[bits]
    options = [cv2.VIDEOWRITER_PROP_IS_COLOR, 0, cv2.VIDEOWRITER_PROP_DEPTH, kind]
    size = depths[0].shape[::-1]
    video = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"FFV1"), 30.0, size, options)
    for depth in depths:
        video.write(depth)
    video.release()
    return path


def test_millimetres_become_metres_and_zero_is_unknown():
    depth = depth_in_metres(MM)
    assert depth.dtype == np.float32 and np.isnan(depth[0, 0])
    np.testing.assert_allclose(depth.ravel()[1:], [0.001, 1.5, 65.535], rtol=1e-6)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
def test_metres_stay_and_what_is_no_distance_is_unknown(kind):
    depth = depth_in_metres(np.array([[np.nan, np.inf, -np.inf], [0, -1, 2.5]], kind))
    assert depth.dtype == np.float32
    np.testing.assert_array_equal(depth, [[np.nan] * 3, [np.nan, np.nan, 2.5]])


def test_the_users_array_stays_as_it_is():
    raw = np.array([[0.0, -1.0, 2.5]], np.float32)
    depth_in_metres(raw)
    np.testing.assert_array_equal(raw, [[0, -1, 2.5]])


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (np.zeros((4, 4), np.uint8), r"uint8 \[4, 4\]; give \[H,W\] as 16 bit millimetres"),
        (np.zeros((4, 4), np.int32), "int32"),
        (np.zeros((4, 4, 3), np.uint16), r"\[4, 4, 3\]"),
        ([[1.0]], "is list; give"),
        (np.full((4, 4), 1800.0), "median of 1800 m; give metres, or millimetres as uint16"),
    ],
)
def test_other_kinds_of_numbers_are_refused(raw, said):
    with pytest.raises(InputError, match=said):
        depth_in_metres(raw)


def test_a_folder_is_read_in_natural_order_both_formats(tmp_path):
    for i in (1, 10):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((4, 6), i, np.uint16))
    np.save(tmp_path / "2.npy", np.full((4, 6), 2e-3, np.float32))
    (tmp_path / "notes.txt").write_text("no depth")
    source = open_depth(tmp_path)
    for _ in range(2):  # from the start each time
        assert [round(1e3 * float(d[0, 0])) for d in source] == [1, 2, 10]
    assert source.count == 3


def test_a_16_bit_video_is_read_to_the_millimetre(tmp_path):
    rng = np.random.default_rng(0)
    depths = [rng.integers(0, 1 << 16, (48, 64)).astype(np.uint16) for _ in range(4)]
    source = open_depth(write_video(tmp_path / "d.mkv", depths))
    assert source.count == 4
    for _ in range(2):
        for depth, truth in zip(source, depths, strict=True):
            np.testing.assert_array_equal(np.round(np.nan_to_num(depth) * 1000), truth)


def test_every_frame_gets_its_own_depth(tmp_path):
    frames = FramesWithDepth(images(tmp_path / "c", 12), open_depth(depth_folder(tmp_path / "d", 12)))
    assert frames.count == 12 and not frames.truncated
    for frame in frames:
        assert frame.depth.shape == (48, 64) and frame.image[0, 0, 0] == 10 * frame.index
        np.testing.assert_allclose(frame.depth, 1e-3 * (1000 + frame.index), rtol=1e-6)


def test_a_video_has_a_depth_image_for_each_frame(tmp_path):
    with VideoWriter(tmp_path / "v.mp4", 10) as video:
        for value in range(0, 100, 20):
            video.write(np.full((48, 64, 3), value, np.uint8))
    for count, fits in ((5, True), (4, False), (6, False)):
        source, depths = (
            open_source(str(tmp_path / "v.mp4"), None),
            open_depth(depth_folder(tmp_path / f"{count}", count)),
        )
        if fits:
            frames = list(FramesWithDepth(source, depths))
            assert [round(1e3 * float(f.depth[0, 0])) for f in frames] == list(range(1000, 1005))
            np.testing.assert_allclose([f.image.mean() for f in frames], range(0, 100, 20), atol=4)
        else:
            with pytest.raises(InputError, match=f"has {count} depth images for 5 frames; give one for each frame"):
                FramesWithDepth(source, depths)


def test_a_single_image_and_a_single_file(tmp_path):
    cv2.imwrite(str(tmp_path / "p.png"), np.zeros((2, 2, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "d.png"), MM)
    (frame,) = FramesWithDepth(open_source(str(tmp_path / "p.png"), None), open_depth(tmp_path / "d.png"))
    np.testing.assert_array_equal(frame.depth, depth_in_metres(MM))


@pytest.mark.parametrize("first_differs", [True, False])
def test_another_size_is_refused_with_the_cure(tmp_path, first_differs):
    frames, folder = images(tmp_path / "c", 2), depth_folder(tmp_path / "d", 2)
    cv2.imwrite(str(folder / ("0.png" if first_differs else "1.png")), np.ones((40, 64), np.uint16))
    said = "is 64x40, the colour image is 64x48; register it to the colour image, e.g. align_depth.enable:=true"
    if first_differs:
        with pytest.raises(InputError, match=said):
            FramesWithDepth(frames, open_depth(folder))
    else:
        both = iter(FramesWithDepth(frames, open_depth(folder)))
        assert next(both).depth is not None
        with pytest.raises(InputError, match=f"depth image 1 {said}"):
            next(both)


def test_sequences_of_another_length_are_noticed(tmp_path):
    frames = list(images(tmp_path / "c", 3))
    depths = [np.ones((48, 64), np.float32)] * 4
    with pytest.raises(InputError, match="ends after 2 frames; give one depth image for each"):
        list(with_depth(frames, iter(depths[:2])))
    with pytest.raises(InputError, match="goes on after the last frame; give one depth image for each"):
        list(with_depth(frames, iter(depths)))
    assert len(list(with_depth(frames, iter(depths[:3])))) == 3


def test_a_live_camera_takes_no_files(tmp_path):
    source = images(tmp_path / "c", 1)
    source.is_live = True
    with pytest.raises(InputError, match="not to a live camera"):
        FramesWithDepth(source, open_depth([np.ones((48, 64))]))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none", None, "does not exist; give a folder"),
        ("a.png", b"junk", "cannot read depth image .*a.png; is the file complete"),
        ("a.npy", b"junk", "cannot read depth image .*a.npy; is the file complete"),
        ("a.mkv", b"junk", "no depth image can be read from"),
        ("x" * 400, None, "cannot read depth"),
    ],
)
def test_unreadable_depth(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        list(open_depth(tmp_path / name))
    assert "\n" not in str(caught.value)


def test_depth_of_eight_bits_is_refused_by_name(tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.zeros((4, 4), np.uint8))
    with pytest.raises(InputError, match=r"grey.png is uint8 \[4, 4\]"):
        list(open_depth(tmp_path))
    write_video(tmp_path / "v.mkv", [np.zeros((48, 64), np.uint8)] * 2, bits=8)
    with VideoWriter(tmp_path / "v.mp4", 10) as video:
        video.write(np.zeros((48, 64, 3), np.uint8))
    for name in ("v.mkv", "v.mp4"):
        with pytest.raises(InputError, match=f"{name}' is not 16 bit grey"):
            list(open_depth(tmp_path / name))


def test_an_empty_folder_and_pickles_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no depth images \(.png, .npy\)"):
        open_depth(tmp_path)
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot read depth image"):
        list(open_depth(tmp_path))
