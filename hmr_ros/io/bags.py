"""Rosbags in and out through the `rosbags` library: no ROS installation, every picture, original stamps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from tqdm import tqdm

from hmr_ros.errors import InputError
from hmr_ros.geometry.camera import guess_camera
from hmr_ros.io.calibration import camera_of_info
from hmr_ros.io.encodings import decode_compressed, decode_image
from hmr_ros.io.model_store import share_file
from hmr_ros.io.video import fit_camera
from hmr_ros.types import Camera, Frame, Human, Result

_IMAGE, _COMPRESSED, _INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo"
Refine = Callable[[list[Any]], list[Human]]
_MESSAGES = ("Human", "HumanArray")


@dataclass
class BagCounts:
    """What `process_bag` did."""

    frames: int = 0
    humans: int = 0
    skipped: int = 0  # pictures that could not be decoded
    interrupted: bool = False


class BagImages:
    """Pictures of one topic of a bag with their intrinsics, in order of recording; use as a context manager."""

    def __init__(self, path: Path, topic: str | None = None) -> None:
        if not path.exists():
            raise InputError(f"bag {path} does not exist; give a rosbag2 folder, an .mcap or a ROS 1 .bag")
        try:
            self._reader = AnyReader([path], default_typestore=get_typestore(Stores.ROS2_JAZZY))
            self._reader.open()
        except Exception as error:  # the library raises its own kinds, and others on damaged files
            raise InputError(f"cannot read bag {path}: {_one_line(error)}") from error
        self._path = path
        self._connection = self._choose(topic)
        self.topic: str = self._connection.topic
        self.count: int = self._connection.msgcount
        self.frame_id = "camera"
        self.skipped = 0

    def __enter__(self) -> BagImages:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()

    def __iter__(self) -> Iterator[Frame]:
        """Frames with the stamp of their header; intrinsics are those recorded last before the picture."""
        info_topic = self.topic.rsplit("/", 1)[0] + "/camera_info"
        if self.topic.endswith("/compressed"):
            info_topic = self.topic.rsplit("/", 2)[0] + "/camera_info"
        infos = [c for c in self._reader.connections if c.msgtype == _INFO]
        same = [c for c in infos if c.topic == info_topic] or infos[:1]
        camera = self._first_camera(same)
        index = 0
        messages = self._reader.messages(connections=[self._connection, *same])
        while True:
            try:
                connection, _, raw = next(messages)
                message: Any = self._reader.deserialize(raw, connection.msgtype)
            except StopIteration:
                return
            except Exception as error:
                raise InputError(f"bag {self._path} breaks off after {index} pictures: {_one_line(error)}") from error
            if connection.msgtype == _INFO:
                camera = _camera(message)
                continue
            try:
                picture = decode_compressed(message) if connection.msgtype == _COMPRESSED else decode_image(message)
            except InputError:
                self.skipped += 1
                continue
            height, width = picture.shape[:2]
            stamp = message.header.stamp
            self.frame_id = message.header.frame_id
            chosen = fit_camera(camera, width, height) if camera else guess_camera(width, height)
            yield Frame(index, stamp.sec * 1_000_000_000 + stamp.nanosec, picture, chosen)
            index += 1

    def _first_camera(self, connections: list[Any]) -> Camera | None:
        """Intrinsics for pictures that were recorded before any CameraInfo."""
        if not connections:
            return None
        try:
            connection, _, raw = next(self._reader.messages(connections=connections))
            return _camera(self._reader.deserialize(raw, connection.msgtype))
        except Exception:  # a damaged record is reported where the pictures are read
            return None

    def _choose(self, topic: str | None) -> Any:
        pictures = [c for c in self._reader.connections if c.msgtype in (_IMAGE, _COMPRESSED)]
        names = sorted({c.topic for c in pictures})
        if topic is not None:
            pictures = [c for c in pictures if c.topic == topic]
        if not pictures:
            wanted = f"no image topic {topic}" if topic else "no image topic"
            self._reader.close()
            raise InputError(f"bag {self._path} has {wanted}; it has {', '.join(names) or 'no pictures at all'}")
        if len({c.topic for c in pictures}) > 1:
            self._reader.close()
            raise InputError(f"bag {self._path} has several image topics; choose one with --topic: {', '.join(names)}")
        return pictures[0]


class HumanBagWriter:
    """A new rosbag2 bag (sqlite3) with one HumanArray a picture on /hmr/humans."""

    TOPIC = "/hmr/humans"

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise InputError(f"{path} exists already; give a new folder for the bag")
        self._types = get_typestore(Stores.ROS2_JAZZY)
        for name in _MESSAGES:
            text = share_file(f"msg/{name}.msg").read_text(encoding="utf-8")
            self._types.register(get_types_from_msg(text, f"hmr_ros/msg/{name}"))
        self._writer = Writer(path, version=8, storage_plugin=StoragePlugin.SQLITE3)
        self._writer.open()
        kind = self._types.types["hmr_ros/msg/HumanArray"].__msgtype__
        self._connection = self._writer.add_connection(self.TOPIC, kind, typestore=self._types)

    def __enter__(self) -> HumanBagWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()

    def write(self, humans: list[Human], stamp_ns: int, frame_id: str) -> None:
        """Append the people of one picture."""
        t = self._types.types
        time = t["builtin_interfaces/msg/Time"](sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
        header = t["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)
        message = t["hmr_ros/msg/HumanArray"](header=header, humans=[self._human(h) for h in humans])
        self._writer.write(self._connection, stamp_ns, self._types.serialize_cdr(message, message.__msgtype__))

    def _human(self, human: Human) -> Any:
        t = self._types.types
        x0, y0, x1, y1 = (max(0, round(float(v))) for v in human.boxes_xyxy)
        box = t["sensor_msgs/msg/RegionOfInterest"](
            x_offset=x0, y_offset=y0, height=max(0, y1 - y0), width=max(0, x1 - x0), do_rectify=False
        )
        names = ("global_orient", "body_pose", "betas", "transl", "joints", "joints_2d", "keypoints_2d", "joint_sigma")
        arrays = {n: np.asarray(getattr(human, n), np.float32).reshape(-1) for n in names}
        return t["hmr_ros/msg/Human"](
            track_id=human.track_id, score=float(human.score), bbox=box, body_model=human.body_model,
            tracking_state=int(human.state), **arrays,
        )  # fmt: skip


def process_bag(
    source: Path, target: Path, pipeline: Any, *, topic: str | None = None, max_frames: int | None = None,
    refine: Refine | None = None,
) -> BagCounts:  # fmt: skip
    """Every picture of `source` through `pipeline`; people into `target`. What was computed before an error is kept.

    With `refine` the people of all pictures are refined together before any is written.
    """
    counts = BagCounts()
    observed: list[Any] = []
    stamps: dict[int, int] = {}  # by frame
    with BagImages(source, topic) as images, HumanBagWriter(target) as writer:
        total = images.count if max_frames is None else min(images.count, max_frames)
        with tqdm(total=total, unit="frame", desc="people") as bar:
            try:
                for frame in images:
                    if max_frames is not None and frame.index >= max_frames:
                        break
                    if refine is not None:
                        observed += pipeline.observe(frame)
                        stamps[frame.index] = frame.stamp_ns
                    elif (result := pipeline.step(frame)) is not None:
                        _write(writer, result, images.frame_id, counts)
                    counts.frames += 1
                    bar.update()
            except KeyboardInterrupt:
                counts.interrupted = True
            finally:
                if refine is not None:
                    humans = refine(observed)
                    counts.humans = len(humans)
                    for index, stamp_ns in stamps.items():
                        writer.write([h for h in humans if h.frame == index], stamp_ns, images.frame_id)
                else:
                    for result in pipeline.finish():
                        _write(writer, result, images.frame_id, counts)
        counts.skipped = images.skipped
    return counts


def _write(writer: HumanBagWriter, result: Result, frame_id: str, counts: BagCounts) -> None:
    writer.write(result.humans, result.frame.stamp_ns, frame_id)
    counts.humans += len(result.humans)


def _camera(info: Any) -> Camera | None:
    k, d = (info.k, info.d) if hasattr(info, "k") else (info.K, info.D)  # ROS 1 has capitals
    return camera_of_info(k, d, info.width, info.height, info.distortion_model)


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split()) or 'no details'}"
