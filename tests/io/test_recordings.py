"""Recordings that break off, or lack what names their parts, give everything that is whole in them."""

import shutil

import numpy as np
import pytest
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore

from hmr_ros.errors import InputError
from hmr_ros.io.bags import BagImages

HEIGHT, WIDTH, COUNT = 240, 320, 12  # so large that the recording has several chunks
STAMPS = [10**9 * (10 + i) for i in range(COUNT)]


def noise(i):
    return np.random.default_rng(i).integers(0, 255, HEIGHT * WIDTH * 3, np.uint8)


def write(path, kind, stamps=STAMPS, topics=("/cam/image",), encodings=("bgr8",)):
    """Images of noise, so that compression changes nothing of their size; `kind`: format and compression."""
    storage, compression = kind
    ros1 = storage == "ros1"
    types = get_typestore(Stores.ROS1_NOETIC if ros1 else Stores.ROS2_JAZZY)
    t, name = types.types, "sensor_msgs/msg/Image"
    if ros1:
        writer = Writer1(path)
        if compression:
            writer.set_compression(Writer1.CompressionFormat[compression])
    else:
        writer = Writer2(path, version=9, storage_plugin=StoragePlugin[storage])
        if compression:
            writer.set_compression(CompressionMode.STORAGE, CompressionFormat[compression])
    serialize = types.serialize_ros1 if ros1 else types.serialize_cdr
    with writer:
        connections = [writer.add_connection(topic, name, typestore=types) for topic in topics]
        for i, stamp in enumerate(stamps):
            time = t["builtin_interfaces/msg/Time"](stamp // 10**9, stamp % 10**9)
            header = t["std_msgs/msg/Header"](*([0] if ros1 else []), time, "optical")
            for connection, encoding in zip(connections, encodings, strict=True):
                wide = 2 if encoding == "16UC1" else 3
                message = t[name](header, HEIGHT, WIDTH, encoding, 0, wide * WIDTH, noise(i)[: wide * HEIGHT * WIDTH])
                writer.write(connection, STAMPS[i], serialize(message, name))
    return path if ros1 else next(p for p in path.iterdir() if p.suffix in (".mcap", ".db3"))


def read(path, **options):
    with BagImages(path, **options) as images:
        return list(images)


KINDS = [("SQLITE3", None), ("MCAP", None), ("MCAP", "ZSTD"), ("ros1", None), ("ros1", "BZ2"), ("ros1", "LZ4")]


@pytest.mark.parametrize("kind", KINDS)
def test_every_image_before_the_cut_is_kept(tmp_path, caplog, kind):
    file = write(tmp_path / ("bag.bag" if kind[0] == "ros1" else "bag"), kind)
    data = file.read_bytes()
    # where an image ends in the file; compressed ones end about there, for noise is not made smaller
    ends = [data.find(noise(i).tobytes()[-64:]) + 64 for i in range(COUNT)]
    if kind[0] == "SQLITE3":  # whole pages, and the one of a row, with the image's beginning, may be behind its others
        parts = [(noise(i).tobytes()[:64], noise(i).tobytes()[-8:]) for i in range(COUNT)]
        ends = [(max(map(data.find, part)) // 4096 + 1) * 4096 for part in parts]
    before = -1
    for cut in np.linspace(0.05, 0.995, 24) * len(data):
        piece = tmp_path / f"cut{file.suffix}"
        piece.write_bytes(data[: int(cut)])
        try:
            frames = read(piece)
        except InputError:
            frames = []
        if kind[1] is None:
            assert len(frames) == sum(0 < end <= cut for end in ends), cut / len(data)
        assert [f.stamp_ns for f in frames] == STAMPS[: len(frames)] and len(frames) >= before
        for i, frame in enumerate(frames):
            np.testing.assert_array_equal(frame.image.reshape(-1), noise(i))
        before = len(frames)
    assert before >= COUNT - 2
    assert "repairs it" in caplog.text


@pytest.mark.parametrize("kind", KINDS)
def test_whole_recordings_are_not_touched(tmp_path, caplog, kind):
    file = write(tmp_path / ("bag.bag" if kind[0] == "ros1" else "bag"), kind)
    assert len(read(file)) == COUNT
    assert "repair" not in caplog.text


@pytest.mark.parametrize(
    ("storage", "repair"), [("MCAP", "`mcap recover {}`"), ("SQLITE3", "`sqlite3 {} .recover | sqlite3 repaired.db3`")]
)
def test_a_folder_whose_last_file_is_cut(tmp_path, caplog, storage, repair):
    file = write(tmp_path / "bag", (storage, None))
    file.write_bytes(file.read_bytes()[:-400_000])
    assert len(read(tmp_path / "bag")) > COUNT // 2
    assert f"{repair.format(file)} repairs it" in caplog.text


@pytest.mark.parametrize("kind", [("MCAP", None), ("SQLITE3", None)])
def test_files_without_metadata_are_one_recording(tmp_path, caplog, kind):
    (tmp_path / "bag").mkdir()
    for part in range(2):
        stamps = [s + part * 100 * 10**9 for s in STAMPS[:3]]
        shutil.move(write(tmp_path / f"part{part}", kind, stamps), tmp_path / "bag" / f"bag_{part}.{kind[0]}".lower())
    for file in (tmp_path / "bag").iterdir():
        file.rename(file.with_suffix(".mcap" if kind[0] == "MCAP" else ".db3"))
    assert len(read(tmp_path / "bag")) == 6
    assert f"`ros2 bag reindex {tmp_path / 'bag'}` makes it" in caplog.text


def test_damage_that_cannot_be_mended_names_the_repair(tmp_path):
    file = write(tmp_path / "bag", ("SQLITE3", None))
    data = bytearray(file.read_bytes())
    data[100:4096] = bytes(3996)  # the names of its tables
    file.write_bytes(data)
    for path in (file, tmp_path / "bag"):
        with pytest.raises(InputError, match=r"cannot read bag .*sqlite3 .*\.recover") as caught:
            read(path)
        assert "\n" not in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no recording"):
        read(tmp_path / "empty")


@pytest.mark.parametrize("kind", [("MCAP", None), ("ros1", None), ("SQLITE3", None)])
def test_damaged_bytes_never_end_in_a_traceback(tmp_path, kind):
    file = write(tmp_path / ("bag.bag" if kind[0] == "ros1" else "bag"), kind, STAMPS[:2])
    data, rng = file.read_bytes(), np.random.default_rng(0)
    piece = tmp_path / f"bad{file.suffix}"
    structure = [i for i in range(len(data)) if i < 5000 or i > len(data) - 5000]
    for i in range(60):
        bad = bytearray(data)
        for at in rng.choice(structure, 4):
            bad[at] = int(rng.integers(256))
        piece.write_bytes(bad[: rng.integers(len(bad))] if i % 2 else bad)
        try:
            read(piece)
        except InputError as error:
            assert "\n" not in str(error)


def test_the_only_colour_topic_is_taken(tmp_path, caplog):
    topics = ("/cam/depth/image_raw", "/cam/color/image_raw")
    file = write(tmp_path / "bag", ("MCAP", None), STAMPS[:2], topics, ("16UC1", "bgr8"))
    with BagImages(file) as images:
        assert images.topic == "/cam/color/image_raw" and len(list(images)) == 2
    assert "/cam/color/image_raw is taken of /cam/color/image_raw, /cam/depth/image_raw" in caplog.text


def test_stamps_of_zero_are_those_of_the_recording(tmp_path, caplog):
    frames = read(write(tmp_path / "bag", ("MCAP", None), [0] * 3))
    assert [f.stamp_ns for f in frames] == STAMPS[:3]
    assert caplog.text.count("have no stamp: the time of recording is taken") == 1


def test_the_realsense_viewers_layout(shared, caplog):
    frames = read(shared / "faulty_inputs/t18_realsense_viewer.bag")
    assert len(frames) == 3 and not frames[0].camera.guessed
    assert "/device_0/sensor_1/Color_0/image/data is taken" in caplog.text


@pytest.mark.parametrize(("name", "count"), [("t18_cut_mcap", 5), ("t18_db3_without_metadata", 3)])
def test_recordings_of_users(shared, name, count):
    assert len(read(shared / f"faulty_inputs/{name}")) == count


@pytest.mark.parametrize("name", ["yuyv", "uyvy", "nv12", "nv21"])
def test_recorded_yuv_shows_the_same_scene(shared, name):
    frames, truth = (read(shared / f"faulty_inputs/t04_{n}") for n in (name, "yuyv"))
    assert np.abs(frames[0].image.astype(int) - truth[0].image).mean() < 3
